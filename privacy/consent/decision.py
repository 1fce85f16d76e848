"""May this purpose use this person's data on this channel now?

A pure function that always has an answer. What is not allowed by a rule is denied, and of several
reasons the strictest is told. The order of the rules:

1. Gaps: the purpose, recipient or jurisdiction is not configured.
2. Bars: the person is suppressed (erased, do not bring back) or restricted (stored only).
3. The person's no, unless the legal basis leaves them no choice. A no counts for every narrower
   scope, and is lifted only by a later yes of the same identifier for the same or a narrower scope.
4. A live Global Privacy Control signal.
5. A yes where one is needed: started, not expired, and under a notice that covers this use.

Identifiers of one person are asked one by one, and the strictest answer wins: a link may be wrong,
and then somebody else's later yes must not undo this person's no.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from privacy.consent.act import EVERY_CHANNEL, NO, YES
from privacy.consent.policy import Policy
from privacy.consent.purpose import BASES, EVERY_PURPOSE, Purpose
from privacy.consent.standing import Standing, Standings

Stage = Literal["entry", "send"]
Allowing = Literal["granted", "legal_basis", "opt_out_default"]
Denying = Literal[
    "never_asked",
    "refused",
    "withdrawn",
    "expired",
    "not_yet_effective",
    "stale_notice",
    "channel_opt_out",
    "global_opt_out",
    "gpc",
    "objection",
    "suppressed",
    "restricted",
]
Gap = Literal[
    "subject_unresolved",
    "purpose_unknown",
    "purpose_retired",
    "recipient_not_covered",
    "jurisdiction_not_covered",
    "state_unavailable",
]
Reason = Allowing | Denying | Gap
_NEEDED, _CHOICE = BASES["consent"], BASES["legitimate_interests"]


class Question(msgspec.Struct, frozen=True, gc=False):
    """What is asked; ``channel`` is empty when it is about none, ``gpc`` a live signal."""

    purpose: str
    channel: str = EVERY_CHANNEL
    stage: Stage = "send"
    jurisdictions: tuple[str, ...] = ()
    recipient: str | None = None
    gpc: bool = False


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The answer, and the act that decided it, if one did.

    ``valid_until`` is when an allowed use ends by itself; none when nothing is planned to end it.
    """

    allow: bool
    reason: Reason
    rule: str
    evidence: Standing | None = None
    valid_until: datetime | None = None
    obligations: tuple[str, ...] = ()


SUBJECT_UNRESOLVED = Decision(allow=False, reason="subject_unresolved", rule="subject.resolve")
STATE_UNAVAILABLE = Decision(allow=False, reason="state_unavailable", rule="state.read")
STATE_DAMAGED = Decision(allow=False, reason="state_unavailable", rule="state.decode")
"""What is stored of this person cannot be understood; others can be decided."""
_UNKNOWN = Decision(allow=False, reason="purpose_unknown", rule="purpose.key")
_RETIRED = Decision(allow=False, reason="purpose_retired", rule="purpose.retired_at")
_RECIPIENT = Decision(allow=False, reason="recipient_not_covered", rule="purpose.recipients")
_JURISDICTION = Decision(allow=False, reason="jurisdiction_not_covered", rule="purpose.legal_basis")
_CHANNEL = Decision(allow=False, reason="never_asked", rule="purpose.channels")
_GPC = Decision(allow=False, reason="gpc", rule="purpose.honours_gpc")


_GAPS: Mapping[str, str] = {
    "purpose_unknown": "No purpose bears the key {purpose}. Apply it with: {apply}",
    "purpose_retired": "The purpose {purpose} is retired: ask about another, or change its"
    " retired_at with: {apply}",
    "recipient_not_covered": "The purpose {purpose} does not name this recipient. Add it to the"
    " recipients with: {apply}",
    "jurisdiction_not_covered": "The purpose {purpose} has no legal basis in this jurisdiction. Add"
    " one, or a default, with: {apply}",
}


def told_gap(reason: str, purpose: str) -> str | None:
    """Return what is not configured and what to do about it; none where that is not the reason."""
    gap = _GAPS.get(reason)
    if gap is None or not purpose:
        return None
    return gap.format(purpose=purpose, apply="candor consent apply FILE")


def decide(
    policy: Policy, person: Iterable[Standings], question: Question, now: datetime
) -> Decision:
    """Return the decision on a question about a person, at ``now``.

    ``person`` are the standings of each of the person's identifiers. Cost: linear in the standings.
    """
    purpose = policy.purposes.get(question.purpose)
    if purpose is None:
        return _UNKNOWN
    if purpose.retired_at is not None and purpose.retired_at <= now:
        return _RETIRED
    if question.recipient is not None and question.recipient not in purpose.recipients:
        return _RECIPIENT
    basis = purpose.basis(question.jurisdictions)
    return (
        _JURISDICTION
        if basis is None
        else _on_person(policy, person, purpose, BASES[basis], question, now)
    )


