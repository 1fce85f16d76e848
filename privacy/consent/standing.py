"""What of a person's acts still matters, in as few entries as can answer every later question.

An identifier's standings are folded from its acts, in the order in which they were recorded. Acts
count by the time at which they were done: a grant that arrives late undoes no later withdrawal, and
at the same instant the withdrawal wins.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from privacy.consent.act import EVERY_CHANNEL, NO, YES, Act, ConsentEvent
from privacy.consent.purpose import EVERY_PURPOSE

_STRICTNESS = {"refuse": 0, "withdraw": 1, "object": 2}
_FAMILIES = (
    YES,
    NO,
    frozenset({"expire"}),
    frozenset({"suppress", "release"}),
    frozenset({"restrict", "lift"}),
)
_FAMILY = {action: number for number, actions in enumerate(_FAMILIES) for action in actions}
BARS = frozenset({"suppress", "restrict"})


class Standing(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One act that still matters.

    ``channel`` is empty for every channel, and ``purpose`` is ``*`` for every purpose.
    ``starts`` is when a yes begins to hold.
    """

    purpose: str
    channel: str
    action: str
    at: datetime
    starts: datetime
    event: str
    source: str
    notice: str


Standings = tuple[Standing, ...]


def standing_of(event: ConsentEvent) -> Standing:
    """Return an event as it stands before anything else is known."""
    act = event.act
    return Standing(
        act.purpose,
        act.channel,
        act.action,
        act.at,
        event.starts_at,
        event.id,
        act.source,
        act.notice or "",
    )


def folded(standings: Iterable[Standing], known: Standings = ()) -> Standings:
    """Return what matters of ``known`` and of further acts, in the order of their recording."""
    for one in standings:
        known = _with(known, one)
    return known


def counts_at(known: Standings, act: Act, now: datetime) -> datetime:
    """Return the time under which an act is recorded: a no that is said now undoes every yes.

    A yes may bear a time ahead of our clock, for somebody else's clock may be wrong. Whoever says
    no after that means it even so. What was said earlier keeps its time.
    """
    if act.action not in NO or act.at < now:
        return act.at
    inside = _inside(known, act.purpose, act.channel)
    return max([act.at, *(one.at for one in inside if one.action in YES)])


def standing_no(known: Standings, purpose: str, channel: str) -> Standing | None:
    """Return the no that stands in just this scope; none when a later yes reaches into it."""
    inside = _inside(known, purpose, channel)
    no = next(
        (
            one
            for one in inside
            if one.action in NO and (one.purpose, one.channel) == (purpose, channel)
        ),
        None,
    )
    if no is None or any(one.action in YES and one.at > no.at for one in inside):
        return None
    return no


def _inside(known: Standings, purpose: str, channel: str) -> list[Standing]:
    """Return what stands in a scope or a narrower one."""
    return [
        one
        for one in known
        if purpose in {one.purpose, EVERY_PURPOSE} and channel in {one.channel, EVERY_CHANNEL}
    ]


def _with(known: Standings, new: Standing) -> Standings:
    others: list[Standing] = []
    rivals: list[Standing] = []
    for one in known:
        is_rival = one.purpose == new.purpose and one.channel == new.channel
        (rivals if is_rival else others).append(one)
    family = _FAMILY[new.action]
    if new.action in YES:
        kept = _with_yes(rivals, new)
    else:
        same = [one for one in rivals if _FAMILY[one.action] == family]
        rest = [one for one in rivals if _FAMILY[one.action] != family]
        last = max([*same, new], key=lambda one: (one.at, _weight(one), one is new))
        if last.action in NO:
            rest = [one for one in rest if one.action not in YES or one.at > last.at]
        kept = [*rest, last]
    return (*others, *kept)


def _with_yes(rivals: list[Standing], new: Standing) -> list[Standing]:
    """Return the rivals with one more yes: every yes that is the last one at some instant."""
    if any(one.action in NO and one.at >= new.at for one in rivals):
        return rivals
    if any(one.action in YES and one.at > new.at and one.starts <= new.starts for one in rivals):
        return rivals
    outdone = [
        one for one in rivals if one.action in YES and one.at <= new.at and new.starts <= one.starts
    ]
    return [*(one for one in rivals if one not in outdone), new]


def _weight(one: Standing) -> int:
    """Return how strict an act is among those of its family."""
    return _STRICTNESS.get(one.action, int(one.action in BARS))
