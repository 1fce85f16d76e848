"""Whole budgets against counting by hand: parts, delays, silence, gaps, timelines."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.budgeting import Budgeting, Place
from slo.composite import Delay
from slo.evaluation import read_budget, read_judged
from slo.indicator import Condition, Indicator
from slo.lookback import read_lookbacks
from slo.objective import Objective, Part
from slo.period import parse_period
from slo.timeline import read_timeline
from slo.units import read_units
from slo.window import MINUTE, Window
from tests.integration.test_oracle import AT, PERIODS, left_out_by, whole_of
from tests.support.budget_oracle import (
    Minute,
    bad_ratio,
    combined,
    expected,
    late_share,
    spent_at,
    units_of,
)
from tests.support.stores import forget_events

STEPS = ("cart", "payment")
LENGTHS = (timedelta(hours=1), timedelta(hours=5))


@dataclass(frozen=True)
class Sent:
    """So many good and bad events of a step in one minute before now."""

    minute: int
    step: str
    good: int
    bad: int


SENT = st.lists(
    st.builds(
        Sent, st.integers(1, 700), st.sampled_from(STEPS), st.integers(0, 3), st.integers(0, 2)
    ),
    max_size=40,
)
GAPS = st.lists(st.tuples(st.integers(1, 700), st.integers(1, 90)), max_size=3)
BUDGETINGS = st.sampled_from(
    (
        Budgeting(),
        Budgeting("Timeslices", 7 * MINUTE, Decimal("0.6")),
        Budgeting("Timeslices", MINUTE, Decimal("0.999")),
        Budgeting("RatioTimeslices", 5 * MINUTE),
    )
)
DELAYS = st.none() | st.builds(
    lambda minutes, when: Delay(minutes * MINUTE, when),
    st.sampled_from((1, 20, 90)),
    st.sampled_from(("CountAsGood", "CountAsBad", "Ignore")),
)
PARTS = st.lists(st.tuples(BUDGETINGS, DELAYS, st.integers(1, 3)), min_size=1, max_size=2)


def part_of(step: str, budgeting: Budgeting, delay: Delay | None, weight: int) -> Part:
    indicator = Indicator(
        (Condition("step", "any", (step,)),), (Condition("outcome", "any", ("ok",)),)
    )
    return Part(step, indicator, Fraction(weight), budgeting, delay)


OBJECTIVES = st.builds(
    lambda parts, target, period, combination, no_data: Objective(
        "o",
        "shop",
        "",
        "",
        target,
        parse_period(period),
        tuple(part_of(step, *one) for step, one in zip(STEPS, parts, strict=False)),
        combination,
        is_composite=len(parts) > 1,
        no_data=no_data,
    ),
    PARTS,
    st.sampled_from((Decimal("0.5"), Decimal("0.9"), Decimal("0.99"))),
    st.sampled_from(PERIODS),
    st.sampled_from(("weighted", "journey")),
    st.sampled_from(("exclude", "bad")),
)
EXAMPLES = hypothesis_settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(objective=OBJECTIVES, sent=SENT, gaps=GAPS)
@EXAMPLES
def test_a_budget_is_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore,
    objective: Objective,
    sent: list[Sent],
    gaps: list[tuple[int, int]],
) -> None:
    fill(embedded_telemetry, sent)
    window, origin = whole_of(objective.period.text)
    left_out = left_out_by(gaps)
    place = placed(window, origin, left_out)
    units = [units_of(minutes(sent, one, place), objective, one, place) for one in objective.parts]
    bad = bad_ratio(objective, place, units)
    reading = read_budget(embedded_telemetry, objective, AT, gaps=left_out)
    assert reading.budget.sli == (None if bad is None else 1 - bad)
    assert reading.exhausted_at == spent_at(objective, place, units)
    assert reading.budget.corrected == sum((gap.length for gap in place.gaps), timedelta(0))
    for part, own, read in zip(objective.parts, units, reading.parts, strict=True):
        assert (read.units.good, read.units.valid) == (
            sum(one.good for one in own),
            sum(one.valid for one in own),
        )
        measured, could = sum(one.is_measured for one in own), expected(part, place)
        assert read.coverage == (measured / could if could > 0 else None)
        assert read.measure.delayed == late_share(own, part, place)
        counted = minutes(sent, part, place)
        assert read.events.valid == sum(valid for _, _, valid in counted)
    (judged,) = read_judged(embedded_telemetry, [objective], AT, {"o": left_out})
    assert (judged.sli, judged.valid) == (reading.budget.sli, reading.events.valid)


@given(objective=OBJECTIVES, sent=SENT, gaps=GAPS)
@EXAMPLES
def test_a_timeline_is_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore,
    objective: Objective,
    sent: list[Sent],
    gaps: list[tuple[int, int]],
) -> None:
    fill(embedded_telemetry, sent)
    window, origin = whole_of(objective.period.text)
    left_out = left_out_by(gaps)
    place = placed(window, origin, left_out)
    counted = [minutes(sent, one, place) for one in objective.parts]
    units = [
        units_of(own, objective, part, place)
        for own, part in zip(counted, objective.parts, strict=True)
    ]
    points = read_timeline(embedded_telemetry, objective, AT, gaps=left_out)
    assert (points[0].window.since, points[-1].window.until) == (window.since, window.until)
    for point in points:
        since, until = point.window.since, point.window.until
        here = [one for own in counted for one in own if since <= one[0] < until]
        assert point.counts.good == sum(good for _, good, _ in here)
        assert point.counts.valid == sum(valid for _, _, valid in here)
        bad = bad_ratio(objective, place, units, None if point is points[-1] else until)
        allowed = 1 - Fraction(objective.target)
        assert point.remaining == (None if bad is None else float(1 - bad / allowed))


@given(objective=OBJECTIVES, sent=SENT, gaps=GAPS)
@EXAMPLES
def test_what_alerts_listen_to_is_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore,
    objective: Objective,
    sent: list[Sent],
    gaps: list[tuple[int, int]],
) -> None:
    fill(embedded_telemetry, sent)
    _, origin = whole_of(objective.period.text)
    left_out = left_out_by(gaps)
    gone = {"o": left_out}
    (read,) = read_lookbacks(embedded_telemetry, [objective], AT, [LENGTHS], gone)
    simple = len(objective.parts) == 1 and objective.budgeting.method == "Occurrences"
    for length in LENGTHS:
        ratios, valid = [], 0
        for part in objective.parts:
            since = AT - length
            is_own = objective.period == parse_period("1h") and length == objective.window
            if not is_own:  # a window cuts no slice, but the budget's own
                since -= (since - origin) % part.budgeting.slice_length
            place = placed(Window(since, AT), origin, left_out)
            counted = minutes(sent, part, place)
            valid += sum(one[2] for one in counted)
            alone = replace(objective, parts=(part,), combination="weighted")
            bad = bad_ratio(alone, place, [units_of(counted, objective, part, place)])
            if bad is not None:
                ratios.append((part.weight, bad))
        assert read[length].valid == valid
        together = combined(ratios, objective)
        if not simple:  # of one that simply counts events, delay is no matter of alerts
            assert read[length].sli == (None if together is None else 1 - together)


def placed(window: Window, origin: datetime, gaps: Sequence[Window]) -> Place:
    inside = [
        Window(max(gap.since, window.since), min(gap.until, window.until))
        for gap in gaps
        if gap.since < window.until and gap.until > window.since
    ]
    return Place(window, origin, inside)


def minutes(sent: Sequence[Sent], part: Part, place: Place) -> list[Minute]:
    found: dict[datetime, list[int]] = {}
    for one in sent:
        at = AT - one.minute * MINUTE
        is_in = place.span.since <= at < place.span.until
        is_out = any(gap.since <= at < gap.until for gap in place.gaps)
        if one.step == part.name and is_in and not is_out and one.good + one.bad:
            counts = found.setdefault(at, [0, 0])
            counts[0] += one.good
            counts[1] += one.good + one.bad
    return [(at, good, valid) for at, (good, valid) in sorted(found.items())]


def fill(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    forget_events(telemetry)
    rows = [
        Event(
            f"{number}-{n}",
            *("native", "x", "", AT - one.minute * MINUTE, AT, "checkout"),
            step=one.step,
            outcome=outcome,
        )
        for number, one in enumerate(sent)
        for n, outcome in enumerate(["ok"] * one.good + ["error"] * one.bad)
    ]
    if rows:
        insert_events(telemetry, [encode_events(rows)], "all")


@given(objectives=st.lists(OBJECTIVES, min_size=1, max_size=3), sent=SENT, gaps=GAPS)
@EXAMPLES
def test_objectives_that_are_read_together_are_what_each_is_alone(
    embedded_telemetry: TelemetryStore,
    objectives: list[Objective],
    sent: list[Sent],
    gaps: list[tuple[int, int]],
) -> None:
    fill(embedded_telemetry, sent)
    everybody = [
        replace(one, name=f"{number} of {steps}", parts=renamed(one.parts, steps))
        for number, one in enumerate(objectives)
        for steps in (STEPS, STEPS[::-1], STEPS)
    ]
    gone = {one.name: left_out_by(gaps) for one in everybody}
    lengths = [set(LENGTHS)] * len(everybody)
    together = read_lookbacks(embedded_telemetry, everybody, AT, lengths, gone)
    judged = read_judged(embedded_telemetry, everybody, AT, gone)
    for one, read, verdict in zip(everybody, together, judged, strict=True):
        assert [read] == read_lookbacks(embedded_telemetry, [one], AT, [set(LENGTHS)], gone)
        assert [verdict] == read_judged(embedded_telemetry, [one], AT, gone)


def renamed(parts: Sequence[Part], steps: Sequence[str]) -> tuple[Part, ...]:
    """Return parts about other steps, each told by two dimensions."""
    journey = Condition("journey", "any", ("checkout",))
    told = {
        step: Indicator((Condition("step", "any", (step,)), journey), parts[0].indicator.good)
        for step in steps
    }
    return tuple(
        replace(one, name=step, indicator=told[step])
        for step, one in zip(steps, parts, strict=False)
    )


def test_the_ratio_of_a_slice_is_rounded_half_to_even(embedded_telemetry: TelemetryStore) -> None:
    forget_events(embedded_telemetry)
    rows = ", ".join(
        f"(toDateTime('2026-10-25 08:{minute:02}:00', 'UTC'), 'cart', '{outcome}', {events})"
        for minute, good in ((10, 1), (20, 3))
        for outcome, events in (("ok", good), ("error", 2**19 - good))
    )
    embedded_telemetry.command(
        f"INSERT INTO events_by_minute (minute, step, outcome, events) VALUES {rows}"  # noqa: S608 - numbers of the test
    )
    part = part_of("cart", Budgeting("RatioTimeslices", 5 * MINUTE), None, 1)
    place, edge = Place(Window(AT - LENGTHS[0], AT)), AT - 45 * MINUTE
    read = read_units(embedded_telemetry, part.indicator, part.budgeting, place, [edge])
    halves = [Fraction(good * 10**18, 2**19) for good in (1, 3)]
    assert [half % 1 for half in halves] == [Fraction(1, 2)] * 2
    assert [one.good for one in read] == [round(half) for half in halves]
