"""OTLP requests of every signal, small and complete."""

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.stores import NOON

NANO = int(NOON.timestamp()) * 1_000_000_000
TRACE_ID, SPAN_ID = b"t" * 16, b"s" * 8


def log_request(*bodies: str, **attributes: str | int) -> ExportLogsServiceRequest:
    """Return a request with a log record for each body."""
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add(schema_url="resource-schema")
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_logs.add(schema_url="scope-schema")
    scope.scope.name, scope.scope.version = "checkout", "1.2"
    scope.scope.attributes.add(key="canary").value.bool_value = False
    for number, body in enumerate(bodies):
        record = scope.log_records.add(
            time_unix_nano=NANO + number,
            observed_time_unix_nano=NANO + 9,
            severity_text="WARN",
            trace_id=TRACE_ID,
            span_id=SPAN_ID,
            flags=1,
            event_name="declined",
        )
        record.severity_number = 13  # type: ignore[assignment]  # SEVERITY_NUMBER_WARN
        record.body.string_value = body
        add_attributes(record.attributes, attributes)
    return message


def metric_request() -> ExportMetricsServiceRequest:
    """Return a request with one data point of each of the five kinds."""
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add(schema_url="resource-schema")
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_metrics.add(schema_url="scope-schema")
    scope.scope.name, scope.scope.version = "checkout", "1.2"
    scope.scope.attributes.add(key="canary").value.bool_value = False
    scope.scope.dropped_attributes_count = 3
    times = {"start_time_unix_nano": NANO - 60_000_000_000, "time_unix_nano": NANO}

    def metric(kind: str) -> Any:  # noqa: ANN401 - the data of any kind
        return getattr(scope.metrics.add(name=kind, description="told", unit="1"), kind)

    point = metric("gauge").data_points.add(**times, as_int=0)
    point.attributes.add(key="queue").value.int_value = 0
    exemplar = point.exemplars.add(
        time_unix_nano=NANO, as_double=2.5, trace_id=TRACE_ID, span_id=SPAN_ID
    )
    exemplar.filtered_attributes.add(key="step").value.string_value = "pay"
    total = metric("sum")
    total.aggregation_temporality, total.is_monotonic = 2, True
    total.data_points.add(**times, as_double=1.5)
    histogram = metric("histogram")
    histogram.aggregation_temporality = 1
    histogram.data_points.add(
        **times, count=3, sum=4.5, min=0.5, max=2.5, bucket_counts=[1, 2], explicit_bounds=[1.0]
    )
    exponential = metric("exponential_histogram")
    exponential.aggregation_temporality = 2
    point = exponential.data_points.add(**times, count=4, sum=9.0, scale=-2, zero_count=1)
    point.positive.offset, point.negative.offset = -3, 7
    point.positive.bucket_counts.extend([1, 0])
    point.negative.bucket_counts.extend([2])
    point = metric("summary").data_points.add(**times, count=3, sum=9.0)
    point.quantile_values.add(quantile=0.5, value=2.0)
    return message


def span_request(*attributes: dict[str, Any], **more: Any) -> ExportTraceServiceRequest:  # noqa: ANN401 - fields of a span
    """Return a request with a span for each set of attributes."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = resource.scope_spans.add()
    for number, values in enumerate(attributes, 1):
        span = scope.spans.add(
            trace_id=TRACE_ID,
            span_id=number.to_bytes(8, "big"),
            name="POST /payment",
            start_time_unix_nano=NANO,
            end_time_unix_nano=NANO + 182_400_000,
            **more,
        )
        add_attributes(span.attributes, values)
    return message


def add_attributes(attributes: Any, values: dict[str, Any]) -> None:  # noqa: ANN401 - a repeated field
    """Put plain values into a repeated field of attributes."""
    for key, value in values.items():
        one = attributes.add(key=key).value
        if isinstance(value, dict):
            one.kvlist_value.SetInParent()
            add_attributes(one.kvlist_value.values, value)
        elif isinstance(value, int):
            one.int_value = value
        else:
            one.string_value = value
