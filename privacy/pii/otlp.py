"""OTLP requests: every text of every level goes through one pass, and what is suspect is treated.

Names and attributes of resources, scopes, spans, events, links, log records, metrics, points and
exemplars, log bodies and status messages: a sender may have put a person anywhere.

Source: OTLP, ``common.proto``, ``trace.proto``, ``logs.proto``, ``metrics.proto``.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from candor.kernel.errors import CandorError
from candor.kernel.ports import OtlpSignal
from privacy.pii.guard import Guard
from privacy.pii.outcome import Outcome, blocked
from privacy.pii.scanning import Circumstances
from privacy.pii.suspicion import suspect_texts
from privacy.pii.transform import filled

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
    ``records`` are the positions of the records that it belongs to: all of its resource, scope or
    metric, or the one that it stands in.
    """

    text: str
    holder: Any
    field: str
    path: tuple[str, ...]
    attributes: Any = None
    attribute: Any = None
    records: range = range(0)


def redact_request(
    signal: OtlpSignal, body: bytes, guard: Guard, source: str
) -> tuple[bytes, Outcome]:
    """Return a request with personal values masked, and what was found; the same when clean.

    Records that must not be stored are left out and named. A text that cannot be examined is put
    out of sight, and no other: a sender would repeat the request for ever.
    """
    request: Any = _REQUESTS[signal]()
    request.ParseFromString(body)
    texts = list(_texts(signal, request))
    suspects = suspect_texts(guard.lines, [one.text for one in texts])
    outcome = Outcome(guard.policy)
    about = Circumstances(source, errands=outcome.errands)
    is_changed = False
    for number, one in enumerate(texts):
        if number not in suspects and not guard.is_suspect(one.path[-1]):
            continue
        try:
            is_changed |= _treat(one, guard, about, outcome)
        except CandorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails hides its text, and no other
            outcome.failures.append(type(error).__name__)
            _put(one, UNEXAMINED)
            is_changed = True
    if outcome.refusals:
        _leave_out(signal, request, outcome.refusals)
        is_changed = True
    return bytes(request.SerializeToString()) if is_changed else body, outcome


def fill_request(signal: OtlpSignal, body: bytes, settled: Mapping[str, str]) -> bytes:
    """Return a request with what the vault answered in the place of the marks."""
    request: Any = _REQUESTS[signal]()
    request.ParseFromString(body)
    for one in list(_texts(signal, request)):
        if (made := filled(one.text, settled)) != one.text:
            _put(one, made)
        if one.attribute is not None:
            one.attribute.key = filled(one.attribute.key, settled)
    return bytes(request.SerializeToString())


def _treat(one: Text, guard: Guard, about: Circumstances, outcome: Outcome) -> bool:
    """Mask a text, and the key of its attribute; return whether anything changed."""
    before = {one.path[-1]: one.text}
    scan = guard.scanner.scan(before, about, one.path[:-1])
    outcome.note(scan)
    if scan.blocked is not None:
        refusal = blocked(scan.blocked)
        for position in one.records:
            outcome.refusals.setdefault(position, refusal)
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


def _leave_out(signal: OtlpSignal, request: Any, refused: Collection[int]) -> None:  # noqa: ANN401 - a request of this signal
    """Take records out of a request by their positions."""
    shape = _SHAPES[signal]
    first = 0
    for resource in getattr(request, shape.resources):
        for scope in getattr(resource, shape.scopes):
            for group in shape.groups(scope):
                count = len(group)
                for place in reversed(range(count)):
                    if first + place in refused:
                        del group[place]
                first += count


def _put(one: Text, text: str) -> None:
    """Set a text; a number that is masked becomes a text."""
    setattr(one.holder, "string_value" if one.field in _PLAIN else one.field, text)


def _texts(signal: OtlpSignal, request: Any) -> Iterator[Text]:  # noqa: ANN401 - a request of this signal
    for records, part in _parts(_SHAPES[signal], request):
        for one in part:
            one.records = records
            yield one


def _parts(shape: "_Shape", request: Any) -> Iterator[tuple[range, Iterator[Text]]]:  # noqa: ANN401 - as above
    """Yield the texts of each part of a request, with the positions of the records they are of."""
    first = 0
    for resource in getattr(request, shape.resources):
        scopes = getattr(resource, shape.scopes)
        sizes = [sum(map(len, shape.groups(scope))) for scope in scopes]
        around = range(first, first + sum(sizes))
        yield around, _attributes(resource.resource.attributes, "resource")
        for scope, size in zip(scopes, sizes, strict=True):
            yield range(first, first + size), _scope(scope.scope)
            start = first
            for metric in getattr(scope, "metrics", ()):
                end = start + len(_points(metric))
                yield range(start, end), _metric(metric)
                start = end
            for group in shape.groups(scope):
                for position, record in enumerate(group, first):
                    yield range(position, position + 1), shape.texts(record)
                first += len(group)


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


def _point(point: Any) -> Iterator[Text]:  # noqa: ANN401 - a data point of any kind
    yield from _attributes(point.attributes, "point")
    for exemplar in getattr(point, "exemplars", ()):
        yield from _attributes(exemplar.filtered_attributes, "exemplar")


def _points(metric: Any) -> Any:  # noqa: ANN401 - the points of a Metric
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind is not None else ()


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


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where a signal's records stand: ``groups`` are the repeated fields of a scope's records."""

    resources: str
    scopes: str
    groups: Callable[[Any], Sequence[Any]]
    texts: Callable[[Any], Iterator[Text]]


_SHAPES: Mapping[OtlpSignal, _Shape] = {
    "traces": _Shape("resource_spans", "scope_spans", lambda scope: [scope.spans], _span),
    "logs": _Shape("resource_logs", "scope_logs", lambda scope: [scope.log_records], _log_record),
    "metrics": _Shape(
        "resource_metrics",
        "scope_metrics",
        lambda scope: [_points(metric) for metric in scope.metrics],
        _point,
    ),
}
