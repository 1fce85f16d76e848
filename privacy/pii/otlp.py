"""OTLP requests: every text of every level goes through one pass, and what is suspect is treated.

Names and attributes of resources, scopes, spans, events, links, log records, metrics, points and
exemplars, log bodies and status messages: a sender may have put a person anywhere.

Source: OTLP, ``common.proto``, ``trace.proto``, ``logs.proto``, ``metrics.proto``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from candor.kernel.errors import CandorError
from candor.kernel.logging import log
from candor.kernel.metrics import PiiMetrics
from candor.kernel.ports import OtlpSignal
from privacy.pii.guard import Guard
from privacy.pii.scanning import Circumstances, Scan
from privacy.pii.suspicion import suspect_texts

UNEXAMINED = "[not examined]"
"""What stands for a text that could not be examined."""
_REQUESTS: Mapping[OtlpSignal, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_PLAIN = ("string_value", "int_value", "double_value")


@dataclass(slots=True)
class Text:
    """A text of a request: where it is set, under which path, and by which name it is judged.

    ``attributes`` and ``attribute`` are where it can be left out as a whole, and where its key is.
    """

    text: str
    holder: Any
    field: str
    path: tuple[str, ...]
    attributes: Any = None
    attribute: Any = None


def redact_request(  # noqa: PLR0913, PLR0917 - a request, and all that treats it
    signal: OtlpSignal,
    body: bytes,
    guard: Guard,
    source: str,
    note: Callable[[Scan], None],
    metrics: PiiMetrics,
) -> bytes:
    """Return a request with personal values masked; the same bytes when there are none."""
    request: Any = _REQUESTS[signal]()
    request.ParseFromString(body)
    texts = list(_texts(signal, request))
    suspects = suspect_texts(guard.lines, [one.text for one in texts])
    about = Circumstances(source)
    changed = False
    for number, one in enumerate(texts):
        if number not in suspects and not guard.is_suspect(one.path[-1]):
            continue
        try:
            changed |= _treat(one, guard, about, note)
        except CandorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails hides its text, and no other
            metrics.failures.inc()
            log().error("a text could not be examined", reason=type(error).__name__)
            _put(one, UNEXAMINED)
            changed = True
    return bytes(request.SerializeToString()) if changed else body


def _treat(one: Text, guard: Guard, about: Circumstances, note: Callable[[Scan], None]) -> bool:
    """Mask a text, and the key of its attribute; return whether anything changed."""
    before = {one.path[-1]: one.text}
    scan = guard.scanner.scan(before, about, one.path[:-1])
    note(scan)
    if scan.payload == before:
        return False
    for key, value in scan.payload.items():
        if one.attribute is not None:
            one.attribute.key = key
        if value != one.text:
            _put(one, str(value))
        return True
    if one.attributes is not None:
        one.attributes.remove(one.attribute)
    else:
        _put(one, "")
    return True


def _put(one: Text, text: str) -> None:
    """Set a text; a number that is masked becomes a text."""
    setattr(one.holder, "string_value" if one.field in _PLAIN else one.field, text)


def _texts(signal: OtlpSignal, request: Any) -> Iterator[Text]:  # noqa: ANN401 - a request of this signal
    resources, scopes, records, texts_of = _SHAPES[signal]
    for resource in getattr(request, resources):
        yield from _attributes(resource.resource.attributes, "resource")
        for scope in getattr(resource, scopes):
            yield from _scope(scope.scope)
            for record in getattr(scope, records):
                yield from texts_of(record)


def _scope(scope: Any) -> Iterator[Text]:  # noqa: ANN401 - InstrumentationScope
    yield from _own(scope, "scope", "name", "version")
    yield from _attributes(scope.attributes, "scope")


def _span(span: Any) -> Iterator[Text]:  # noqa: ANN401 - Span
    yield from _own(span, "span", "name", "trace_state")
    yield from _attributes(span.attributes, "span")
    if span.status.message:
        yield Text(span.status.message, span.status, "message", ("span", "status", "message"))
    for event in span.events:
        yield from _own(event, "event", "name")
        yield from _attributes(event.attributes, "event")
    for link in span.links:
        yield from _own(link, "link", "trace_state")
        yield from _attributes(link.attributes, "link")


def _log_record(record: Any) -> Iterator[Text]:  # noqa: ANN401 - LogRecord
    yield from _own(record, "log", "severity_text", "event_name")
    if record.HasField("body"):
        yield from _value(record.body, ("log", "body"), None, None)
    yield from _attributes(record.attributes, "log")


def _metric(metric: Any) -> Iterator[Text]:  # noqa: ANN401 - Metric
    yield from _own(metric, "metric", "name", "description", "unit")
    yield from _attributes(metric.metadata, "metric")
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind is not None else ():
        yield from _attributes(point.attributes, "point")
        for exemplar in getattr(point, "exemplars", ()):
            yield from _attributes(exemplar.filtered_attributes, "exemplar")


def _own(holder: Any, path: str, *fields: str) -> Iterator[Text]:  # noqa: ANN401 - a message
    for field in fields:
        if text := getattr(holder, field):
            yield Text(text, holder, field, (path, field))


def _attributes(attributes: Any, path: str) -> Iterator[Text]:  # noqa: ANN401 - repeated KeyValue
    for attribute in attributes:
        where = (path, "attributes", attribute.key)
        yield from _value(attribute.value, where, attributes, attribute)


def _value(value: Any, path: tuple[str, ...], attributes: Any, attribute: Any) -> Iterator[Text]:  # noqa: ANN401 - AnyValue, and where it stands
    kind = value.WhichOneof("value")
    if kind in _PLAIN:
        yield Text(str(getattr(value, kind)), value, kind, path, attributes, attribute)
    elif kind == "bytes_value":
        text = value.bytes_value.decode("latin-1")
        yield Text(text, value, "string_value", path, attributes, attribute)
    elif kind == "array_value":
        for one in value.array_value.values:
            yield from _value(one, path, attributes, attribute)
    elif kind == "kvlist_value":
        for one in value.kvlist_value.values:
            where = (*path, one.key)
            yield from _value(one.value, where, value.kvlist_value.values, one)


_SHAPES: Mapping[OtlpSignal, tuple[str, str, str, Callable[[Any], Iterator[Text]]]] = {
    "traces": ("resource_spans", "scope_spans", "spans", _span),
    "logs": ("resource_logs", "scope_logs", "log_records", _log_record),
    "metrics": ("resource_metrics", "scope_metrics", "metrics", _metric),
}
