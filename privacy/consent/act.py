"""An act of consent with its provenance: what makes one valid, and what is missing when it is not.

Valid consent is informed (a notice that covers the purpose), specific (one purpose), current (a
time) and voluntary (an act of the person, not silence).

Source: GDPR, articles 4(11) and 7; EDPB Guidelines 05/2020.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from candor.kernel.errors import InvalidInputError
from privacy.consent.notice import Notice
from privacy.consent.purpose import EVERY_PURPOSE, Purpose

Action = Literal[
    "grant",
    "withdraw",
    "object",
    "refuse",
    "expire",
    "import",
    "suppress",
    "release",
    "restrict",
    "lift",
]
"""The last four are decisions of the installation; no caller records them as a person's act."""
Source = Literal[
    "preference_centre", "api", "import", "gpc", "one_click", "agent", "in_store", "paper"
]
YES = frozenset({"grant", "import"})
NO = frozenset({"withdraw", "object", "refuse"})
EVERY_CHANNEL = ""
_NO_ACTS = frozenset(
    {"dismiss", "gpc", "implicit", "none", "pre_ticked", "script", "scroll", "silence"}
)
_CANNOT_GRANT = frozenset({"gpc", "one_click"})
_MOST_IPV4_BITS, _MOST_IPV6_BITS = 24, 48
_HASH = re.compile(r"([a-z0-9]{1,12}:)?[0-9a-fA-F]{16,128}")


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did, and how that is known. ``channel`` is empty for every channel."""

    subject_key: str
    subject_type: str
    purpose: str
    action: Action
    at: datetime
    source: str
    channel: str = EVERY_CHANNEL
    notice: str | None = None
    method: str | None = None
    actor: str | None = None
    evidence: str | None = None
    locale: str | None = None
    jurisdiction: str | None = None
    ip_prefix: str | None = None
    user_agent_hash: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """An act as the ledger holds it; it never changes.

    ``turn`` is the number of the transaction that wrote it, and ``number`` its place there:
    together the order of recording. A yes holds from ``starts_at`` on.
    """

    id: str
    turn: int
    number: int
    act: Act
    starts_at: datetime
    recorded_at: datetime
    recorded_by: str
    notice_digest: str | None = None


class MissingElementError(InvalidInputError):
    """An act lacks what would make it valid; ``path`` names the element."""

    code = "invalid_consent"
    title = "Invalid consent"


def check_act(act: Act, purpose: Purpose | None, notice: Notice | None) -> None:
    """Return when an act may be recorded; ``purpose`` and ``notice`` are what it names, if known.

    What only restricts needs no more than a purpose that exists, or ``*`` for all.

    Raises:
        MissingElementError: it lacks an element; that is named.
    """
    _check_traces(act)
    if act.action in YES:
        _check_yes(act, purpose, notice)
    elif (act.purpose != EVERY_PURPOSE or act.action == "expire") and purpose is None:
        raise MissingElementError(
            "No purpose bears that key. Apply it first (candor consent apply FILE, or PUT"
            " /api/v1/purposes/{key}), or name '*' for all of them.",
            path="purpose",
        )
    if act.notice is not None and notice is None:
        raise MissingElementError(
            "No notice bears that key and version. Name one as key/version.", path="notice"
        )


def _check_yes(act: Act, purpose: Purpose | None, notice: Notice | None) -> None:
    if purpose is None:
        raise MissingElementError(
            "Consent is specific: name one purpose that exists, or apply it first (candor consent"
            " apply FILE, or PUT /api/v1/purposes/{key}).",
            path="purpose",
        )
    if act.notice is None:
        raise MissingElementError(
            "Consent is informed: name the notice that was shown, as key/version.", path="notice"
        )
    if notice is not None and purpose.key not in notice.purposes:
        raise MissingElementError(
            "This notice does not cover the purpose, so it informed nobody of it.", path="notice"
        )
    if act.channel and purpose.channels and act.channel not in purpose.channels:
        raise MissingElementError("The purpose does not use this channel.", path="channel")
    if act.source in _CANNOT_GRANT:
        raise MissingElementError(
            "This source can only restrict: consent needs an act of the person.", path="source"
        )
    if act.method in _NO_ACTS:
        raise MissingElementError(
            "Consent is voluntary: this method is no act of the person.", path="method"
        )
    if "import" in {act.action, act.source} and not act.evidence:
        raise MissingElementError(
            "An imported consent needs its evidence: a reference or a hash.", path="evidence"
        )
    if act.locale is not None and notice is not None and act.locale not in notice.texts:
        raise MissingElementError(
            "The notice has no text in this language, so it was not shown in it.", path="locale"
        )


def _check_traces(act: Act) -> None:
    """Refuse what would tell more of a person than the ledger should know."""
    if act.ip_prefix is not None:
        try:
            network = ipaddress.ip_network(act.ip_prefix)
        except ValueError:
            network = None
        most = _MOST_IPV4_BITS if network and network.version == 4 else _MOST_IPV6_BITS  # noqa: PLR2004 - a version of IP
        if network is None or network.prefixlen > most:
            raise MissingElementError(
                "Send a prefix of the address alone: IPv4 up to /24, IPv6 up to /48.",
                path="ip_prefix",
            )
    if act.user_agent_hash is not None and not _HASH.fullmatch(act.user_agent_hash):
        raise MissingElementError(
            "Send a hash of the user agent, in hexadecimal digits.", path="user_agent_hash"
        )
