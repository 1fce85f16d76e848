"""What follows from a choice, whatever was said before: a no counts, and no yes sneaks in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from privacy.consent.act import Act, ConsentEvent, check_act
from privacy.consent.decision import Question, decide
from privacy.consent.link import Link
from privacy.consent.notice import Notice
from privacy.consent.policy import Applied, Policy, PolicyHistory
from privacy.consent.preferences import (
    Answer,
    Chosen,
    Offer,
    Person,
    Scope,
    Shown,
    notice_in_force,
    offers,
    outcome_of,
)
from privacy.consent.purpose import Purpose
from privacy.consent.standing import counts_at, folded, standing_of

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SOON, LONG = timedelta(seconds=1), timedelta(days=9)
OWN, OTHER = "aa" * 32, "bb" * 32
LINK = Link(OWN, "email", "*")
PURPOSES = (
    Purpose("news", "News", "opt_in", {"default": "consent"}, ("email", "sms")),
    Purpose("ads", "Adverts", "opt_out", {"default": "legitimate_interests"}, ("web",)),
    Purpose("all", "Bound to none", "opt_in", {"default": "consent"}, honours_gpc=False),
    Purpose("orders", "Orders", "notice_only", {"default": "contract"}, ("email",)),
)
NOTICES = (
    Notice("news", "1", ("news", "ads"), {"en": "One", "de": "Eins"}),
    Notice("news", "2", ("news",), {"en": "Two"}),
    Notice("all", "1", ("all",), {"en": "All"}, effective_from=NOON - timedelta(days=1)),
)
PUT: tuple[Purpose | Notice, ...] = (*PURPOSES, *NOTICES)
POLICY: Policy = PolicyHistory(
    [Applied(one, turn, NOON - timedelta(days=9)) for turn, one in enumerate(PUT)]
).current
SCOPES: list[Scope] = [(one.key, channel) for one in PURPOSES for channel in one.channels or ("",)]
ACTS = st.builds(
    lambda key, scope, action, days: Act(
        *(key, "email", scope[0], action, NOON - timedelta(days=days), "api"),
        channel=scope[1],
        notice=("all/1" if scope[0] == "all" else "news/1") if action == "grant" else None,
    ),
    st.sampled_from([OWN, OWN, OTHER]),
    st.sampled_from([*SCOPES, ("news", ""), ("*", ""), ("*", "email")]),
    st.sampled_from(["grant", "withdraw", "refuse", "object", "expire"]),
    st.integers(-3, 5).filter(bool),
).filter(lambda act: act.purpose != "*" or act.action in {"withdraw", "object"})
BARS = st.builds(
    lambda key, action, days: Act(
        key, "email", "*", action, NOON - timedelta(days=days), "api", evidence="case 1"
    ),
    st.sampled_from([OWN, OWN, OTHER]),
    st.sampled_from(["suppress", "release", "restrict", "lift"]),
    st.integers(1, 5),
)
SAID = st.lists(st.one_of(ACTS, ACTS, ACTS, BARS), max_size=8)
ANSWERS: st.SearchStrategy[dict[Scope, Answer]] = st.dictionaries(
    st.sampled_from(SCOPES), st.sampled_from(["yes", "no"])
)


def person_after(acts: Sequence[Act], person: Person | None = None) -> Person:
    """Return a person of whom these acts are on record, after what stood of them."""
    standings = dict(person.standings) if person is not None else {}
    for number, act in enumerate(acts):
        known = standings.get(act.subject_key, ())
        timed = replace(act, at=counts_at(known, act, NOON))
        event = ConsentEvent(f"{len(standings)}-{number}", 1, number, timed, timed.at, NOON, "test")
        standings[act.subject_key] = folded([standing_of(event)], known)
    return Person(LINK, standings)


def freed(person: Person) -> Person:
    """Return a person whom nothing bars any more, so that what they said alone counts."""
    ends = [
        Act(key, "email", "*", action, NOON, "api")
        for key in person.standings
        for action in ("release", "lift")
    ]
    return person_after(ends, person)


def seen(page: list[Offer], answers: dict[Scope, Answer]) -> Chosen:
    """Return what comes back from a page on which these answers were chosen."""
    before = {(one.purpose.key, line.channel): line.state for one in page for line in one.lines}
    shown = {one.purpose.key: one.shown for one in page if one.shown is not None}
    return Chosen("save", answers, before, shown)


def allows(person: Person, purpose: str, channel: str, after: timedelta = SOON) -> bool:
    people = list(person.standings.values())
    return decide(POLICY, people, Question(purpose, channel), NOON + after).allow


@given(acts=SAID, answers=ANSWERS, gpc=st.booleans())
def test_a_choice_holds_at_once_and_choosing_it_again_changes_nothing(
    acts: list[Act], answers: dict[Scope, Answer], *, gpc: bool
) -> None:
    person = person_after(acts)
    page = offers(POLICY, person, "en", NOON, gpc=gpc)
    chosen = seen(page, answers)
    outcome = outcome_of(POLICY, person, chosen, "en", NOON, gpc=gpc)
    assert outcome.outdated == ()
    for act in outcome.acts:
        check_act(act, POLICY.purposes.get(act.purpose), POLICY.notices.get(act.notice or ""))
        assert (act.subject_key, act.at) == (OWN, NOON)
    after = freed(person_after(outcome.acts, person))
    ahead = any(act.at > NOON and act.action != "grant" for act in acts)
    for offer in page:
        for line in offer.lines:
            scope = (offer.purpose.key, line.channel)
            answer, allowed = answers.get(scope), allows(after, *scope)
            if not offer.has_choice:
                assert allowed
            elif line.by_signal or answer == "no":
                assert not allowed
                assert line.by_signal or line.state == "no" or not allows(after, *scope, LONG)
            elif answer == "yes" and line.can_allow and set(after.standings) <= {OWN} and not ahead:
                assert allowed
            elif answer is None and not gpc:
                assert allowed == allows(freed(person), *scope)
    barred = person_after(outcome.acts, person)
    again = outcome_of(POLICY, barred, chosen, "en", NOON, gpc=gpc).acts
    assert [act for act in again if act.action != "grant" or not ahead] == []


@given(acts=SAID, answers=ANSWERS, data=st.data())
def test_a_yes_needs_the_text_that_is_in_force(
    acts: list[Act], answers: dict[Scope, Answer], data: st.DataObject
) -> None:
    person = person_after(acts)
    page = offers(POLICY, person, "en", NOON, gpc=False)
    chosen = seen(page, answers)
    wrong: Any = data.draw(
        st.sampled_from([None, Shown("news/1", "en", NOTICES[0].digest("en")), Shown("x", "", "")])
    )
    shown = {} if wrong is None else dict.fromkeys(chosen.shown, wrong)
    outcome = outcome_of(POLICY, person, replace(chosen, shown=shown), "en", NOON, gpc=False)
    given_to = {act.purpose for act in outcome.acts if act.action == "grant"}
    assert given_to <= ({"ads"} if wrong is not None and wrong.notice == "news/1" else set())
    assert not given_to & set(outcome.outdated)
    after = freed(person_after(outcome.acts, person))
    for (purpose, channel), answer in answers.items():
        if answer == "no" and purpose != "orders":
            assert not allows(after, purpose, channel)
            if chosen.before[purpose, channel] != "no":
                assert not allows(after, purpose, channel, LONG)


@given(acts=SAID)
def test_one_press_stops_everything_that_can_be_stopped(acts: list[Act]) -> None:
    person = person_after(acts)
    outcome = outcome_of(POLICY, person, Chosen("stop"), "", NOON, gpc=False)
    assert not allows(person_after(outcome.acts, person), "news", "email")
    after = freed(person_after(outcome.acts, person))
    for when in (SOON, LONG):
        assert [scope for scope in SCOPES if allows(after, *scope, when)] == [("orders", "email")]
    assert outcome_of(POLICY, after, Chosen("stop"), "", NOON, gpc=False).acts == ()


def test_the_notice_in_force_is_the_last_that_is_effective() -> None:
    def reference(purpose: str, at: datetime) -> str | None:
        found = notice_in_force(POLICY, purpose, at)
        return None if found is None else found.reference

    assert reference("news", NOON) == "news/2"
    assert reference("ads", NOON) == "news/1"
    assert reference("all", NOON) == "all/1"
    assert reference("all", NOON - timedelta(days=2)) is None
    assert reference("orders", NOON) is None
