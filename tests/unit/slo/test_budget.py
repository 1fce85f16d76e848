from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from slo.budget import ErrorBudget, EventCounts, JudgedCounts, burn_rate
from slo.window import rolling
from tests.support.stores import NOON

TARGET = Decimal("0.999")
MONTH = rolling(timedelta(days=30), NOON)
COUNTS = st.builds(
    lambda good, bad: EventCounts(good, good + bad), st.integers(0, 10**9), st.integers(0, 10**9)
)
TARGETS = st.decimals("0.001", "0.99999", places=5)


def budget(good: int, valid: int, target: Decimal = TARGET) -> ErrorBudget:
    return ErrorBudget(target, MONTH, EventCounts(good, valid).sli)


def test_a_budget_is_counted_in_events_ratio_and_time() -> None:
    reading = budget(9_997, 10_000)
    assert reading.sli == Fraction(9997, 10000)
    assert reading.consumed == Fraction(3, 10)
    assert reading.remaining == Fraction(7, 10)
    assert reading.bad_events_left(EventCounts(9_997, 10_000)) == 7
    assert reading.seconds_left == Fraction(30 * 86400) * Fraction(7, 10_000)


def test_time_that_is_corrected_is_no_time_to_fail_in() -> None:
    corrected = timedelta(days=10)
    reading = ErrorBudget(TARGET, MONTH, Fraction(9_997, 10_000), corrected)
    assert reading.remaining == Fraction(7, 10)
    assert reading.seconds_left == Fraction(20 * 86400) * Fraction(7, 10_000)


def test_an_overspent_budget_is_negative_and_not_clamped() -> None:
    assert budget(9_980, 10_000).remaining == -1


def test_nothing_measured_is_neither_good_nor_bad() -> None:
    reading = budget(0, 0)
    unknown = (reading.sli, reading.consumed, reading.remaining, reading.seconds_left)
    assert unknown == (None, None, None, None)
    assert reading.bad_events_left(EventCounts(0, 0)) is None


@given(COUNTS, TARGETS)
def test_consumed_and_remaining_add_up_to_the_whole(counts: EventCounts, target: Decimal) -> None:
    reading = ErrorBudget(target, MONTH, counts.sli)
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


def test_judged_counts_burn_by_their_own_sli() -> None:
    judged = JudgedCounts(1, 2, Fraction(999, 1000))
    assert burn_rate(judged, TARGET) == 1
    assert judged.bad == 1
    assert burn_rate(JudgedCounts(1, 2, None), TARGET) is None
