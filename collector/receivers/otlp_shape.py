"""The three signals of OTLP: their messages, where their records are, and what makes one invalid.

Records are spans, log records, and data points. They are counted in the order in which the request
has them.

Source: OTLP, ``trace.proto``, ``logs.proto``, ``metrics.proto``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from candor.kernel.ports import OtlpSignal, Refusal

DOOR = "otlp"
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_NO_TRACE, _NO_SPAN = bytes(_TRACE_ID_BYTES), bytes(_SPAN_ID_BYTES)
_NO_RECORDED_VALUE = 1

Attributes = Iterable[KeyValue]


@dataclass(frozen=True, slots=True)
class Shape:
    """How one signal's requests look.

    ``records`` is the repeated field of a scope that holds its records, or the metrics of its data
    points; ``groups`` yields each repeated field of a scope's records; ``attributes`` each list of
    attributes of a record; ``fault`` says why a record cannot be stored.
    """

    request: type[Message]
    response: type[Message]
    resources: str
    scopes: str
    records: str
    noun: str
    rejected: str
    groups: Callable[[Any], Iterator[Any]]
    attributes: Callable[[Any], Iterator[Attributes]]
    fault: Callable[[Any, int], Refusal | None]

    def record_groups(self, message: Any) -> Iterator[Any]:  # noqa: ANN401 - a request of this signal
        """Yield each repeated field of records of a request, in order."""
        for resource in getattr(message, self.resources):
            for scope in getattr(resource, self.scopes):
                yield from self.groups(scope)

    def attribute_lists(self, message: Any) -> Iterator[Attributes]:  # noqa: ANN401 - as above
        """Yield every list of attributes of a request, of resources and scopes too."""
        for resource in getattr(message, self.resources):
            yield resource.resource.attributes
            for scope in getattr(resource, self.scopes):
                yield scope.scope.attributes
                for metric in getattr(scope, "metrics", ()):
                    yield metric.metadata
                for group in self.groups(scope):
                    for record in group:
                        yield from self.attributes(record)


def log_bodies(message: ExportLogsServiceRequest) -> Iterator[AnyValue]:
    """Yield the body of each log record that has one."""
    for resource in message.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if record.HasField("body"):
                    yield record.body


def identities_of_spans(spans: Sequence[Any], latest: int) -> list[bytes] | None:
    """Return what makes each span itself, trace id and span id, when all are valid; else none.

    One pass in the interpreter for each span, and the rest on whole columns.
    """
    fields = [
        (span.trace_id, span.span_id, span.start_time_unix_nano, span.end_time_unix_nano)
        for span in spans
    ]
    if not fields:
        return []
    trace_ids, span_ids, started, ended = zip(*fields, strict=True)
    if (
        set(map(len, trace_ids)) != {_TRACE_ID_BYTES}
        or set(map(len, span_ids)) != {_SPAN_ID_BYTES}
        or _NO_TRACE in trace_ids
        or _NO_SPAN in span_ids
        or max(started) > latest
        or max(ended) > latest
    ):
        return None
    return list(map(bytes.__add__, trace_ids, span_ids))


def _spans(scope: Any) -> Iterator[Any]:  # noqa: ANN401 - ScopeSpans
    yield scope.spans


def _span_attributes(span: Any) -> Iterator[Attributes]:  # noqa: ANN401 - Span
    yield span.attributes
    for event in span.events:
        yield event.attributes
    for link in span.links:
        yield link.attributes


def _span_fault(span: Any, latest: int) -> Refusal | None:  # noqa: ANN401 - Span
    trace_id, span_id = span.trace_id, span.span_id
    if len(trace_id) != _TRACE_ID_BYTES or trace_id == _NO_TRACE:
        return Refusal("malformed", "A trace id has 16 bytes, not all zero.", "traceId")
    if len(span_id) != _SPAN_ID_BYTES or span_id == _NO_SPAN:
        return Refusal("malformed", "A span id has 8 bytes, not all zero.", "spanId")
    if span.start_time_unix_nano > latest or span.end_time_unix_nano > latest:
        return _too_late("startTimeUnixNano")
    return None


def _log_records(scope: Any) -> Iterator[Any]:  # noqa: ANN401 - ScopeLogs
    yield scope.log_records


def _log_attributes(record: Any) -> Iterator[Attributes]:  # noqa: ANN401 - LogRecord
    yield record.attributes


def _log_fault(record: Any, latest: int) -> Refusal | None:  # noqa: ANN401 - LogRecord
    if record.time_unix_nano > latest or record.observed_time_unix_nano > latest:
        return _too_late("timeUnixNano")
    return None


def _point_groups(scope: Any) -> Iterator[Any]:  # noqa: ANN401 - ScopeMetrics
    for metric in scope.metrics:
        kind = metric.WhichOneof("data")
        if kind is not None:
            yield getattr(metric, kind).data_points


def _point_attributes(point: Any) -> Iterator[Attributes]:  # noqa: ANN401 - a data point of any kind
    yield point.attributes
    for exemplar in getattr(point, "exemplars", ()):
        yield exemplar.filtered_attributes


def _point_fault(point: Any, latest: int) -> Refusal | None:  # noqa: ANN401 - a data point of any kind
    if point.time_unix_nano > latest or point.start_time_unix_nano > latest:
        return _too_late("timeUnixNano")
    if not point.time_unix_nano:
        return Refusal("malformed", "A data point needs its time.", "timeUnixNano")
    name = point.DESCRIPTOR.name
    if name == "NumberDataPoint":
        has_value = point.WhichOneof("value") is not None or point.flags & _NO_RECORDED_VALUE
        if not has_value:
            return Refusal("malformed", "A data point needs asDouble or asInt.", "asDouble")
    elif name == "HistogramDataPoint":
        buckets, bounds = len(point.bucket_counts), len(point.explicit_bounds)
        if buckets != bounds + 1 and (buckets or bounds):
            return Refusal("malformed", "There is one bucket more than bounds.", "bucketCounts")
    return None


def _too_late(path: str) -> Refusal:
    return Refusal("clock_skew", "The time is too far in the future.", path)


SHAPES: Mapping[OtlpSignal, Shape] = {
    "traces": Shape(
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
        resources="resource_spans",
        scopes="scope_spans",
        records="spans",
        noun="span",
        rejected="rejected_spans",
        groups=_spans,
        attributes=_span_attributes,
        fault=_span_fault,
    ),
    "logs": Shape(
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
        resources="resource_logs",
        scopes="scope_logs",
        records="log_records",
        noun="log record",
        rejected="rejected_log_records",
        groups=_log_records,
        attributes=_log_attributes,
        fault=_log_fault,
    ),
    "metrics": Shape(
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        resources="resource_metrics",
        scopes="scope_metrics",
        records="metrics",
        noun="data point",
        rejected="rejected_data_points",
        groups=_point_groups,
        attributes=_point_attributes,
        fault=_point_fault,
    ),
}
