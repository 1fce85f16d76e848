from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from candor.kernel.errors import InvalidInputError
from slo.budget import EventCounts
from slo.burn_rate import Restraint, is_firable, max_burn, state_of, tiers_of, warnings_about
from slo.schemas import tiers_document
from slo.window import format_duration

TARGET = Decimal("0.999")
MONTH = timedelta(days=30)


def test_the_factors_of_a_month_are_those_of_the_workbook() -> None:
    tiers = tiers_of(MONTH)
    assert [float(tier.factor) for tier in tiers] == [14.4, 6.0, 3.0, 1.0]
    assert [format_duration(tier.long) for tier in tiers] == ["1h", "6h", "24h", "3d"]
    assert [format_duration(tier.short) for tier in tiers] == ["5m", "30m", "2h", "6h"]
    assert [tier.severity for tier in tiers] == ["page", "page", "ticket", "ticket"]


def test_the_factors_of_another_period_are_derived() -> None:
    assert next(float(tier.factor) for tier in tiers_of(timedelta(days=7))) == 3.36


def test_total_failure_burns_at_the_maximum() -> None:
    assert max_burn(TARGET) == 1000


def test_a_tier_that_can_never_fire_or_fires_too_early_is_pointed_out() -> None:
    low = Decimal("0.9")
    fast, *_, long = tiers_of(MONTH)
    assert (is_firable(fast, low), is_firable(long, low)) == (False, True)
    assert "never fire" in warnings_about(tiers_of(MONTH), low)[0]
    assert all("below 1" in one for one in warnings_about(tiers_of(timedelta(days=1)), TARGET))
    assert warnings_about(tiers_of(MONTH), TARGET) == []


@pytest.mark.parametrize("shares", ["1,2,3", "0,1,2,3", "1,2,3,101"])
def test_shares_are_four_percentages(shares: str) -> None:
    with pytest.raises(InvalidInputError):
        tiers_of(MONTH, [Decimal(share) for share in shares.split(",")])


@pytest.mark.parametrize(
    ("long", "short", "held_back_by"),
    [
        (EventCounts(0, 100), EventCounts(0, 10), None),
        (EventCounts(0, 100), EventCounts(10, 10), "short_window"),
        (EventCounts(100, 100), EventCounts(0, 10), "long_window"),
        (EventCounts(0, 0), EventCounts(0, 0), "no_data"),
        (EventCounts(0, 100), EventCounts(0, 0), "no_data"),
    ],
)
def test_a_tier_fires_when_both_windows_burn_above_the_factor(
    long: EventCounts, short: EventCounts, held_back_by: str | None
) -> None:
    state = state_of(tiers_of(MONTH)[0], TARGET, long, short)
    assert (state.held_back_by, state.firing) == (held_back_by, held_back_by is None)


@pytest.mark.parametrize(
    ("restraint", "held_back_by"),
    [
        (Restraint(minimum_events=100, minimum_bad=20), None),
        (Restraint(minimum_events=101), "minimum_events"),
        (Restraint(minimum_bad=21), "minimum_bad_events"),
        (Restraint(disabled=frozenset({"fast"})), "disabled"),
        (Restraint(disabled=frozenset({"slow"})), None),
    ],
)
def test_a_tier_that_is_restrained_says_by_what(
    restraint: Restraint, held_back_by: str | None
) -> None:
    counts = EventCounts(80, 100)
    state = state_of(tiers_of(MONTH)[0], TARGET, counts, counts, restraint)
    assert (state.held_back_by, state.firing) == (held_back_by, held_back_by is None)


def test_a_healthy_tier_is_held_back_by_its_long_window_first() -> None:
    counts = EventCounts(100, 100)
    state = state_of(tiers_of(MONTH)[0], TARGET, counts, counts, Restraint(minimum_bad=1))
    assert state.held_back_by == "long_window"


def test_a_burn_just_at_the_factor_does_not_fire() -> None:
    tier = tiers_of(MONTH)[0]
    counts = EventCounts(10_000 - 144, 10_000)
    assert state_of(tier, TARGET, counts, counts).long_burn == Fraction(144, 10)
    assert not state_of(tier, TARGET, counts, counts).firing


def test_the_document_of_tiers_has_the_agreed_shape() -> None:
    document = tiers_document(TARGET, tiers_of(MONTH))
    assert document["max_burn"] == 1000.0
    assert document["tiers"][0] == {
        "tier": "fast",
        "severity": "page",
        "long": "1h",
        "short": "5m",
        "budget_share": 0.02,
        "factor": 14.4,
        "firable": True,
    }
