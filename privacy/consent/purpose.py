"""A purpose: what personal data is used for, on which legal basis, and how far that reaches.

Source: GDPR, articles 6 and 13; ISO/IEC 27560, for the words.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from candor.kernel.errors import InvalidInputError

Mechanism = Literal["opt_in", "opt_out", "notice_only"]
EVERY_PURPOSE = "*"
DEFAULT_JURISDICTION = "default"
BASES: Mapping[str, int] = {
    "consent": 2,
    "legitimate_interests": 1,
    "legitimate_interest": 1,
    "public_task": 1,
    "contract": 0,
    "legal_obligation": 0,
    "vital_interests": 0,
}
"""How much a person's word counts: 2 it is needed, 1 a no is enough, 0 it decides nothing."""
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,119}")
_PERIOD = re.compile(r"([1-9][0-9]{0,7})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose as it stands at some moment.

    ``legal_basis`` is by jurisdiction, with ``default`` for all others. No channel means that the
    purpose is bound to none. ``validity`` is how long a consent lasts; none for as long as it is
    not taken back. ``obligations`` go with every allowed use.
    ``rule`` names the mechanism in decisions.
    """

    key: str
    name: str
    mechanism: Mechanism
    legal_basis: Mapping[str, str]
    channels: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    data_categories: tuple[str, ...] = ()
    validity: timedelta | None = None
    honours_gpc: bool = True
    retired_at: datetime | None = None
    obligations: tuple[str, ...] = ()
    rule: str = field(default="", init=False, compare=False)
    _basis: dict[tuple[str, ...], str | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_key(self.key)
        object.__setattr__(self, "rule", f"purpose.{self.mechanism}")
        if not self.legal_basis:
            raise InvalidInputError("A purpose needs a legal basis.", path="legal_basis")
        for jurisdiction, basis in self.legal_basis.items():
            if basis not in BASES:
                raise InvalidInputError(
                    f"A legal basis is one of {', '.join(sorted(BASES))}.",
                    path=f"legal_basis.{jurisdiction if _WORD.fullmatch(jurisdiction) else '?'}",
                )
        for name in ("channels", "recipients", "data_categories", "obligations"):
            check_words(getattr(self, name), name)

    def basis(self, jurisdictions: tuple[str, ...]) -> str | None:
        """Return the legal basis that holds in all of these jurisdictions, the strictest of them.

        ``US-CA`` falls back to ``US``, and that to the default. None when one of them has none.
        """
        try:
            return self._basis[jurisdictions]
        except KeyError:
            found = self._strictest_basis(jurisdictions)
            if len(self._basis) < len(BASES) * 64:
                self._basis[jurisdictions] = found
            return found

    def _strictest_basis(self, jurisdictions: tuple[str, ...]) -> str | None:
        found: list[str] = []
        for jurisdiction in jurisdictions or (DEFAULT_JURISDICTION,):
            for name in (jurisdiction, jurisdiction.partition("-")[0], DEFAULT_JURISDICTION):
                if name in self.legal_basis:
                    found.append(self.legal_basis[name])
                    break
            else:
                return None
        return max(found, key=lambda basis: BASES[basis])

    def definition(self) -> dict[str, Any]:
        """Return everything but the key, as a JSON object."""
        return {
            "name": self.name,
            "mechanism": self.mechanism,
            "legal_basis": dict(self.legal_basis),
            "channels": list(self.channels),
            "recipients": list(self.recipients),
            "data_categories": list(self.data_categories),
            "validity": period_text(self.validity),
            "honours_gpc": self.honours_gpc,
            "retired_at": self.retired_at.isoformat() if self.retired_at else None,
            "obligations": list(self.obligations),
        }


@dataclass(frozen=True, slots=True)
class Widening:
    """What a change of a purpose adds, for which earlier consent does not hold."""

    channels: tuple[str, ...]
    recipients: tuple[str, ...]
    data_categories: tuple[str, ...]
    lasts_longer: bool

    @property
    def is_any(self) -> bool:
        """Whether anything was added at all."""
        return bool(self.channels or self.recipients or self.data_categories or self.lasts_longer)


def widening(before: Purpose, after: Purpose) -> Widening:
    """Return what ``after`` allows that ``before`` did not; ``*`` stands for every channel."""
    channels = tuple(
        one for one in after.channels if before.channels and one not in before.channels
    )
    if before.channels and not after.channels:
        channels = ("*",)
    longer = before.validity is not None and (
        after.validity is None or after.validity > before.validity
    )
    return Widening(
        channels,
        tuple(one for one in after.recipients if one not in before.recipients),
        tuple(one for one in after.data_categories if one not in before.data_categories),
        longer,
    )


def purpose_of(key: str, definition: Mapping[str, Any]) -> Purpose:
    """Return the purpose that ``Purpose.definition`` described.

    Raises:
        InvalidInputError: a name, basis, period or instant is none.
    """
    retired_at = definition.get("retired_at")
    return Purpose(
        key,
        definition["name"],
        definition["mechanism"],
        definition["legal_basis"],
        tuple(definition.get("channels") or ()),
        tuple(definition.get("recipients") or ()),
        tuple(definition.get("data_categories") or ()),
        parse_period(definition.get("validity")),
        definition.get("honours_gpc", True),
        datetime.fromisoformat(retired_at) if retired_at else None,
        tuple(definition.get("obligations") or ()),
    )


def parse_period(text: str | None) -> timedelta | None:
    """Return the time that a text such as ``365d`` spells (m, h, d, w); none for none.

    Raises:
        InvalidInputError: it spells none, or over a hundred years.
    """
    if text is None:
        return None
    match = _PERIOD.fullmatch(text)
    period = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if period is None or period.days > _MOST_DAYS:
        raise InvalidInputError(
            "A period is a number and a unit, such as 365d, 52w or 12h.", path="validity"
        )
    return period


def period_text(period: timedelta | None) -> str | None:
    """Return a period as ``parse_period`` reads it."""
    if period is None:
        return None
    minutes = int(period.total_seconds()) // 60
    for unit, size in (("d", 1440), ("h", 60)):
        if minutes % size == 0:
            return f"{minutes // size}{unit}"
    return f"{minutes}m"


def check_key(key: str) -> None:
    """Return when a purpose or notice may bear that key.

    Raises:
        InvalidInputError: it may not.
    """
    if not _KEY.fullmatch(key):
        raise InvalidInputError(
            "A key has 1 to 63 lower-case letters, digits, dots, dashes or underscores, and begins"
            " with a letter or digit.",
            path="key",
        )


def check_words(words: Sequence[str], path: str) -> None:
    """Return when each is a word without spaces of at most 120 characters.

    Raises:
        InvalidInputError: one is not.
    """
    for number, word in enumerate(words):
        if not _WORD.fullmatch(word):
            raise InvalidInputError(
                "Use a word of letters, digits, dots, colons, dashes or underscores.",
                path=f"{path}.{number}",
            )