def _on_person(  # noqa: PLR0913, PLR0917 - everything that a decision may turn on
    policy: Policy,
    person: Iterable[Standings],
    purpose: Purpose,
    choice: int,
    question: Question,
    now: datetime,
) -> Decision:
    said = [acts for standings in person if (acts := _bearing(standings, question))]
    if len(said) == 1 and len(said[0]) == 1 and said[0][0].action in YES:
        scopes: list[_Scopes] = []  # most often one yes is all there is: nothing stands against it
        yeses: list[_Yes] = [(said[0][0], None)]
    else:
        scopes = [_Scopes(acts, now) for acts in said]
        denial = _strictest_denial(scopes, purpose, choice)
        if denial is not None:
            return denial
        yeses = [yes for scope in scopes for yes in scope.yeses(now)]
    channel = question.channel
    if channel and purpose.channels and channel not in purpose.channels:
        return _CHANNEL
    if choice >= _CHOICE and question.gpc and purpose.honours_gpc:
        return _GPC
    best = _best(policy, yeses, purpose, question, now) if choice >= _CHOICE else None
    return _without_no(purpose, choice, best) or _end_without_yes(scopes, purpose)


def _bearing(standings: Standings, question: Question) -> Sequence[Standing]:
    """Return the acts that bear on a question: of its purpose or every, on its channel or every."""
    key, channel = question.purpose, question.channel
    if len(standings) == 1:  # as most often: nothing is copied
        act = standings[0]
        bears = not act.channel or act.channel == channel
        return standings if bears and act.purpose in (key, EVERY_PURPOSE) else ()
    return [
        act
        for act in standings
        if (not act.channel or act.channel == channel) and act.purpose in (key, EVERY_PURPOSE)
    ]


def _without_no(purpose: Purpose, choice: int, best: Decision | None) -> Decision | None:
    """Return the decision where nobody said no, ``best`` being that on what was said."""
    if best is not None and best.allow:
        return best
    if choice >= _CHOICE and purpose.mechanism == "opt_out":
        return _allowed(purpose, "opt_out_default", "purpose.opt_out")
    if choice < _NEEDED:
        return _allowed(purpose, "legal_basis", "purpose.legal_basis")
    return best


_Yes = tuple[Standing, Standing | None]
"""A yes, and the expiry on record that ends it, if there is one."""


class _Scopes:
    """The acts of one identifier that bear on a question, by scope."""

    __slots__ = ("bar", "narrow", "narrow_end", "nos", "wide", "wide_end", "yes")

    def __init__(self, acts: Sequence[Standing], now: datetime) -> None:
        self.bar: Standing | None = None
        self.nos: list[Standing] = []
        self.wide: Standing | None = None
        self.narrow: Standing | None = None
        self.wide_end: Standing | None = None
        self.narrow_end: Standing | None = None
        self.yes: list[Standing] = []
        for one in acts:
            if one.purpose == EVERY_PURPOSE:
                self._take_bar(one)
            else:
                self._take(one, now)

    def _take(self, one: Standing, now: datetime) -> None:
        action = one.action
        if action in YES:
            self.yes.append(one)
            if one.starts <= now:
                if one.channel:
                    self.narrow = _later(self.narrow, one)
                else:
                    self.wide = _later(self.wide, one)
        elif action in NO:
            self.nos.append(one)
        elif one.channel:
            self.narrow_end = one
        else:
            self.wide_end = one

    def _take_bar(self, one: Standing) -> None:
        if one.action in NO:
            self.nos.append(one)
        elif one.action == "suppress" or (one.action == "restrict" and self.bar is None):
            self.bar = one

    def standing_nos(self) -> list[Standing]:
        """Return the nos that no later yes of the same or a narrower scope lifted."""
        return [one for one in self.nos if not self._is_lifted(one)]

    def _is_lifted(self, no: Standing) -> bool:
        if self.narrow is not None and self.narrow.at > no.at:
            return True
        return not no.channel and self.wide is not None and self.wide.at > no.at

    def yeses(self, now: datetime) -> "list[_Yes]":
        """Return every yes that may count: the last that began in each scope, and those to come."""
        return [
            (yes, self._ended_by(yes))
            for yes in self.yes
            if yes is self.wide or yes is self.narrow or yes.starts > now
        ]

    def _ended_by(self, yes: Standing) -> Standing | None:
        for end in (self.narrow_end if yes.channel else None, self.wide_end):
            if end is not None and end.at >= yes.at:
                return end
        return None


