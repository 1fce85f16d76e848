"""Objectives over OTLP metrics: what counters, gauges and histograms counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.store import Question, count
from slo.window import MINUTE, rolling
from tests.integration.test_signal_objectives import counts, indicator, store
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import ratio, source, threshold

DELTA, CUMULATIVE = 1, 2
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Point:
    """A point of a counter: minutes before noon, its value, and when the counter began."""

    minute: int
    value: int
    began: int


def nanos(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


def metric(message: ExportMetricsServiceRequest, name: str) -> Any:  # noqa: ANN401 - a metric
    if not message.resource_metrics:
        resource = message.resource_metrics.add()
        resource.resource.attributes.add(key="service.name").value.string_value = "shop"
        resource.scope_metrics.add()
    made = message.resource_metrics[0].scope_metrics[0].metrics.add()
    made.name = name
    return made


def counter(
    message: ExportMetricsServiceRequest, points: list[Point], status: str, temporality: int
) -> None:
    data = metric(message, "requests").sum
    data.aggregation_temporality, data.is_monotonic = temporality, True
    for one in points:
        point = data.data_points.add(
            as_int=one.value,
            time_unix_nano=nanos(NOON - one.minute * MINUTE),
            start_time_unix_nano=nanos(NOON - one.began * MINUTE),
        )
        point.attributes.add(key="status").value.string_value = status


SERVED = ratio(
    total=source(signal="metrics", filter={"name": "requests", "service": "shop"}),
    bad=source(signal="metrics", filter={"attributes.status": "500"}),
)


def test_a_counter_counts_by_its_increments_and_a_restart_begins_at_zero(
    telemetry: TelemetryStore,
) -> None:
    message = ExportMetricsServiceRequest()
    served = [Point(70, 100, 500), Point(50, 160, 500), Point(30, 190, 500), Point(10, 7, 20)]
    counter(message, served, "200", CUMULATIVE)
    counter(message, [Point(50, 0, 500), Point(30, 3, 500), Point(10, 3, 500)], "500", CUMULATIVE)
    store(telemetry, "metrics", message)
    # 60 since before the hour, 30, and 7 after the restart; of the failures 3.
    assert counts(telemetry, indicator(SERVED)) == EventCounts(97, 100)


def test_deltas_add_up(telemetry: TelemetryStore) -> None:
    message = ExportMetricsServiceRequest()
    counter(message, [Point(50, 10, 51), Point(40, 5, 50)], "200", DELTA)
    counter(message, [Point(40, 2, 50)], "500", DELTA)
    store(telemetry, "metrics", message)
    assert counts(telemetry, indicator(SERVED)) == EventCounts(15, 17)


def test_a_gauge_is_judged_point_by_point(telemetry: TelemetryStore) -> None:
    message = ExportMetricsServiceRequest()
    data = metric(message, "load").gauge
    for minute, value in enumerate((0.2, 0.8, 0.9), 1):
        data.data_points.add(as_double=value, time_unix_nano=nanos(NOON - minute * MINUTE))
    store(telemetry, "metrics", message)
    calm = threshold(
        {"target": 0.9, "op": "lte", "value": 0.8},
        signal="metrics", filter={"name": "load"}, value="value",
    )  # fmt: skip
    assert counts(telemetry, indicator(calm)) == EventCounts(2, 3)


def test_a_histogram_is_judged_by_its_buckets(telemetry: TelemetryStore) -> None:
    message = ExportMetricsServiceRequest()
    data = metric(message, "latency").histogram
    data.aggregation_temporality = CUMULATIVE
    for minute, buckets in ((50, (5, 0, 1)), (40, (9, 3, 1))):
        data.data_points.add(
            count=sum(buckets),
            bucket_counts=buckets,
            explicit_bounds=(0.1, 0.5),
            time_unix_nano=nanos(NOON - minute * MINUTE),
            start_time_unix_nano=nanos(NOON - 55 * MINUTE),
        )
    store(telemetry, "metrics", message)
    quick = threshold(
        {"target": 0.9, "op": "lte", "value": 0.1},
        signal="metrics", filter={"name": "latency"}, value="value",
    )  # fmt: skip
    assert counts(telemetry, indicator(quick)) == EventCounts(9, 13)


STEPS = st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=40)


@given(STEPS)
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_often_a_counter_restarts_its_increments_are_counted_once(
    embedded_telemetry: TelemetryStore, steps: list[tuple[int, bool]]
) -> None:
    embedded_telemetry.command("TRUNCATE TABLE otel_metrics_sum")
    embedded_telemetry.command("TRUNCATE TABLE otel_requests")
    points: list[Point] = []
    value, began = 0, 60
    for number, (added, restarts) in enumerate(steps):
        minute = 59 - number
        value, began = (added, minute + 1) if restarts else (value + added, began)
        points.append(Point(minute, value, began))
    message = ExportMetricsServiceRequest()
    counter(message, points, "200", CUMULATIVE)
    store(embedded_telemetry, "metrics", message)
    question = Question(indicator(SERVED), rolling(HOUR, NOON))
    assert count(embedded_telemetry, [question])[0].valid == sum(added for added, _ in steps)
