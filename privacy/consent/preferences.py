"""What a person can choose, how it stands, and what follows from what they chose.

A page shows lines, one for each purpose and channel. What comes back from it says what was shown as
well as what was chosen: only what the person changed counts, so that an old page that is sent again
undoes nothing that was said elsewhere since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from privacy.consent.act import EVERY_CHANNEL, Act
from privacy.consent.decision import Decision, Question, decide
from privacy.consent.language import best_language
from privacy.consent.link import Link
from privacy.consent.notice import Notice
from privacy.consent.policy import Policy
from privacy.consent.purpose import BASES, DEFAULT_JURISDICTION, EVERY_PURPOSE, Purpose
from privacy.consent.standing import BARS, Standings, standing_no

Answer = Literal["yes", "no"]
State = Literal["yes", "no", "open"]
Scope = tuple[str, str]
"""A purpose's key and a channel, which is empty for all of them."""
SOURCE = "preference_centre"
_RAN_OUT = frozenset({"expired", "stale_notice", "not_yet_effective"})
_OPEN = _RAN_OUT | {"never_asked"}
_BARRED = frozenset({"suppressed", "restricted"})
_CHOICE = BASES["legitimate_interests"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What of a notice a person saw: which version, in which language, and the text's digest."""

    notice: str
    locale: str
    digest: str


@dataclass(frozen=True, slots=True)
class Line:
    """One purpose on one channel: how it stands, why, and since when.

    ``state`` is what was said, also while a person is suppressed or restricted: ``reason`` tells
    that nothing is allowed then. ``since`` is none where nothing was said, or by somebody who is
    only linked with this person: the link may be wrong. ``own`` is how it stood if nobody were
    linked. ``by_signal`` says that the browser decides it now.
    """

    channel: str
    state: State
    reason: str
    since: datetime | None
    own: State
    can_allow: bool
    by_signal: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """One purpose as a person sees it: with the notice in force, if there is one.

    Nothing can be chosen where ``has_choice`` is false: law or contract decides, not the person.
    """

    purpose: Purpose
    basis: str
    has_choice: bool
    shown: Shown | None
    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Whose page it is: the link, and what stands of each identifier that is linked with it."""

    link: Link
    standings: Mapping[str, Standings]

    @property
    def own(self) -> Standings:
        """What stands of the identifier that the link was sent to."""
        return self.standings.get(self.link.subject_key, ())

    @property
    def alone(self) -> "Person":
        """The person as if nobody were linked with them."""
        return Person(self.link, {self.link.subject_key: self.own})

    @property
    def unbarred(self) -> "Person":
        """The person as if nobody had been suppressed or restricted: what was said alone."""
        said = {
            key: tuple(one for one in acts if one.action not in BARS)
            for key, acts in self.standings.items()
        }
        return Person(self.link, said)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What came back from a page: the button, what was chosen and shown, by scope and purpose."""

    button: Literal["save", "accept", "stop"]
    answers: Mapping[Scope, Answer] = field(default_factory=dict)
    before: Mapping[Scope, State] = field(default_factory=dict)
    shown: Mapping[str, Shown] = field(default_factory=dict)
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The acts that follow, and the purposes whose notice is not the one that was shown."""

    acts: tuple[Act, ...]
    outdated: tuple[str, ...] = ()


def offers(
    policy: Policy, person: Person, languages: str, now: datetime, *, gpc: bool
) -> list[Offer]:
    """Return every purpose that is in use, by name: first what a person can choose.

    ``languages`` is what the browser asks for, as ``Accept-Language`` spells it.
    """
    found = [
        _offer(policy, person, purpose, languages, now, gpc=gpc)
        for purpose in policy.purposes.values()
        if purpose.retired_at is None or purpose.retired_at > now
    ]
    return sorted(found, key=lambda one: (not one.has_choice, one.purpose.name.casefold()))


def notice_in_force(policy: Policy, purpose: str, now: datetime) -> Notice | None:
    """Return the notice that was put last of those that speak of a purpose and are effective."""
    found = None
    for notice in policy.notices.values():
        is_effective = notice.effective_from is None or notice.effective_from <= now
        if purpose in notice.purposes and is_effective:
            found = notice
    return found


def outcome_of(  # noqa: PLR0913 - all that a choice may turn on
    policy: Policy,
    person: Person,
    chosen: Chosen,
    languages: str,
    now: datetime,
    *,
    gpc: bool,
) -> Outcome:
    """Return what follows from what a person chose.

    A no is always taken. A yes is taken only under the notice that is in force and was shown;
    where it is another, the purpose is outdated and has to be shown anew.
    """
    acting = _Acting(person, chosen, now)
    if chosen.button == "stop":
        return Outcome(acting.stop())
    acts: list[Act] = []
    outdated: list[str] = []
    for offer in offers(policy, person, languages, now, gpc=gpc):
        if not offer.has_choice:
            continue
        acts += acting.signal(policy, offer) if gpc else []
        yes, no = acting.changes(offer)
        acts += [acting.refusal(offer, line) for line in no]
        if yes and not _is_shown(policy, offer, chosen.shown.get(offer.purpose.key)):
            outdated.append(offer.purpose.key)
        else:
            acts += [acting.yes(offer, line) for line in yes]
    return Outcome(tuple(acts), tuple(outdated))


def _is_shown(policy: Policy, offer: Offer, shown: Shown | None) -> bool:
    """Whether what was shown is a text of the notice in force, in whichever of its languages."""
    if shown is None or offer.shown is None or shown.notice != offer.shown.notice:
        return False
    notice = policy.notices[shown.notice]
    return shown.locale in notice.texts and shown.digest == notice.digest(shown.locale)


@dataclass(frozen=True, slots=True)
class _Acting:
    """Makes the acts of one person at one moment."""

    person: Person
    chosen: Chosen
    now: datetime

    def changes(self, offer: Offer) -> tuple[list[Line], list[Line]]:
        """Return the lines to which a yes and to which a no was said just now."""
        yes: list[Line] = []
        no: list[Line] = []
        for line in offer.lines:
            scope = (offer.purpose.key, line.channel)
            answer = self.chosen.answers.get(scope)
            is_changed = answer != self.chosen.before.get(scope)
            if self.chosen.button == "accept":
                answer, is_changed = "yes", True
            if answer is None or not is_changed or line.by_signal:
                continue
            if answer == "no":
                if standing_no(self.person.own, *scope) is None:
                    no.append(line)
            elif line.can_allow and line.own != "yes":
                yes.append(line)
        return yes, no

    def yes(self, offer: Offer, line: Line) -> Act:
        shown = self.chosen.shown[offer.purpose.key]
        return self._act(
            offer.purpose.key, line.channel, "grant", notice=shown.notice, locale=shown.locale
        )

    def refusal(self, offer: Offer, line: Line) -> Act:
        """Return the act that a no is: it depends on what there was to say no to."""
        key, channel = offer.purpose.key, line.channel
        if BASES[offer.basis] == _CHOICE:
            return self._act(key, channel, "object")
        if line.own == "yes" or line.reason in _RAN_OUT:
            return self._act(key, channel, "withdraw")
        return self._act(key, channel, "refuse")

    def stop(self) -> tuple[Act, ...]:
        if standing_no(self.person.own, EVERY_PURPOSE, EVERY_CHANNEL) is not None:
            return ()
        return (self._act(EVERY_PURPOSE, EVERY_CHANNEL, "withdraw"),)

    def signal(self, policy: Policy, offer: Offer) -> list[Act]:
        """Return the opt-out that the browser's signal is, where a use was allowed until now.

        Source: CCPA regulations, section 7025(c)(1): it counts for the person, once known.
        """
        purpose = offer.purpose
        is_allowed = any(
            line.by_signal and _decision(policy, person, purpose, line.channel, self.now).allow
            for line in offer.lines
            for person in (self.person.unbarred, self.person.alone.unbarred)
        )
        if not is_allowed:
            return []
        link = self.person.link
        return [
            Act(
                *(link.subject_key, link.subject_type, purpose.key, "withdraw", self.now, "gpc"),
                method="gpc",
                actor="person",
                evidence=self.chosen.evidence,
                jurisdiction=link.jurisdiction or None,
            )
        ]

    def _act(
        self,
        purpose: str,
        channel: str,
        action: Literal["grant", "withdraw", "object", "refuse"],
        *,
        notice: str | None = None,
        locale: str | None = None,
    ) -> Act:
        link = self.person.link
        return Act(
            *(link.subject_key, link.subject_type, purpose, action, self.now, SOURCE),
            channel=channel,
            notice=notice,
            locale=locale,
            method=f"{self.chosen.button}_button",
            actor="person",
            evidence=self.chosen.evidence,
            jurisdiction=link.jurisdiction or None,
        )


def _offer(  # noqa: PLR0913 - as outcome_of
    policy: Policy,
    person: Person,
    purpose: Purpose,
    languages: str,
    now: datetime,
    *,
    gpc: bool,
) -> Offer:
    basis = purpose.basis(_jurisdictions(person.link, purpose)) or "consent"
    has_choice = BASES[basis] >= _CHOICE
    notice = notice_in_force(policy, purpose.key, now)
    shown, text = None, ""
    if notice is not None:
        locale = best_language(languages, list(notice.texts))
        shown = Shown(notice.reference, locale, notice.digest(locale))
        text = notice.texts[locale]
    lines = [
        _line(policy, person, purpose, (channel, notice), now, gpc=gpc and has_choice)
        for channel in purpose.channels or (EVERY_CHANNEL,)
    ]
    return Offer(purpose, basis, has_choice, shown, text, tuple(lines))


def _line(  # noqa: PLR0913 - as outcome_of
    policy: Policy,
    person: Person,
    purpose: Purpose,
    on: tuple[str, Notice | None],
    now: datetime,
    *,
    gpc: bool,
) -> Line:
    channel, notice = on
    by_signal = gpc and purpose.honours_gpc
    decision = _decision(policy, person, purpose, channel, now, gpc=by_signal)
    said, alone = (
        _state(_decision(policy, one, purpose, channel, now, gpc=by_signal))
        for one in (person.unbarred, person.alone.unbarred)
    )
    evidence = decision.evidence
    is_own = evidence is not None and evidence in person.own
    reach = policy.reaches.get((notice.reference, purpose.key)) if notice is not None else None
    is_open_to_yes = not by_signal and decision.reason not in _BARRED
    return Line(
        channel,
        said,
        decision.reason,
        evidence.at if evidence is not None and is_own else None,
        own=alone,
        can_allow=is_open_to_yes and reach is not None and reach.includes(channel, None),
        by_signal=by_signal,
    )


def _state(decision: Decision) -> State:
    if decision.allow:
        return "yes"
    return "open" if decision.reason in _OPEN else "no"


def _decision(  # noqa: PLR0913 - as outcome_of
    policy: Policy,
    person: Person,
    purpose: Purpose,
    channel: str,
    now: datetime,
    *,
    gpc: bool = False,
) -> Decision:
    question = Question(
        purpose.key, channel, jurisdictions=_jurisdictions(person.link, purpose), gpc=gpc
    )
    return decide(policy, list(person.standings.values()), question, now)


def _jurisdictions(link: Link, purpose: Purpose) -> tuple[str, ...]:
    """Return the law that counts: the person's if we know it, or else all that the purpose names.

    A purpose without an entry for the person's has none for it; the page then asks for consent.
    """
    if link.jurisdiction:
        return (link.jurisdiction,)
    return () if DEFAULT_JURISDICTION in purpose.legal_basis else tuple(purpose.legal_basis)