def _later(one: Standing | None, other: Standing) -> Standing:
    return other if one is None or other.at >= one.at else one


def _strictest_denial(scopes: Sequence[_Scopes], purpose: Purpose, choice: int) -> Decision | None:
    found: list[tuple[Denying, str, Standing]] = []
    for scope in scopes:
        if scope.bar is not None:
            is_suppressed = scope.bar.action == "suppress"
            reason: Denying = "suppressed" if is_suppressed else "restricted"
            found.append((reason, f"person.{scope.bar.action}", scope.bar))
        if scope.nos and choice >= _CHOICE:
            found += [_denial(one, scope, purpose) for one in scope.standing_nos()]
    if not found:
        return None
    strictest = min(_RANKS[reason] for reason, _, _ in found)
    told = [one for one in found if _RANKS[one[0]] == strictest]
    return _denied(*max(told, key=lambda one: one[2].at))


_STRICTEST_FIRST: tuple[Denying, ...] = (
    "suppressed",
    "restricted",
    "objection",
    "global_opt_out",
    "withdrawn",
    "gpc",
    "refused",
    "channel_opt_out",
)
_RANKS = {reason: rank for rank, reason in enumerate(_STRICTEST_FIRST)}


def _denial(no: Standing, scope: _Scopes, purpose: Purpose) -> tuple[Denying, str, Standing]:
    """Return the reason and rule of a no: the widest scope names it."""
    if no.action == "object":
        return "objection", "person.objection", no
    if no.purpose == EVERY_PURPOSE:
        if no.source == "gpc":
            return "gpc", "person.gpc", no
        reason: Denying = "channel_opt_out" if no.channel else "global_opt_out"
        return reason, "person.channel" if no.channel else "person.every_purpose", no
    if no.source == "gpc" and purpose.honours_gpc:
        return "gpc", purpose.rule, no
    if no.channel and scope.wide is not None:
        return "channel_opt_out", "person.channel", no
    return "refused" if no.action == "refuse" else "withdrawn", purpose.rule, no


def _best(
    policy: Policy, yeses: Sequence[_Yes], purpose: Purpose, question: Question, now: datetime
) -> Decision | None:
    """Return what the yes that allows most gives, and of equals the last; none without any."""
    best: Decision | None = None
    for yes in yeses:
        found = _on_yes(policy, yes, purpose, question, now)
        if best is None or _is_better(found, best):
            best = found
    return best


def _on_yes(
    policy: Policy, told: _Yes, purpose: Purpose, question: Question, now: datetime
) -> Decision:
    yes, end = told
    if end is not None:
        return _denied("expired", purpose.rule, end)
    if yes.starts > now:
        return _denied("not_yet_effective", purpose.rule, yes)
    reach = policy.reaches.get((yes.notice, purpose.key))
    if reach is None or not reach.includes(question.channel, question.recipient):
        return _denied("stale_notice", "notice.coverage", yes)
    ends = yes.at + reach.validity if reach.validity is not None else None
    if ends is not None and ends <= now:
        return _denied("expired", "purpose.validity", yes)
    return Decision(
        allow=True,
        reason="granted",
        rule=purpose.rule,
        evidence=yes,
        valid_until=_sooner(ends, purpose.retired_at),
        obligations=reach.obligations,
    )


def _is_better(found: Decision, best: Decision) -> bool:
    if found.allow != best.allow:
        return found.allow
    if found.evidence is None or best.evidence is None:
        return False
    return (found.evidence.at, found.evidence.event) > (best.evidence.at, best.evidence.event)


def _allowed(purpose: Purpose, reason: Allowing, rule: str) -> Decision:
    return Decision(
        allow=True,
        reason=reason,
        rule=rule,
        valid_until=purpose.retired_at,
        obligations=purpose.obligations,
    )


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _denied(reason: Denying, rule: str, evidence: Standing | None = None) -> Decision:
    return Decision(allow=False, reason=reason, rule=rule, evidence=evidence)


def _end_without_yes(scopes: Sequence[_Scopes], purpose: Purpose) -> Decision:
    """Return the denial where a yes is needed and none is there, nor ever was.

    An expiry may be on record even so: an import may know the end alone.
    """
    for scope in scopes:
        end = scope.narrow_end or scope.wide_end
        if end is not None:
            return _denied("expired", "person.expiry", end)
    return _denied("never_asked", purpose.rule)
