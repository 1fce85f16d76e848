"""What a person's consents are, scope by scope, for somebody who looks at them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from privacy.consent.act import NO, YES, ConsentEvent
from privacy.consent.policy import Policy
from privacy.consent.standing import Standing, Standings

_NO_STATES = {"object": "objected", "withdraw": "withdrawn", "refuse": "refused"}
_BARS = {"suppress": "suppressed", "restrict": "restricted"}
_STRICTEST_FIRST = (
    *("suppressed", "restricted", "objected", "withdrawn", "refused"),
    *("granted", "not_yet_effective", "expired"),
)


@dataclass(frozen=True, slots=True)
class CurrentConsent:
    """The state of one purpose on one channel, and the act that it rests on.

    ``channel`` is empty for every channel, and ``purpose`` is ``*`` for every purpose.
    """

    purpose: str
    channel: str
    state: str
    event: ConsentEvent


def current_consents(
    policy: Policy,
    people: Iterable[Standings],
    events: Mapping[str, ConsentEvent],
    now: datetime,
) -> list[CurrentConsent]:
    """Return each scope in which something stands, by purpose and channel.

    Where identifiers of the person disagree, the strictest is told, and of equals the latest.
    """
    found: dict[tuple[str, str], list[tuple[str, Standing]]] = {}
    for standings in people:
        for scope in {(one.purpose, one.channel) for one in standings}:
            own = [one for one in standings if (one.purpose, one.channel) == scope]
            found.setdefault(scope, []).extend(_states(policy, own, now))
    return [
        CurrentConsent(purpose, channel, state, events[act.event])
        for (purpose, channel), states in sorted(found.items())
        for state, act in [min(states, key=_rank)]
    ]


def _rank(told: tuple[str, Standing]) -> tuple[int, float]:
    state, act = told
    return _STRICTEST_FIRST.index(state), -act.at.timestamp()


def _states(policy: Policy, standings: list[Standing], now: datetime) -> list[tuple[str, Standing]]:
    """Return the state of one identifier in one scope; a bar stands beside it."""
    states = [(_BARS[one.action], one) for one in standings if one.action in _BARS]
    yes = [one for one in standings if one.action in YES]
    started = [one for one in yes if one.starts <= now]
    ends = [one for one in standings if one.action == "expire"]
    if started:
        last = max(started, key=lambda one: one.at)
        ended = [one for one in ends if one.at >= last.at]
        is_over = bool(ended) or _has_run_out(policy, last, now)
        states.append(("expired" if is_over else "granted", (ended or [last])[0]))
    elif any(one.action in NO for one in standings):
        no = next(one for one in standings if one.action in NO)
        states.append((_NO_STATES[no.action], no))
    elif yes:
        states.append(("not_yet_effective", yes[0]))
    elif ends:
        states.append(("expired", ends[0]))
    return states


def _has_run_out(policy: Policy, yes: Standing, now: datetime) -> bool:
    reach = policy.reaches.get((yes.notice, yes.purpose))
    return reach is not None and reach.validity is not None and yes.at + reach.validity <= now
