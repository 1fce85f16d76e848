"""OTLP's JSON form of a trace request, read into the protobuf message.

Ids are hexadecimal, enumerations integers, 64-bit integers numbers or texts, names in lower camel
case; unknown fields are read over.

Source: OTLP specification 1.x, "JSON Protobuf Encoding".
"""

import base64
import binascii
from typing import Any

import msgspec
from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from candor.kernel.errors import MalformedError

_Integer = int | str


class _Base(Struct, rename="camel", gc=False):
    """JSON names of OTLP are in lower camel case."""


class _Value(_Base):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: _Integer | None = None
    double_value: float | str | None = None
    bytes_value: str | None = None
    array_value: "_Array | None" = None
    kvlist_value: "_Map | None" = None


class _Attribute(_Base):
    key: str = ""
    value: _Value | None = None


class _Array(_Base):
    values: list[_Value] = []


class _Map(_Base):
    values: list[_Attribute] = []


class _Event(_Base):
    time_unix_nano: _Integer = 0
    name: str = ""
    attributes: list[_Attribute] = []


class _Link(_Base):
    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    attributes: list[_Attribute] = []


class _Status(_Base):
    message: str = ""
    code: int = 0


class _Span(_Base):
    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: _Integer = 0
    end_time_unix_nano: _Integer = 0
    attributes: list[_Attribute] = []
    events: list[_Event] = []
    links: list[_Link] = []
    status: _Status | None = None


class _Scope(_Base):
    name: str = ""
    version: str = ""


class _ScopeSpans(_Base):
    scope: _Scope | None = None
    spans: list[_Span] = []


class _Resource(_Base):
    attributes: list[_Attribute] = []


class _ResourceSpans(_Base):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] = []


class _Request(_Base):
    resource_spans: list[_ResourceSpans] = []


_DECODER = msgspec.json.Decoder(_Request)


def read_json_request(body: bytes) -> ExportTraceServiceRequest:
    """Return the message that a JSON body stands for.

    Raises:
        MalformedError: it is no JSON of that form; the path of the fault is named.
    """
    try:
        request = _DECODER.decode(body)
        return ExportTraceServiceRequest(
            resource_spans=[_resource_spans(one) for one in request.resource_spans]
        )
    except (msgspec.MsgspecError, RecursionError, ValueError, binascii.Error):
        raise MalformedError("The body is not the JSON form of a trace request.") from None


def _resource_spans(one: _ResourceSpans) -> ResourceSpans:
    message = ResourceSpans()
    if one.resource is not None:
        message.resource.attributes.extend(_attributes(one.resource.attributes))
    for part in one.scope_spans:
        scope = message.scope_spans.add()
        if part.scope is not None:
            scope.scope.name, scope.scope.version = part.scope.name, part.scope.version
        scope.spans.extend(_span(span) for span in part.spans)
    return message


def _span(one: _Span) -> Span:
    span = Span(
        trace_id=bytes.fromhex(one.trace_id),
        span_id=bytes.fromhex(one.span_id),
        trace_state=one.trace_state,
        parent_span_id=bytes.fromhex(one.parent_span_id),
        name=one.name,
        start_time_unix_nano=int(one.start_time_unix_nano),
        end_time_unix_nano=int(one.end_time_unix_nano),
        attributes=_attributes(one.attributes),
    )
    span.kind = one.kind  # type: ignore[assignment]  # protobuf keeps unknown numbers
    for event in one.events:
        span.events.add(
            time_unix_nano=int(event.time_unix_nano),
            name=event.name,
            attributes=_attributes(event.attributes),
        )
    for link in one.links:
        span.links.add(
            trace_id=bytes.fromhex(link.trace_id),
            span_id=bytes.fromhex(link.span_id),
            trace_state=link.trace_state,
            attributes=_attributes(link.attributes),
        )
    if one.status is not None:
        span.status.message = one.status.message
        span.status.code = one.status.code  # type: ignore[assignment]  # as above
    return span


def _attributes(attributes: list[_Attribute]) -> list[KeyValue]:
    return [KeyValue(key=one.key, value=_value(one.value)) for one in attributes]


def _value(one: _Value | None) -> AnyValue:
    value = AnyValue()
    if one is None:
        return value
    plain: dict[str, Any] = {
        "string_value": one.string_value,
        "bool_value": one.bool_value,
        "int_value": None if one.int_value is None else int(one.int_value),
        "double_value": None if one.double_value is None else float(one.double_value),
        "bytes_value": None if one.bytes_value is None else base64.b64decode(one.bytes_value),
    }
    for name, content in plain.items():
        if content is not None:
            setattr(value, name, content)
    if one.array_value is not None:
        value.array_value.SetInParent()
        value.array_value.values.extend(_value(item) for item in one.array_value.values)
    if one.kvlist_value is not None:
        value.kvlist_value.SetInParent()
        value.kvlist_value.values.extend(_attributes(one.kvlist_value.values))
    return value
