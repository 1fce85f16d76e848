"""Alerts fire at the minute that the arithmetic predicts, once an incident, and end as it says."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from math import floor

import pytest

from slo.alerting import (
    Alert,
    Rules,
    Signal,
    advance,
    default_rules,
    signals_of,
    time_to_exhaustion,
)
from slo.budget import EventCounts
from slo.burn_rule import BurnCondition, BurnRule
from slo.window import MINUTE

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
TARGET = Decimal("0.999")
RATE = 10_000


TIERS = (  # of 30 days; SRE Workbook, chapter 5: minutes of the long window, and the factor
    ("fast", "page", 60, Fraction("14.4")),
    ("medium", "page", 360, Fraction(6)),
    ("slow", "ticket", 1440, Fraction(3)),
    ("long", "ticket", 4320, Fraction(1)),
)


class Traffic:
    """Steady traffic of 10,000 events a minute; ``bad`` says how many of a minute's are bad."""

    def __init__(self, minutes: int, bad: Callable[[int], int]) -> None:
        self.bad = [0, *accumulate(bad(minute) for minute in range(minutes))]

    def counts(self, until: int, length: timedelta) -> EventCounts:
        since = max(0, until - length // MINUTE)
        bad = self.bad[until] - self.bad[since]
        valid = RATE * (until - since)
        return EventCounts(valid - bad, valid)

    def signals(self, until: int, rules: Rules) -> list[Signal]:
        counts = {length: self.counts(until, length) for length in rules.lookbacks(MONTH)}
        return signals_of(rules, TARGET, MONTH, counts)


def opened(signal: Signal, at: datetime) -> Alert:
    return Alert(
        "a", "o", "s", signal.kind, signal.severity, signal.tier, "pending", "", at, at, at
    )


def replay(traffic: Traffic, rules: Rules, minutes: range) -> Iterator[tuple[int, str, str, str]]:
    """Yield (minute, transition, severity, tier) as a minutely evaluation would tell them."""
    alerts: dict[str, Alert] = {}
    for minute in minutes:
        at = START + minute * MINUTE
        for signal in traffic.signals(minute, rules):
            alert = alerts.get(signal.severity)
            if alert is None and not signal.active:
                continue
            after, told = advance(alert or opened(signal, at), signal, rules, at)
            if after is None or after.state == "resolved":
                alerts.pop(signal.severity, None)
            else:
                alerts[signal.severity] = after
            if told and after is not None:
                yield minute, told, after.severity, after.tier


@pytest.mark.parametrize("ratio", [Fraction(1), Fraction(1, 10), Fraction(1, 50)])
def test_an_incident_fires_each_tier_at_its_predicted_minute_and_once(ratio: Fraction) -> None:
    begin = 4 * 1440
    traffic = Traffic(begin + 400, lambda minute: int(RATE * ratio) if minute >= begin else 0)
    told = list(replay(traffic, default_rules(MONTH), range(begin - 60, begin + 400)))

    expected: dict[str, tuple[int, str, str, str]] = {}
    for name, severity, length, factor in TIERS:
        needed = factor * (1 - Fraction(TARGET)) / ratio * length
        fires = (begin + floor(needed) + 1, "fired", severity, name)
        if severity not in expected or fires[0] < expected[severity][0]:
            expected[severity] = fires
    assert sorted(told) == sorted(expected.values())


def test_an_alert_ends_when_the_short_window_is_clean_and_five_minutes_more() -> None:
    begin, length = 4 * 1440, 60
    traffic = Traffic(
        begin + 600, lambda minute: RATE // 50 if begin <= minute < begin + length else 0
    )
    told = list(replay(traffic, default_rules(MONTH), range(begin - 10, begin + 600)))
    # 44 of 60 minutes burn 14.7 times too fast, 43 burn 14.3. A minute after the end 4 of the last
    # 5 minutes burn 16, a minute later 3 of them burn 12; then it is over in five minutes.
    assert [one for one in told if one[2] == "page"] == [
        (begin + 44, "fired", "page", "fast"),
        (begin + length + 1 + 5, "resolved", "page", "fast"),
    ]


def test_burning_at_nine_tenths_never_fires_in_ninety_days() -> None:
    traffic = Traffic(90 * 1440, lambda _: RATE * 9 // 10_000)
    rules = default_rules(MONTH)
    assert list(replay(traffic, rules, range(1, 90 * 1440, 7))) == []


def test_an_incident_that_flickers_is_one_alert() -> None:
    begin = 4 * 1440
    traffic = Traffic(
        begin + 240, lambda minute: RATE // 5 if minute >= begin and minute % 4 < 2 else 0
    )
    told = list(replay(traffic, default_rules(MONTH), range(begin, begin + 240)))
    assert [one[1] for one in told if one[2] == "page"] == ["fired"]


def signal_of(rules: Rules, kind: str, counts: dict[timedelta, EventCounts]) -> Signal:
    return next(one for one in signals_of(rules, TARGET, MONTH, counts) if one.kind == kind)


HOUR = timedelta(hours=1)
ONE_RULE = (BurnRule("r", "page", (BurnCondition(HOUR, Fraction(10)),)),)


@pytest.mark.parametrize(
    ("rules", "active"),
    [
        (Rules(ONE_RULE), True),
        (Rules(ONE_RULE, traffic_floor=101), False),
        (Rules(ONE_RULE, minimum_bad=6), False),
    ],
)
def test_little_traffic_and_few_bad_events_hold_a_rule_back(rules: Rules, *, active: bool) -> None:
    assert signal_of(rules, "burn", {HOUR: EventCounts(95, 100)}).active is active


def test_a_burn_at_the_very_factor_does_not_fire() -> None:
    counts = {HOUR: EventCounts(99, 100)}
    assert not signal_of(Rules(ONE_RULE), "burn", counts).active
    assert signal_of(Rules(ONE_RULE), "burn", {HOUR: EventCounts(98, 100)}).active


def test_unmeasured_windows_do_not_burn() -> None:
    assert not signal_of(Rules(ONE_RULE, minimum_bad=0), "burn", {HOUR: EventCounts(0, 0)}).active


def test_a_low_a_falling_and_a_dying_budget_have_alerts_of_their_own() -> None:
    rules = Rules(
        (),
        remaining_below=Fraction(1, 4),
        drop_share=Fraction(1, 10),
        drop_within=timedelta(hours=24),
        exhausted_within=timedelta(days=2),
    )
    healthy = dict.fromkeys(rules.lookbacks(MONTH), EventCounts(1_000_000, 1_000_000))
    assert not any(one.active for one in signals_of(rules, TARGET, MONTH, healthy))
    spent = healthy | {MONTH: EventCounts(999_200, 1_000_000)}
    assert signal_of(rules, "budget_remaining", spent).active
    fallen = healthy | {timedelta(hours=24): EventCounts(997_000, 1_000_000)}
    assert signal_of(rules, "budget_drop", fallen).active
    burning = spent | {timedelta(hours=6): EventCounts(990_000, 1_000_000)}
    assert signal_of(rules, "exhaustion", burning).active


@pytest.mark.parametrize("kind", ["budget_remaining", "budget_drop", "exhaustion"])
def test_too_few_events_say_nothing_of_a_budget(kind: str) -> None:
    def rules(floor: int) -> Rules:
        return Rules(
            (),
            traffic_floor=floor,
            remaining_below=Fraction(1, 4),
            drop_share=Fraction(1, 10),
            exhausted_within=timedelta(days=2),
        )

    few = dict.fromkeys(rules(0).lookbacks(MONTH), EventCounts(5, 10))
    assert signal_of(rules(10), kind, few).active
    assert not signal_of(rules(11), kind, few).active


def test_silence_is_told_only_where_there_was_traffic() -> None:
    rules = Rules((), no_data_for=HOUR)
    quiet = {HOUR: EventCounts(0, 0), MONTH: EventCounts(5, 5)}
    assert signal_of(rules, "no_data", quiet).active
    assert not signal_of(rules, "no_data", quiet | {MONTH: EventCounts(0, 0)}).active


def test_the_time_to_exhaustion_is_the_rest_over_the_burn() -> None:
    half, double = EventCounts(9995, 10_000), EventCounts(998, 1000)
    assert time_to_exhaustion(TARGET, MONTH, half, double) == timedelta(days=7.5)
    assert time_to_exhaustion(TARGET, MONTH, EventCounts(0, 10), double) == timedelta(0)
    assert time_to_exhaustion(TARGET, MONTH, half, EventCounts(10, 10)) is None
    hardly = EventCounts(10**9 - 1, 10**9)
    left = time_to_exhaustion(Decimal("0.5"), timedelta(days=365), hardly, hardly)
    assert left == timedelta(days=365_000)


def test_a_condition_that_passes_before_its_time_is_never_told() -> None:
    rules = Rules(ONE_RULE, pending_for=2 * MINUTE)
    active = Signal("burn", "page", active=True)
    pending, told = advance(opened(active, START), active, rules, START)
    assert (told, pending and pending.state) == (None, "pending")
    assert pending is not None
    assert advance(pending, Signal("burn", "page", active=False), rules, START + MINUTE) == (
        None,
        None,
    )
    fired, told = advance(pending, active, rules, START + 2 * MINUTE)
    assert (told, fired and fired.state) == ("fired", "firing")
