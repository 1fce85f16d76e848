"""The decision, rule by rule: a pure function that always has an answer."""

from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.consent.decision import (
    STATE_UNAVAILABLE,
    SUBJECT_UNRESOLVED,
    Allowing,
    Decision,
    Denying,
    Gap,
    Question,
    decide,
)
from privacy.consent.notice import Notice
from privacy.consent.policy import Applied, PolicyHistory
from privacy.consent.purpose import Purpose
from privacy.consent.standing import Standing, Standings, folded
from tests.support.stores import NOON

DAY = timedelta(days=1)
MARKETING = Purpose(
    "marketing",
    "Marketing",
    "opt_in",
    {"default": "consent", "US": "legitimate_interests", "AU": "contract"},
    ("email", "sms"),
    ("esp-1",),
)
BARE = Purpose("bare", "Bare", "opt_in", {"AU": "consent"})
LOOSE = Purpose("loose", "Loose", "opt_out", {"default": "consent"})
TOLD = Purpose("told", "Told", "notice_only", {"default": "legitimate_interests"})
NEWSLETTER = Notice("newsletter", "1", ("marketing",), {"en": "May we?"})


def history(*subjects: Purpose | Notice) -> PolicyHistory:
    return PolicyHistory(
        Applied(subject, turn, NOON - 9 * DAY + turn * DAY)
        for turn, subject in enumerate(subjects, 1)
    )


POLICY = history(MARKETING, BARE, LOOSE, TOLD, NEWSLETTER).current


def said(  # noqa: PLR0913 - whatever a test wants to be different
    action: str,
    at: datetime = NOON - DAY,
    *,
    purpose: str = "marketing",
    channel: str = "email",
    source: str = "api",
    starts: datetime | None = None,
    notice: str = "newsletter/1",
) -> Standing:
    return Standing(purpose, channel, action, at, starts or at, f"{action} {at}", source, notice)


def reason(
    *standings: Standing,
    question: Question | None = None,
    now: datetime = NOON,
) -> str:
    return told(*standings, question=question, now=now).reason


def told(*standings: Standing, question: Question | None = None, now: datetime = NOON) -> Decision:
    asked = question or Question("marketing", "email")
    return decide(POLICY, [folded(standings)], asked, now)


def test_the_reasons_are_the_closed_list_of_the_interface() -> None:
    assert len({*get_args(Allowing), *get_args(Denying), *get_args(Gap)}) == 21
    assert SUBJECT_UNRESOLVED.allow is STATE_UNAVAILABLE.allow is False


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ([], "never_asked"),
        ([said("grant")], "granted"),
        ([said("import")], "granted"),
        ([said("grant"), said("withdraw", NOON)], "withdrawn"),
        ([said("grant", NOON), said("withdraw", NOON)], "withdrawn"),
        ([said("withdraw"), said("grant", NOON)], "granted"),
        ([said("refuse")], "refused"),
        ([said("grant"), said("object", NOON)], "objection"),
        ([said("grant"), said("expire", NOON)], "expired"),
        ([said("expire")], "expired"),
        ([said("expire", channel="")], "expired"),
        ([said("grant", NOON), said("expire")], "granted"),
        ([said("grant", starts=NOON + DAY)], "not_yet_effective"),
        ([said("grant", notice="other/1")], "stale_notice"),
        ([said("grant", channel=""), said("withdraw", NOON)], "channel_opt_out"),
        ([said("withdraw", channel=""), said("grant", NOON)], "granted"),
        ([said("grant"), said("withdraw", NOON, channel="")], "withdrawn"),
        ([said("withdraw"), said("grant", NOON, channel="")], "channel_opt_out"),
        ([said("grant", channel=""), said("expire", NOON, channel="")], "expired"),
        ([said("grant"), said("withdraw", NOON, purpose="*", channel="")], "global_opt_out"),
        ([said("grant"), said("withdraw", NOON, purpose="*")], "channel_opt_out"),
        ([said("grant"), said("object", NOON, purpose="*", channel="")], "objection"),
        ([said("grant", NOON), said("withdraw", purpose="*", channel="")], "granted"),
        ([said("grant", NOON, channel=""), said("withdraw", purpose="*")], "channel_opt_out"),
        ([said("grant"), said("withdraw", NOON, source="gpc")], "gpc"),
        ([said("withdraw", purpose="*", channel="", source="gpc")], "gpc"),
        ([said("grant"), said("suppress", NOON, purpose="*", channel="")], "suppressed"),
        ([said("grant"), said("restrict", NOON, purpose="*", channel="")], "restricted"),
        (
            [
                said("grant"),
                said("suppress", purpose="*", channel=""),
                said("restrict", purpose="*", channel=""),
            ],
            "suppressed",
        ),
        (
            [
                said("grant"),
                said("restrict", purpose="*", channel=""),
                said("lift", NOON, purpose="*", channel=""),
            ],
            "granted",
        ),
        ([said("grant", purpose="other"), said("grant", channel="sms")], "never_asked"),
    ],
)
def test_what_was_said_decides(standings: list[Standing], expected: str) -> None:
    assert reason(*standings) == expected
    assert told(*standings).allow is (expected in get_args(Allowing))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (Question("nothing"), "purpose_unknown"),
        (Question("marketing", "email", recipient="esp-2"), "recipient_not_covered"),
        (Question("marketing", "email", recipient="esp-1"), "granted"),
        (Question("bare", jurisdictions=("DE",)), "jurisdiction_not_covered"),
        (Question("bare"), "jurisdiction_not_covered"),
        (Question("bare", jurisdictions=("AU", "DE")), "jurisdiction_not_covered"),
        (Question("bare", jurisdictions=("AU-NSW",)), "never_asked"),
        (Question("marketing", "sms"), "never_asked"),
        (Question("marketing", "fax"), "never_asked"),
        (Question("marketing", "email", gpc=True), "gpc"),
        (Question("marketing", "email", gpc=True, jurisdictions=("AU",)), "legal_basis"),
        (Question("marketing", "sms", jurisdictions=("US-CA",)), "legal_basis"),
        (Question("marketing", "sms", jurisdictions=("AU", "US")), "legal_basis"),
        (Question("marketing", "sms", jurisdictions=("AU", "DE")), "never_asked"),
        (Question("loose"), "opt_out_default"),
        (Question("loose", gpc=True), "gpc"),
        (Question("told"), "legal_basis"),
    ],
)
def test_the_question_and_the_purpose_decide(question: Question, expected: str) -> None:
    assert reason(said("grant"), question=question) == expected


