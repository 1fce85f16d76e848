"""Every indicator, method, period and correction against counting by hand, on random events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.budgeting import Budgeting, Method
from slo.evaluation import read_budget
from slo.indicator import Condition, Indicator, Threshold
from slo.lookback import read_lookbacks
from slo.objective import Objective, Part
from slo.period import Period, parse_period
from slo.window import MINUTE, Window
from tests.support.stores import forget_events

DUBLIN = ZoneInfo("Europe/Dublin")
AT = datetime(2026, 10, 25, 9, 0, tzinfo=UTC)
"""The morning after the clocks went back in Dublin: that day has 25 hours."""
MIDNIGHT = datetime(2026, 10, 25, tzinfo=DUBLIN).astimezone(UTC)
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TARGET = Decimal("0.9")


@dataclass(frozen=True)
class Sent:
    """One event in the terms of the oracle; ``late`` ones arrive in a second insert."""

    minute: int
    second: int
    outcome: str
    duration: float | None
    late: bool

    @property
    def at(self) -> datetime:
        return AT - timedelta(minutes=self.minute) + timedelta(seconds=self.second)


SENT = st.lists(
    st.builds(
        Sent,
        st.integers(1, 700),
        st.integers(0, 59),
        st.sampled_from(("ok", "ok", "error", "")),
        st.sampled_from((None, 0.0, 99.5, 100.0, 100.5, 500.0)),
        st.booleans(),
    ),
    max_size=60,
)
GAPS = st.lists(st.tuples(st.integers(1, 700), st.integers(1, 90)), max_size=3)
VALID = (Condition("journey", "any", ("checkout",)),)
Judge = Callable[[Sent], bool | None]
INDICATORS: dict[str, tuple[Indicator, Judge]] = {
    "good": (
        Indicator(VALID, (Condition("outcome", "any", ("ok",)),)),
        lambda one: one.outcome == "ok",
    ),
    "bad": (
        Indicator(VALID, (Condition("outcome", "any", ("error",)),), inverted=True),
        lambda one: one.outcome != "error",
    ),
    "latency, from the rollup": (
        Indicator(VALID, threshold=Threshold("duration_ms", "lte", 100.0)),
        lambda one: None if one.duration is None else one.duration <= 100,
    ),
    "latency, from the events": (
        Indicator(VALID, threshold=Threshold("duration_ms", "lt", 100.0)),
        lambda one: None if one.duration is None else one.duration < 100,
    ),
    "freshness": (Indicator(VALID, freshness=30 * MINUTE), lambda _: True),
}
METHODS: dict[str, Budgeting] = {
    "Occurrences": Budgeting(),
    "Timeslices": Budgeting("Timeslices", 7 * MINUTE, Decimal("0.6")),
    "RatioTimeslices": Budgeting("RatioTimeslices", 5 * MINUTE),
}
PERIODS = ("1h", "6h", "1d@Europe/Dublin")


@pytest.mark.parametrize("case", list(product(INDICATORS, METHODS)), ids=", ".join)
@given(sent=SENT, gaps=GAPS, text=st.sampled_from(PERIODS))
@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_store_counts_is_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore,
    case: tuple[str, str],
    sent: list[Sent],
    gaps: list[tuple[int, int]],
    text: str,
) -> None:
    fill(embedded_telemetry, sent)
    kind, method = case
    indicator, judge = INDICATORS[kind]
    objective = promised(indicator, METHODS[method], parse_period(text))
    left_out = left_out_by(gaps)

    def units(window: Window) -> list[Unit]:
        if kind == "freshness":
            return outside(fresh_minutes(sent, window), left_out)
        return outside(minutes_of(sent, judge, window), left_out)

    window, origin = whole_of(text)
    reading = read_budget(embedded_telemetry, objective, AT, gaps=left_out)
    assert reading.budget.sli == sli(units(window), METHODS[method], window, origin)
    gone = {objective.name: left_out}
    (read,) = read_lookbacks(embedded_telemetry, [objective], AT, [{HOUR}], gone)
    if method == "Occurrences":
        hour = units(Window(AT - HOUR, AT))
        counted = (sum(unit[1] for unit in hour), sum(unit[2] for unit in hour))
        assert (read[HOUR].good, read[HOUR].valid) == counted


def whole_of(text: str) -> tuple[Window, datetime]:
    """Return the window of a period that ends now, and where its slices begin."""
    if "@" in text:
        return Window(MIDNIGHT, AT), MIDNIGHT
    return Window(AT - hours(text), AT), EPOCH


def left_out_by(gaps: Sequence[tuple[int, int]]) -> list[Window]:
    return merged([Window(AT - a * MINUTE, AT - a * MINUTE + b * MINUTE) for a, b in gaps])


def fill(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    forget_events(telemetry)
    for late in (False, True):
        rows: list[Any] = [
            Event(
                f"{number}-{late}",
                *("native", "x", "", one.at, AT, "checkout"),
                outcome=one.outcome,
                duration_ms=one.duration,
            )
            for number, one in enumerate(sent)
            if one.late is late
        ]
        if rows:
            insert_events(telemetry, [encode_events(rows)], f"late: {late}")


def promised(indicator: Indicator, budgeting: Budgeting, period: Period) -> Objective:
    part = Part("sli", indicator, budgeting=budgeting)
    return Objective("o", "shop", "", "", TARGET, period, (part,))


Unit = tuple[datetime, int, int]
"""A minute with its good and its valid events."""


def minutes_of(sent: Sequence[Sent], judge: Judge, window: Window) -> list[Unit]:
    units: dict[datetime, list[int]] = {}
    for one in sent:
        verdict = judge(one)
        if verdict is None or not window.since <= one.at < window.until:
            continue
        unit = units.setdefault(one.at.replace(second=0), [0, 0])
        unit[0] += verdict
        unit[1] += 1
    return [(minute, good, valid) for minute, (good, valid) in sorted(units.items())]


def fresh_minutes(sent: Sequence[Sent], window: Window) -> list[Unit]:
    units = []
    minute = window.since
    while minute < window.until:
        ends = minute + MINUTE
        before = [one.at for one in sent if one.at < ends]
        if before:
            age = ends - max(before).replace(second=0)
            units.append((minute, int(age <= 30 * MINUTE), 1))
        minute = ends
    return units


def sli(
    units: Sequence[Unit], budgeting: Budgeting, window: Window, origin: datetime
) -> Fraction | None:
    method: Method = budgeting.method
    if method == "Occurrences":
        valid = sum(unit[2] for unit in units)
        return Fraction(sum(unit[1] for unit in units), valid) if valid else None
    slices: dict[int, list[int]] = {}
    for minute, good, valid in units:
        number = (minute - origin) // budgeting.slice_length
        if origin + number * budgeting.slice_length >= window.since:
            counted = slices.setdefault(number, [0, 0])
            counted[0] += good
            counted[1] += valid
    if not slices:
        return None
    if method == "Timeslices":
        reached = [Fraction(a, b) >= Fraction("0.6") for a, b in slices.values()]
        return Fraction(sum(reached), len(reached))
    ratios = [Fraction(round(Fraction(a * 10**18, b)), 10**18) for a, b in slices.values()]
    return sum(ratios, Fraction(0)) / len(ratios)


def outside(units: Sequence[Unit], gaps: Sequence[Window]) -> list[Unit]:
    return [unit for unit in units if not any(gap.since <= unit[0] < gap.until for gap in gaps)]


def merged(windows: Sequence[Window]) -> list[Window]:
    minutes = sorted(
        {
            window.since + n * MINUTE
            for window in windows
            for n in range(window.minutes)
            if window.since + n * MINUTE < AT
        }
    )
    result: list[Window] = []
    for minute in minutes:
        if result and result[-1].until == minute:
            result[-1] = Window(result[-1].since, minute + MINUTE)
        else:
            result.append(Window(minute, minute + MINUTE))
    return result


def hours(text: str) -> timedelta:
    return timedelta(hours=int(text.removesuffix("h")))
