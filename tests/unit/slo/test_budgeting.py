from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.budget import EventCounts, Slice
from slo.budgeting import (
    OCCURRENCES,
    Budgeting,
    Method,
    Share,
    coverage,
    expected_slices,
    outside,
    shares_of,
    with_unmeasured_bad,
)
from slo.window import MINUTE, Window
from tests.support.stores import NOON

HOUR = Window(NOON, NOON + timedelta(hours=1))
FIVE = timedelta(minutes=5)
COUNTS = st.tuples(st.integers(0, 50), st.integers(0, 50))


def minutes(*counts: tuple[int, int]) -> list[Slice]:
    return [
        Slice(NOON + number * MINUTE, EventCounts(good, good + bad))
        for number, (good, bad) in enumerate(counts)
    ]


def sli(shares: Sequence[Share]) -> Fraction | None:
    valid = sum(share.valid for share in shares)
    return Fraction(sum(share.good for share in shares), valid) if valid else None


def by(method: Method, length: timedelta = MINUTE, target: str = "0.9") -> Budgeting:
    return Budgeting(method, length, Decimal(target) if method == "Timeslices" else None)


BUSY_AND_QUIET = minutes((90, 10), (1, 0), (0, 1))


@pytest.mark.parametrize(
    ("budgeting", "expected"),
    [
        (OCCURRENCES, Fraction(91, 102)),
        (by("Timeslices"), Fraction(2, 3)),
        (by("Timeslices", target="0.91"), Fraction(1, 3)),
        (by("RatioTimeslices"), (Fraction(9, 10) + 1) / 3),
    ],
)
def test_each_method_is_what_its_name_says(budgeting: Budgeting, expected: Fraction) -> None:
    assert sli(shares_of(BUSY_AND_QUIET, budgeting, HOUR)) == expected


def test_a_slice_is_judged_by_all_its_minutes_together() -> None:
    counted = minutes((0, 1), (99, 0), (0, 0), (0, 0), (0, 0), (0, 1))
    shares = shares_of(counted, by("Timeslices", FIVE), HOUR)
    assert [(share.start, share.good, share.valid) for share in shares] == [
        (NOON, 1, 1),
        (NOON + FIVE, 0, 1),
    ]


def test_a_slice_just_at_its_target_is_good() -> None:
    third = Budgeting("Timeslices", MINUTE, Decimal("0.3"))
    assert sli(shares_of(minutes((3, 7)), third, HOUR)) == 1


@given(st.lists(COUNTS, max_size=60))
def test_an_occurrence_is_worth_the_same_in_whatever_minute(counts: list[tuple[int, int]]) -> None:
    shares = shares_of(minutes(*counts), OCCURRENCES, HOUR)
    good, bad = (sum(one[place] for one in counts) for place in (0, 1))
    assert sli(shares) == (Fraction(good, good + bad) if good + bad else None)


@given(st.lists(COUNTS, max_size=60), st.integers(1, 17))
def test_a_slice_without_events_counts_for_nothing(
    counts: list[tuple[int, int]], length: int
) -> None:
    counted = minutes(*counts)
    for method in ("Timeslices", "RatioTimeslices"):
        budgeting = Budgeting(method, length * MINUTE, Decimal("0.5"))
        with_events = [one for one in counted if one.counts.valid]
        shares = shares_of(counted, budgeting, HOUR, NOON)
        assert shares == shares_of(with_events, budgeting, HOUR, NOON)
        assert all(0 <= share.good <= share.valid for share in shares)
        assert len(shares) <= expected_slices(budgeting, HOUR, NOON)


@given(st.integers(1, 120), st.integers(0, 300), st.integers(1, 600))
def test_as_many_slices_are_expected_as_begin_in_the_span(
    length: int, offset: int, width: int
) -> None:
    span = Window(NOON + offset * MINUTE, NOON + (offset + width) * MINUTE)
    budgeting = by("RatioTimeslices", length * MINUTE)
    begins = [n for n in range(offset, offset + width) if n % length == 0]
    assert expected_slices(budgeting, span, NOON) == len(begins)


def test_slices_of_a_rolling_window_stand_still_while_it_moves() -> None:
    budgeting = by("RatioTimeslices", FIVE)
    counted = [Slice(NOON - 3 * MINUTE, EventCounts(1, 1))]
    for moved in range(5):
        span = Window(NOON - timedelta(hours=1, minutes=moved), NOON - moved * MINUTE)
        (share,) = shares_of(counted, budgeting, span)
        assert share.start == NOON - FIVE


def test_time_without_events_can_be_bad_once_its_slice_is_over() -> None:
    span = Window(NOON, NOON + timedelta(minutes=17))
    budgeting = by("Timeslices", FIVE)
    shares = with_unmeasured_bad(
        shares_of(minutes((1, 0)), budgeting, span, NOON), budgeting, span, NOON
    )
    assert [share.good for share in shares] == [1, 0, 0]
    assert coverage(shares, expected_slices(budgeting, span, NOON)) == 0.25


def test_coverage_is_measured_over_expected() -> None:
    shares = shares_of(minutes((1, 0), (0, 0), (0, 3)), OCCURRENCES, HOUR)
    assert coverage(shares, 4) == 0.5
    assert coverage([], 0) is None
    assert expected_slices(OCCURRENCES, HOUR) == 60


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(0, 5, 11), (1, 9, 12), (3, 20, 9), (56, 60, 12), (55, 60, 11), (0, 60, 0)],
)
def test_a_slice_is_not_expected_when_a_gap_leaves_nothing_of_it(
    since: int, until: int, expected: int
) -> None:
    gap = Window(NOON + since * MINUTE, NOON + until * MINUTE)
    slices = by("Timeslices", FIVE)
    assert expected_slices(slices, HOUR, gaps=[gap]) == expected
    assert expected_slices(OCCURRENCES, HOUR, gaps=[gap]) == 60 - gap.minutes
    assert len(with_unmeasured_bad([], slices, HOUR, gaps=[gap])) == expected


def test_of_a_slice_that_goes_on_only_the_time_so_far_must_lie_in_the_gap() -> None:
    span = Window(NOON, NOON + 7 * MINUTE)
    gap = Window(NOON + FIVE, span.until)
    assert expected_slices(by("Timeslices", FIVE), span, gaps=[gap]) == 1


@given(st.lists(st.integers(0, 59)), st.sets(st.integers(0, 59)))
def test_minutes_outside_gaps_are_those_in_none_of_them(at: list[int], out: set[int]) -> None:
    found = [Slice(NOON + one * MINUTE, EventCounts(1, 1)) for one in sorted(at)]
    gaps = [Window(NOON + one * MINUTE, NOON + (one + 1) * MINUTE) for one in sorted(out)]
    rest = [one for one in found if (one.minute - NOON) // MINUTE not in out]
    assert outside(found, gaps) == rest
