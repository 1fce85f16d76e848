"""Indicators over every other signal, and each value of a field, against counting by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from candor.kernel.telemetry_store import TelemetryStore
from collector.check import CheckResult
from collector.event import Event
from collector.store import (
    encode_checks,
    encode_events,
    encode_vitals,
    insert_checks,
    insert_events,
    insert_vitals,
)
from collector.vital import Vital
from slo.breakdown import Asking, read_values
from slo.evaluation import read_budget
from slo.indicator import Condition, Indicator, Threshold
from slo.period import parse_period
from slo.window import MINUTE, Window
from tests.integration.test_metric_objectives import DELTA, metric
from tests.integration.test_oracle import (
    AT,
    GAPS,
    METHODS,
    PERIODS,
    SENT,
    VALID,
    Judge,
    Sent,
    Unit,
    left_out_by,
    minutes_of,
    outside,
    promised,
    sli,
    whole_of,
)
from tests.integration.test_signal_objectives import store
from tests.support.stores import forget_events

LIMIT = 100.0
VIEWS = 7
CHANNELS = ("web", "app", "")
OK = (Condition("outcome", "any", ("ok",)),)
FEW = hypothesis_settings(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ENCODER = msgspec.json.Encoder()
Counting = Callable[[Sequence[Sent], Window], list[Unit]]


@dataclass(frozen=True)
class Kind:
    """An indicator, where and how its signal is stored, and how it is counted by hand."""

    indicator: Indicator
    tables: tuple[str, ...]
    fill: Callable[[TelemetryStore, Sequence[Sent]], None]
    units: Counting


def judged(judge: Judge) -> Counting:
    return lambda sent, window: minutes_of(sent, judge, window)


def milliseconds(one: Sent) -> float:
    return one.duration or 0.0


def nanos(one: Sent) -> int:
    return int(one.at.timestamp()) * 10**9


def halves(sent: Sequence[Sent]) -> list[list[Sent]]:
    """Return what comes in time, and what comes late."""
    parts = [[one for one in sent if one.late is late] for late in (False, True)]
    return [part for part in parts if part]


def fill_spans(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    for part in halves(sent):
        message = ExportTraceServiceRequest()
        scope = message.resource_spans.add().scope_spans.add()
        for number, one in enumerate(part, 1):
            span = scope.spans.add(
                trace_id=number.to_bytes(16),
                span_id=number.to_bytes(8),
                name="pay",
                start_time_unix_nano=nanos(one),
                end_time_unix_nano=nanos(one) + int(milliseconds(one) * 10**6),
            )
            span.status.code = 2 if one.outcome == "error" else 1  # type: ignore[assignment]  # an enum of protobuf
        store(telemetry, "traces", message, str(part[0].late))


def fill_logs(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    for part in halves(sent):
        message = ExportLogsServiceRequest()
        scope = message.resource_logs.add().scope_logs.add()
        for one in part:
            record = scope.log_records.add(time_unix_nano=nanos(one), event_name="pay")
            record.severity_number = 17 if one.outcome == "error" else 9  # type: ignore[assignment]  # as above
        store(telemetry, "logs", message, str(part[0].late))


def weight(one: Sent) -> int:
    return one.second % 4 + 1


def fill_counters(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    for part in halves(sent):
        message = ExportMetricsServiceRequest()
        data = metric(message, "requests").sum
        data.aggregation_temporality, data.is_monotonic = DELTA, True
        for one in part:
            point = data.data_points.add(as_int=weight(one), time_unix_nano=nanos(one))
            point.attributes.add(key="outcome").value.string_value = one.outcome
        store(telemetry, "metrics", message, str(part[0].late))


def counters_of(sent: Sequence[Sent], window: Window) -> list[Unit]:
    return minutes_of(
        [one for one in sent for _ in range(weight(one))], lambda one: one.outcome == "ok", window
    )


def fill_vitals(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    beacons = [
        Vital(
            time=one.at,
            received_at=AT,
            id=str(number % VIEWS),
            name="LCP",
            value=milliseconds(one),
            delta=0.0,
            rating="good",
            page="/pay",
            device="mobile",
        )
        for number, one in enumerate(sent)
    ]
    for token, part in enumerate((beacons[::2], beacons[1::2])):
        if part:
            insert_vitals(telemetry, [encode_vitals(part)], str(token))


def vitals_of(sent: Sequence[Sent], window: Window) -> list[Unit]:
    """Count each page view once, by its latest value, at the time of its first."""
    views = [sent[number::VIEWS] for number in range(min(VIEWS, len(sent)))]
    counted = [
        (
            min(one.at for one in view),
            max((one.at, milliseconds(one)) for one in view)[1] <= LIMIT,
        )
        for view in views
    ]
    inside = [(at, good) for at, good in counted if window.since <= at < window.until]
    return sorted((at.replace(second=0), int(good), 1) for at, good in inside)


def fill_checks(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    """Store each result; a late one corrects what was stored for the same step before."""

    def result(number: int, one: Sent, *, is_first: bool) -> CheckResult:
        right = one.outcome == "ok"
        return CheckResult(
            time=one.at,
            received_at=AT if is_first else AT + MINUTE,
            check="checkout",
            journey="checkout",
            step=str(number),
            location="dublin",
            outcome="ok" if right != (is_first and one.late) else "error",
            reason="",
            ends_run=False,
            status=200,
            duration_ms=milliseconds(one),
            first_byte_ms=None,
            connect_ms=None,
            tls_ms=None,
        )

    first = [result(number, one, is_first=True) for number, one in enumerate(sent)]
    later = [result(number, one, is_first=False) for number, one in enumerate(sent) if one.late]
    for token, part in enumerate((first, later)):
        if part:
            insert_checks(telemetry, [encode_checks(part)], str(token))


def fill_prometheus(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    """Store the minutes of a source as they were read at first, and as they were read again."""
    for read, part in enumerate(([one for one in sent if not one.late], sent)):
        whole = {one.at.replace(second=0) for one in part}
        rows = [
            ("digest", minute, outcome, sum(inside), AT + read * MINUTE)
            for minute in whole
            for outcome in ("good", "bad")
            if (
                inside := [
                    float((one.outcome == "ok") is (outcome == "good"))
                    for one in part
                    if one.at.replace(second=0) == minute
                ]
            )
        ]
        columns = ("source", "time", "outcome", "weight", "read_at")
        if rows:
            payload = ENCODER.encode_lines(rows)
            form = "JSONCompactEachRow"
            telemetry.insert("prometheus_minutes", columns, [payload], form, str(read))


SLOW = Threshold("duration_ms", "lte", LIMIT)
KINDS: dict[str, Kind] = {
    "span status": Kind(
        Indicator(
            (Condition("name", "any", ("pay",)),),
            (Condition("status_code", "any", ("Error",)),),
            inverted=True,
            signal="spans",
        ),
        ("otel_traces", "otel_requests"),
        fill_spans,
        judged(lambda one: one.outcome != "error"),
    ),
    "span duration": Kind(
        Indicator((), threshold=SLOW, signal="spans"),
        ("otel_traces", "otel_requests"),
        fill_spans,
        judged(lambda one: milliseconds(one) <= LIMIT),
    ),
    "log severity": Kind(
        Indicator((), (Condition("severity_number", "lt", (17,)),), signal="logs"),
        ("otel_logs", "otel_requests"),
        fill_logs,
        judged(lambda one: one.outcome != "error"),
    ),
    "counter": Kind(
        Indicator(
            (Condition("name", "any", ("requests",)),),
            (Condition("attributes.outcome", "any", ("ok",)),),
            signal="metrics",
        ),
        ("otel_metrics_sum", "otel_requests"),
        fill_counters,
        counters_of,
    ),
    "web vital": Kind(
        Indicator(
            (Condition("name", "any", ("LCP",)),),
            threshold=Threshold("value", "lte", LIMIT),
            signal="vitals",
        ),
        ("vitals",),
        fill_vitals,
        vitals_of,
    ),
    "check": Kind(
        Indicator((Condition("check", "any", ("checkout",)),), OK, signal="checks"),
        ("checks",),
        fill_checks,
        judged(lambda one: one.outcome == "ok"),
    ),
    "check duration": Kind(
        Indicator((), threshold=SLOW, signal="checks"),
        ("checks",),
        fill_checks,
        judged(lambda one: milliseconds(one) <= LIMIT),
    ),
    "prometheus": Kind(
        Indicator(
            (Condition("source", "any", ("digest",)),),
            (Condition("outcome", "any", ("good",)),),
            signal="prometheus",
        ),
        ("prometheus_minutes",),
        fill_prometheus,
        judged(lambda one: one.outcome == "ok"),
    ),
}


def empty(telemetry: TelemetryStore, tables: Sequence[str]) -> None:
    for table in tables:
        telemetry.command(f"TRUNCATE TABLE {table}")


@pytest.mark.parametrize("case", list(product(KINDS, METHODS)), ids=", ".join)
@given(sent=SENT, gaps=GAPS, text=st.sampled_from(PERIODS))
@FEW
def test_what_the_store_counts_of_a_signal_is_what_counting_by_hand_gives(
    embedded_telemetry: TelemetryStore,
    case: tuple[str, str],
    sent: list[Sent],
    gaps: list[tuple[int, int]],
    text: str,
) -> None:
    kind, budgeting, left_out = KINDS[case[0]], METHODS[case[1]], left_out_by(gaps)
    empty(embedded_telemetry, kind.tables)
    kind.fill(embedded_telemetry, sent)
    objective = promised(kind.indicator, budgeting, parse_period(text))
    reading = read_budget(embedded_telemetry, objective, AT, gaps=left_out)
    window, origin = whole_of(text)
    units = outside(kind.units(sent, window), left_out)
    assert reading.budget.sli == sli(units, budgeting, window, origin)
    counted = (reading.events.good, reading.events.valid)
    assert counted == (sum(unit[1] for unit in units), sum(unit[2] for unit in units))


def channel(one: Sent) -> str:
    return CHANNELS[one.second % len(CHANNELS)]


@pytest.mark.parametrize("method", METHODS)
@given(sent=SENT, gaps=GAPS, text=st.sampled_from(PERIODS))
@FEW
def test_each_value_of_a_field_has_the_budget_of_its_own_events(
    embedded_telemetry: TelemetryStore,
    method: str,
    sent: list[Sent],
    gaps: list[tuple[int, int]],
    text: str,
) -> None:
    rows = [
        Event(
            str(number),
            *("native", "x", "", one.at, AT, "checkout"),
            outcome=one.outcome,
            channel=channel(one),
        )
        for number, one in enumerate(sent)
    ]
    forget_events(embedded_telemetry)
    if rows:
        insert_events(embedded_telemetry, [encode_events(rows)], "one")
    objective = promised(Indicator(VALID, OK), METHODS[method], parse_period(text))
    left_out, (window, origin) = left_out_by(gaps), whole_of(text)
    read, more = read_values(embedded_telemetry, objective, "channel", Asking(AT, gaps=left_out))
    expected = {}
    for value in CHANNELS:
        own = [one for one in sent if channel(one) == value]
        units = outside(minutes_of(own, lambda one: one.outcome == "ok", window), left_out)
        if units:
            expected[value] = sli(units, METHODS[method], window, origin)
    assert {value: one.budget.sli for value, one in read} == expected
    assert more == 0
