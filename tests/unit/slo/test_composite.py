from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.budgeting import Share
from slo.composite import Combination, Delay, Measure, bad_ratio, measure, silent_share, spent_at
from slo.window import MINUTE, Window
from tests.support.stores import NOON

HOUR = Window(NOON, NOON + timedelta(hours=1))


def share(minute: int, good: int, valid: int) -> Share:
    start = NOON + minute * MINUTE
    return Share(start, start + MINUTE, good, valid)


def part(weight: int, *shares: Share, delay: Delay | None = None) -> Measure:
    return measure(shares, Fraction(weight), HOUR, delay)


PARTS = st.lists(
    st.builds(
        lambda weight, counts: part(
            weight, *(share(n, good, good + bad) for n, (good, bad) in enumerate(counts))
        ),
        st.integers(1, 5),
        st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20),
    ),
    min_size=1,
    max_size=4,
)
COMBINATIONS = st.sampled_from(["weighted", "journey"])


def test_the_bad_ratio_is_the_weighted_sum_of_the_parts() -> None:
    parts = [part(3, share(0, 90, 100)), part(1, share(0, 50, 100))]
    assert bad_ratio(parts, "weighted") == Fraction(3, 4) / 10 + Fraction(1, 4) / 2


def test_volume_is_no_weight() -> None:
    parts = [part(1, share(0, 0, 1)), part(1, share(0, 10**6, 10**6))]
    assert bad_ratio(parts, "weighted") == Fraction(1, 2)


def test_a_journey_is_good_when_every_step_is() -> None:
    parts = [part(1, share(0, 90, 100)), part(1, share(0, 80, 100))]
    assert bad_ratio(parts, "journey") == 1 - Fraction(72, 100)


def test_a_part_without_events_takes_no_part() -> None:
    parts = [part(1, share(0, 90, 100)), part(9)]
    assert bad_ratio(parts, "weighted") == Fraction(1, 10)
    assert bad_ratio([part(1)], "weighted") is None


@pytest.mark.parametrize(
    ("minutes", "longest", "late"),
    [
        ([0, 30], 10, 38),
        ([0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55], 4, 0),
        ([], 15, 45),
        ([59], 60, 0),
    ],
)
def test_silence_is_late_beyond_the_longest_allowed(
    minutes: list[int], longest: int, late: int
) -> None:
    shares = [share(minute, 1, 1) for minute in minutes]
    assert silent_share(shares, HOUR, longest * MINUTE) == Fraction(late, 60)


def test_silence_begins_anew_after_a_gap_and_is_a_share_of_the_rest() -> None:
    gap = Window(NOON + 20 * MINUTE, NOON + 50 * MINUTE)
    assert silent_share([], HOUR, 15 * MINUTE, [gap]) == Fraction(5, 30)
    assert silent_share([], HOUR, 15 * MINUTE, [HOUR]) == 0


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("CountAsGood", Fraction(1, 2) * Fraction(1, 10)),
        ("CountAsBad", Fraction(1, 2) * Fraction(1, 10) + Fraction(1, 2)),
        ("Ignore", Fraction(1, 10)),
    ],
)
def test_late_time_counts_as_it_is_told(when: str, expected: Fraction) -> None:
    delay = Delay(29 * MINUTE, when)  # type: ignore[arg-type]  # a parameter of the test
    assert part(1, share(0, 90, 100), delay=delay).bad_ratio == expected


@pytest.mark.parametrize(("when", "expected"), [("CountAsGood", 0), ("CountAsBad", 1)])
def test_a_part_that_was_never_heard_counts_as_it_is_told(when: str, expected: int) -> None:
    silent = part(1, delay=Delay(10 * MINUTE, when))  # type: ignore[arg-type]  # as above
    assert silent.bad_ratio == expected


@given(PARTS, COMBINATIONS)
def test_a_bad_ratio_never_falls_and_ends_with_the_whole(
    parts: list[Measure], combination: Combination
) -> None:
    whole = bad_ratio(parts, combination)
    if whole is None:
        return
    instants: list[datetime] = [NOON + minute * MINUTE for minute in range(22)]
    ratios = [bad_ratio(parts, combination, at) or Fraction(0) for at in instants]
    assert ratios == sorted(ratios)
    assert ratios[-1] == whole
    assert 0 <= whole <= 1


@given(PARTS, COMBINATIONS, st.fractions(0, 1))
def test_a_budget_is_spent_at_the_first_instant_that_reaches_it(
    parts: list[Measure], combination: Combination, allowed: Fraction
) -> None:
    instants = [NOON + minute * MINUTE for minute in range(1, 22)]
    reached = [
        at
        for at in instants
        if (spent := bad_ratio(parts, combination, at) or Fraction(0)) > 0 and spent >= allowed
    ]
    assert spent_at(parts, combination, allowed) == (reached[0] if reached else None)