def test_a_no_counts_where_there_is_a_choice_and_not_where_there_is_none() -> None:
    no = said("withdraw", NOON, channel="")
    for jurisdiction, expected in (("US", "withdrawn"), ("AU", "legal_basis")):
        question = Question("marketing", "email", jurisdictions=(jurisdiction,))
        assert reason(said("grant"), no, question=question) == expected
    suppressed = said("suppress", purpose="*", channel="")
    question = Question("marketing", "email", jurisdictions=("AU",))
    assert reason(suppressed, question=question) == "suppressed"


def test_the_strictest_identifier_of_a_person_wins() -> None:
    one, other = folded([said("withdraw")]), folded([said("grant", NOON)])
    asked = Question("marketing", "email")
    for person in ([one, other], [other, one]):
        assert decide(POLICY, person, asked, NOON).reason == "withdrawn"
    assert decide(POLICY, [(), other], asked, NOON).reason == "granted"
    old = folded([said("grant", NOON - 2 * DAY, notice="other/1")])
    assert decide(POLICY, [old, other], asked, NOON).reason == "granted"
    assert decide(POLICY, [other, old], asked, NOON).reason == "granted"


def test_a_yes_ends_with_its_time_and_with_the_purpose() -> None:
    lasting = Purpose(
        *("marketing", "M", "opt_in", {"default": "consent"}, ("email",), (), ()),
        validity=2 * DAY,
        retired_at=NOON + DAY / 2,
    )
    policy = history(lasting, NEWSLETTER).current
    person: list[Standings] = [(said("grant"),)]
    asked = Question("marketing", "email")
    assert decide(policy, person, asked, NOON).valid_until == NOON + DAY / 2
    assert decide(policy, person, asked, NOON + DAY / 2).reason == "purpose_retired"
    policy = history(NEWSLETTER_PURPOSE, NEWSLETTER).current
    assert decide(policy, person, asked, NOON).valid_until == NOON + DAY
    assert decide(policy, person, asked, NOON + DAY).reason == "expired"


NEWSLETTER_PURPOSE = Purpose(
    "marketing", "M", "opt_in", {"default": "consent"}, ("email",), validity=2 * DAY
)


def test_the_policy_of_a_moment_holds_what_was_put_by_then() -> None:
    past = history(MARKETING, NEWSLETTER, BARE)
    assert set(past.at_turn(0).purposes) == set()
    assert set(past.at_turn(1).purposes) == {"marketing"}
    assert set(past.at(NOON - 7 * DAY).notices) == {"newsletter/1"}
    assert past.at_turn(3).turn == 3
    orphan = Notice("orphan", "1", ("nothing",), {"en": "?"})
    assert history(orphan).current.reaches == {}


ACTIONS = st.sampled_from(
    [
        *("grant", "import", "withdraw", "object", "refuse"),
        *("expire", "suppress", "release", "restrict", "lift"),
    ]
)
STANDINGS = st.builds(
    said,
    ACTIONS,
    st.integers(-5, 5).map(lambda days: NOON + days * DAY),
    purpose=st.sampled_from(["marketing", "*", "loose"]),
    channel=st.sampled_from(["", "email"]),
)


@given(
    person=st.lists(st.lists(STANDINGS, max_size=6).map(folded), max_size=3),
    question=st.builds(
        Question,
        st.sampled_from(["marketing", "loose", "told", "bare", "nothing"]),
        st.sampled_from(["", "email", "fax"]),
        jurisdictions=st.sampled_from([(), ("AU",), ("US",), ("AU", "US")]),
        gpc=st.booleans(),
    ),
    no=st.sampled_from(["withdraw", "object", "refuse"]),
)
def test_there_is_always_an_answer_and_one_more_no_never_allows_more(
    person: list[Standings], question: Question, no: str
) -> None:
    before = decide(POLICY, person, question, NOON)
    assert before.allow is (before.reason in get_args(Allowing))
    further = [*person, (said(no, NOON, purpose="*", channel=""),)]
    after = decide(POLICY, further, question, NOON)
    assert before.allow or not after.allow


@given(acts=st.lists(STANDINGS, max_size=8))
def test_what_stands_is_little_and_does_not_depend_on_being_folded_at_once(
    acts: list[Standing],
) -> None:
    known: Standings = ()
    for one in acts:
        known = folded([one], known)
    assert known == folded(acts)
    assert len(known) <= len(acts)
