from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.budget import ErrorBudget, EventCounts, Slice, burn_rate, coverage, exhausted_at
from slo.window import MINUTE, rolling
from tests.support.stores import NOON

TARGET = Decimal("0.999")
MONTH = rolling(timedelta(days=30), NOON)
COUNTS = st.builds(
    lambda good, bad: EventCounts(good, good + bad), st.integers(0, 10**9), st.integers(0, 10**9)
)
TARGETS = st.decimals("0.001", "0.99999", places=5)


def budget(good: int, valid: int, target: Decimal = TARGET) -> ErrorBudget:
    return ErrorBudget(target, MONTH, EventCounts(good, valid))


def test_a_budget_is_counted_in_events_ratio_and_time() -> None:
    reading = budget(9_997, 10_000)
    assert reading.counts.sli == Fraction(9997, 10000)
    assert reading.consumed == Fraction(3, 10)
    assert reading.remaining == Fraction(7, 10)
    assert reading.bad_events_left == 7
    assert reading.seconds_left == Fraction(30 * 86400) * Fraction(7, 10_000)


def test_an_overspent_budget_is_negative_and_not_clamped() -> None:
    assert budget(9_980, 10_000).remaining == -1


def test_nothing_measured_is_neither_good_nor_bad() -> None:
    reading = budget(0, 0)
    unknown = (reading.counts.sli, reading.consumed, reading.remaining)
    assert unknown == (None, None, None)
    assert (reading.bad_events_left, reading.seconds_left) == (None, None)


@given(COUNTS, TARGETS)
def test_consumed_and_remaining_add_up_to_the_whole(counts: EventCounts, target: Decimal) -> None:
    reading = ErrorBudget(target, MONTH, counts)
    if counts.valid:
        assert reading.consumed is not None
        assert reading.remaining is not None
        assert reading.consumed + reading.remaining == 1
        assert reading.remaining <= 1
        assert (reading.consumed > 1) == (counts.sli < Fraction(target))  # type: ignore[operator]  # valid


@given(COUNTS, TARGETS)
def test_a_burn_rate_lies_between_none_and_total_failure(
    counts: EventCounts, target: Decimal
) -> None:
    burn = burn_rate(counts, target)
    assert (burn is None) == (counts.valid == 0)
    assert burn is None or 0 <= burn <= 1 / (1 - Fraction(target))


def slices(*counts: tuple[int, int]) -> list[Slice]:
    return [
        Slice(NOON + number * MINUTE, EventCounts(good, valid))
        for number, (good, valid) in enumerate(counts)
    ]


def test_coverage_is_the_share_of_minutes_with_valid_events() -> None:
    window = rolling(timedelta(minutes=4), NOON)
    assert coverage(slices((1, 1), (0, 0), (0, 3)), window) == 0.5
    assert coverage([], rolling(timedelta(seconds=30), NOON)) is None


@pytest.mark.parametrize(
    ("counts", "minute"),
    [
        ([(9, 10), (10, 10)], None),
        ([(8, 10), (10, 10)], 1),
        ([(9, 10), (9, 10)], 2),
        ([(10, 10), (0, 10)], 2),
        ([], None),
    ],
)
def test_a_budget_is_exhausted_in_the_first_minute_that_spends_all_of_it(
    counts: list[tuple[int, int]], minute: int | None
) -> None:
    expected = None if minute is None else NOON + minute * MINUTE
    assert exhausted_at(reversed(slices(*counts)), Decimal("0.9")) == expected
