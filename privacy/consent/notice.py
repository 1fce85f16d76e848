"""A notice: what a person was shown, in which version, and what that covers."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from candor.kernel.errors import InvalidInputError
from privacy.consent.purpose import Purpose, check_key, check_words

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}")
_LOCALE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
_MOST_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of a notice.

    ``texts`` are by language. ``recipients`` are those that it names; none when it speaks of its
    purposes' own, as they were when it was written.
    """

    key: str
    version: str
    purposes: tuple[str, ...]
    texts: Mapping[str, str]
    recipients: tuple[str, ...] | None = None
    effective_from: datetime | None = None

    def __post_init__(self) -> None:
        check_key(self.key)
        if not _VERSION.fullmatch(self.version):
            raise InvalidInputError(
                "A version has 1 to 31 letters, digits, dots, dashes or underscores.",
                path="version",
            )
        if not self.purposes:
            raise InvalidInputError("A notice covers at least one purpose.", path="purposes")
        if not self.texts:
            raise InvalidInputError("A notice needs a text in some language.", path="texts")
        for locale, text in self.texts.items():
            if not _LOCALE.fullmatch(locale):
                raise InvalidInputError(
                    "Texts are by language tag, such as en or pt-BR.", path="texts"
                )
            if not text.strip() or len(text) > _MOST_TEXT:
                raise InvalidInputError(
                    f"A text has 1 to {_MOST_TEXT} characters.", path=f"texts.{locale}"
                )
        check_words(self.recipients or (), "recipients")

    @property
    def reference(self) -> str:
        """How a grant names it: ``newsletter/3``."""
        return f"{self.key}/{self.version}"

    def digest(self, locale: str | None) -> str:
        """Return SHA-256 of what was shown: the text of that language, or of all of them."""
        shown = self.texts.get(locale or "")
        text = shown if shown is not None else json.dumps(dict(self.texts), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def definition(self) -> dict[str, Any]:
        """Return everything but key and version, as a JSON object."""
        return {
            "purposes": list(self.purposes),
            "recipients": None if self.recipients is None else list(self.recipients),
            "texts": dict(self.texts),
            "effective_from": self.effective_from.isoformat() if self.effective_from else None,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far a consent under a notice reaches: the purpose as the notice described it.

    ``channels`` is none where the purpose was bound to none.
    """

    channels: frozenset[str] | None
    recipients: frozenset[str]
    data_categories: frozenset[str]
    validity: timedelta | None


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a purpose as it is now a consent under a notice allows.

    ``validity`` is the shorter of what was told and what holds now. ``obligations`` are the
    purpose's, and what it now uses beyond what the notice spoke of: that is to be left out.
    """

    channels: frozenset[str] | None
    recipients: frozenset[str]
    validity: timedelta | None
    obligations: tuple[str, ...]

    def includes(self, channel: str, recipient: str | None) -> bool:
        """Whether the notice spoke of this channel, if one is asked about, and recipient."""
        if channel and self.channels is not None and channel not in self.channels:
            return False
        return recipient is None or recipient in self.recipients


def reach_of(coverage: Coverage, purpose: Purpose) -> Reach:
    """Return how far consent reaches into a purpose that may have changed since."""
    periods = [one for one in (purpose.validity, coverage.validity) if one is not None]
    added = (one for one in purpose.data_categories if one not in coverage.data_categories)
    return Reach(
        coverage.channels,
        coverage.recipients,
        min(periods) if periods else None,
        (*purpose.obligations, *(f"exclude:{one}" for one in added)),
    )


def coverage_of(notice: Notice, purpose: Purpose) -> Coverage:
    """Return what a notice covers of a purpose; ``purpose`` as it was when the notice was put."""
    named = purpose.recipients if notice.recipients is None else notice.recipients
    return Coverage(
        frozenset(purpose.channels) if purpose.channels else None,
        frozenset(named),
        frozenset(purpose.data_categories),
        purpose.validity,
    )


def notice_of(key: str, version: str, definition: Mapping[str, Any]) -> Notice:
    """Return the notice that ``Notice.definition`` described.

    Raises:
        InvalidInputError: a name, language or text is none.
    """
    recipients = definition.get("recipients")
    effective_from = definition.get("effective_from")
    return Notice(
        key,
        version,
        tuple(definition["purposes"]),
        definition["texts"],
        None if recipients is None else tuple(recipients),
        datetime.fromisoformat(effective_from) if effective_from else None,
    )
