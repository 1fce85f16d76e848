from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.budgeting import Place
from slo.composite import Combination, Measure, bad_ratio, silent_share, spent_at
from slo.window import MINUTE, Window
from tests.support.stores import NOON

HOUR = Window(NOON, NOON + timedelta(hours=1))


def part(
    weight: int, good: int = 0, valid: int = 0, late: Fraction = Fraction(0), *, bad: bool = False
) -> Measure:
    return Measure(Fraction(weight), valid - good, valid, late, bad)


COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20)
"""The good and the bad of each minute from noon on."""
COMBINATIONS = st.sampled_from(["weighted", "journey"])


def measures(minutes: Sequence[Sequence[tuple[int, int]]]) -> list[Measure]:
    return [
        part(number, sum(good for good, _ in own), sum(good + bad for good, bad in own))
        for number, own in enumerate(minutes, 1)
    ]


def test_the_bad_ratio_is_the_weighted_sum_of_the_parts() -> None:
    parts = [part(3, 90, 100), part(1, 50, 100)]
    assert bad_ratio(parts, "weighted") == Fraction(3, 4) / 10 + Fraction(1, 4) / 2


def test_volume_is_no_weight() -> None:
    parts = [part(1, 0, 1), part(1, 10**6, 10**6)]
    assert bad_ratio(parts, "weighted") == Fraction(1, 2)


def test_a_journey_is_good_when_every_step_is() -> None:
    parts = [part(1, 90, 100), part(1, 80, 100)]
    assert bad_ratio(parts, "journey") == 1 - Fraction(72, 100)


def test_a_part_without_events_takes_no_part() -> None:
    parts = [part(1, 90, 100), part(9)]
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
    heard = [Window(NOON + one * MINUTE, NOON + (one + 1) * MINUTE) for one in minutes]
    assert silent_share(heard, Place(HOUR), longest * MINUTE) == Fraction(late, 60)


def test_silence_begins_anew_after_a_gap_and_is_a_share_of_the_rest() -> None:
    gap = Window(NOON + 20 * MINUTE, NOON + 50 * MINUTE)
    assert silent_share([], Place(HOUR, gaps=[gap]), 15 * MINUTE) == Fraction(5, 30)
    assert silent_share([], Place(HOUR, gaps=[HOUR]), 15 * MINUTE) == 0


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (False, Fraction(1, 2) * Fraction(1, 10)),
        (True, Fraction(1, 2) * Fraction(1, 10) + Fraction(1, 2)),
    ],
)
def test_late_time_counts_as_it_is_told(bad: bool, expected: Fraction) -> None:  # noqa: FBT001 - a parameter
    assert part(1, 90, 100, Fraction(1, 2), bad=bad).bad_ratio == expected


@pytest.mark.parametrize(("bad", "expected"), [(False, 0), (True, 1)])
def test_a_part_that_was_never_heard_counts_as_it_is_told(bad: bool, expected: int) -> None:  # noqa: FBT001 - as above
    assert part(1, late=Fraction(5, 6), bad=bad).bad_ratio == expected


@given(st.lists(COUNTS, min_size=1, max_size=4), COMBINATIONS)
def test_a_bad_ratio_never_falls_and_ends_with_the_whole(
    minutes: list[list[tuple[int, int]]], combination: Combination
) -> None:
    parts = measures(minutes)
    whole = bad_ratio(parts, combination)
    if whole is None:
        return
    ratios = [
        bad_ratio(parts, combination, [sum(bad for _, bad in own[:number]) for own in minutes])
        for number in range(21)
    ]
    assert ratios == sorted(ratios, key=lambda one: one or 0)
    assert ratios[-1] == whole
    assert 0 <= whole <= 1


@given(
    st.lists(COUNTS, min_size=1, max_size=4),
    COMBINATIONS,
    st.fractions(0, 1),
    st.sampled_from((timedelta(hours=1), timedelta(days=30), timedelta(days=366))),
)
def test_a_budget_is_spent_at_the_first_instant_that_reaches_it(
    minutes: list[list[tuple[int, int]]],
    combination: Combination,
    allowed: Fraction,
    length: timedelta,
) -> None:
    parts = measures(minutes)

    def bad_by(instants: Sequence[datetime]) -> list[list[int]]:
        assert len(instants) <= 256
        return [
            [sum(bad for _, bad in own[: max(0, (at - NOON) // MINUTE)]) for own in minutes]
            for at in instants
        ]

    ends = [NOON + number * MINUTE for number in range(1, 22)]
    ratios = [bad_ratio(parts, combination, bad) or 0 for bad in bad_by(ends)]
    reached = [at for at, one in zip(ends, ratios, strict=True) if one > 0 and one >= allowed]
    found = spent_at(parts, combination, allowed, Window(NOON, NOON + length), bad_by)
    assert found == (reached[0] if reached else None)
