from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.budgeting import (
    OCCURRENCES,
    Budgeting,
    Method,
    Place,
    coverage,
    expected_slices,
    slices_over,
)
from slo.window import MINUTE, Window
from tests.support.stores import NOON

HOUR = Window(NOON, NOON + timedelta(hours=1))
FIVE = timedelta(minutes=5)


def by(method: Method, length: timedelta = MINUTE, target: str = "0.9") -> Budgeting:
    return Budgeting(method, length, Decimal(target) if method == "Timeslices" else None)


@given(st.integers(1, 120), st.integers(0, 300), st.integers(1, 600))
def test_as_many_slices_are_expected_as_begin_in_the_span(
    length: int, offset: int, width: int
) -> None:
    span = Window(NOON + offset * MINUTE, NOON + (offset + width) * MINUTE)
    budgeting = by("RatioTimeslices", length * MINUTE)
    begins = [n for n in range(offset, offset + width) if n % length == 0]
    assert expected_slices(budgeting, Place(span, NOON)) == len(begins)


@given(st.integers(1, 120), st.integers(0, 300), st.integers(1, 600), st.integers(0, 1000))
def test_a_slice_is_over_once_all_of_it_is(length: int, offset: int, width: int, at: int) -> None:
    span = Window(NOON + offset * MINUTE, NOON + (offset + width) * MINUTE)
    budgeting = by("Timeslices", length * MINUTE)
    over = [
        n for n in range(offset, offset + width) if n % length == 0 and n + length <= offset + width
    ]
    instants = [NOON + at * MINUTE, span.until]
    assert slices_over(budgeting, Place(span, NOON), instants) == [
        sum(n + length <= at for n in over),
        len(over),
    ]


def test_coverage_is_measured_over_expected() -> None:
    assert coverage(2, 4) == 0.5
    assert coverage(5, 4) == 1
    assert coverage(0, 0) is None
    assert expected_slices(OCCURRENCES, Place(HOUR)) == 60


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(0, 5, 11), (1, 9, 12), (3, 20, 9), (56, 60, 12), (55, 60, 11), (0, 60, 0)],
)
def test_a_slice_is_not_expected_when_a_gap_leaves_nothing_of_it(
    since: int, until: int, expected: int
) -> None:
    gap = Window(NOON + since * MINUTE, NOON + until * MINUTE)
    place = Place(HOUR, gaps=[gap])
    assert expected_slices(by("Timeslices", FIVE), place) == expected
    assert slices_over(by("Timeslices", FIVE), place, [HOUR.until]) == [expected]
    assert expected_slices(OCCURRENCES, place) == 60 - gap.minutes


def test_of_a_slice_that_goes_on_only_the_time_so_far_must_lie_in_the_gap() -> None:
    span = Window(NOON, NOON + 7 * MINUTE)
    gap = Window(NOON + FIVE, span.until)
    assert expected_slices(by("Timeslices", FIVE), Place(span, gaps=[gap])) == 1
