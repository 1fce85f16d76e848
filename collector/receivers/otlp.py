"""The OTLP/HTTP door for traces: a request in protobuf or JSON, checked span by span.

A clean request is stored as the very bytes that came. It is rewritten only when a span is left out
or a value is nested: arrays and maps become JSON texts, because the table has texts alone.

Source: OTLP specification 1.x, "OTLP/HTTP"; the protocol's trace messages.
"""

import base64
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from candor.kernel.errors import CandorError, MalformedError, UnsupportedTypeError
from candor.kernel.ports import Refusal
from collector.event import Receipt, Rejection
from collector.receivers.decoding import Reception
from collector.receivers.otlp_json import read_json_request

DOOR = "otlp"
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_NO_TRACE, _NO_SPAN = bytes(_TRACE_ID_BYTES), bytes(_SPAN_ID_BYTES)
_NANOSECONDS = 1_000_000_000
_ONE_BYTE = 128
_NESTED_VALUE = re.compile(rb"\x12[\x80-\xff]{0,4}[\x00-\x7f][\x2a\x32]", re.DOTALL)
_NESTED = frozenset({"array_value", "kvlist_value"})
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 14, 503: 14}


@dataclass(slots=True)
class TraceRequest:
    """A request that was read: its spans' identities in order, and the refused ones."""

    message: ExportTraceServiceRequest
    body: bytes | None
    identities: list[str] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    def payload(self, kept: Collection[int]) -> bytes:
        """Return the request with only the spans at these positions, behind its size.

        Positions count the request's spans as they stand. The size makes requests that are stored
        one after another tell themselves apart.
        """
        total = len(self.indices) + len(self.rejections)
        if self.body is not None and len(kept) == total:
            return _varint(len(self.body)) + self.body
        wanted = frozenset(kept)
        position = 0
        for resource in self.message.resource_spans:
            for scope in resource.scope_spans:
                spans = [span for n, span in enumerate(scope.spans, position) if n in wanted]
                position += len(scope.spans)
                if len(spans) < len(scope.spans):
                    del scope.spans[:]
                    scope.spans.extend(spans)
        body = self.message.SerializeToString()
        return _varint(len(body)) + body


def read_traces(body: bytes, media_type: str, reception: Reception) -> TraceRequest:
    """Return a request with each of its spans checked.

    Raises:
        UnsupportedTypeError: the content type is neither protobuf nor JSON.
        MalformedError: the body cannot be read.
    """
    if media_type == JSON:
        request = TraceRequest(read_json_request(body), None)
    elif media_type == PROTOBUF:
        request = TraceRequest(_parsed(body), body)
    else:
        raise UnsupportedTypeError(f"Send traces as {PROTOBUF} or {JSON}.")
    if (request.body is None or may_be_nested(body)) and _flatten_all(request.message):
        request.body = None
    latest = int(reception.latest.timestamp()) * _NANOSECONDS
    spans = (
        span
        for resource in request.message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )
    for position, span in enumerate(spans):
        trace_id, span_id = span.trace_id, span.span_id
        fault = _fault(
            trace_id, span_id, max(span.start_time_unix_nano, span.end_time_unix_nano), latest
        )
        if fault is None:
            request.identities.append("span:" + trace_id.hex() + span_id.hex())
            request.indices.append(position)
        else:
            request.rejections.append(Rejection(position, None, fault))
    return request


def may_be_nested(body: bytes) -> bool:
    """Whether an attribute of a protobuf request may hold an array or a map.

    Looks for what every such attribute's bytes have: the tag of a value, its size, the tag of an
    array or map, and a size that fills the first one. False alarms are rare, misses impossible; it
    costs a tenth of asking each attribute.

    Source: Protocol Buffers, "Encoding"; fields 2 of KeyValue, 5 and 6 of AnyValue.
    """
    for match in _NESTED_VALUE.finditer(body):
        outer, start = _read_varint(body, match.start() + 1)
        inner, end = _read_varint(body, start + 1)
        if outer == end - start + inner:
            return True
    return False


def encode_response(receipt: Receipt, media_type: str) -> bytes:
    """Return the answer to a request that was taken, in the encoding in which it came."""
    rejected = len(receipt.rejections)
    reasons = "; ".join(
        f"span {one.index}: {one.refusal.code}: {one.refusal.message}"
        for one in receipt.rejections[:5]
    )
    if media_type == JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": reasons}}
        return msgspec.json.encode(partial if rejected else {})
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = reasons
    return bytes(response.SerializeToString())


def encode_error(error: CandorError, media_type: str) -> bytes:
    """Return an error as ``google.rpc.Status``, in the encoding in which the request came."""
    code = _GRPC_CODES.get(error.status, 2)
    if media_type == JSON:
        return msgspec.json.encode({"code": code, "message": error.detail})
    return bytes(Status(code=code, message=error.detail).SerializeToString())


def _parsed(body: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise MalformedError("The body is not an ExportTraceServiceRequest.") from None


def _fault(trace_id: bytes, span_id: bytes, ended: int, latest: int) -> Refusal | None:
    if len(trace_id) != _TRACE_ID_BYTES or trace_id == _NO_TRACE:
        return Refusal("malformed", "A trace id has 16 bytes, not all zero.", "traceId")
    if len(span_id) != _SPAN_ID_BYTES or span_id == _NO_SPAN:
        return Refusal("malformed", "A span id has 8 bytes, not all zero.", "spanId")
    if ended > latest:
        return Refusal("clock_skew", "The time is too far in the future.", "startTimeUnixNano")
    return None


def _flatten_all(message: ExportTraceServiceRequest) -> bool:
    """Turn every nested value of a request into its JSON text; return whether there was one."""
    rewritten = False
    for resource in message.resource_spans:
        rewritten |= _flatten(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                rewritten |= _flatten_span(span)
    return rewritten


def _flatten_span(span: Span) -> bool:
    rewritten = _flatten(span.attributes)
    for event in span.events:
        rewritten |= _flatten(event.attributes)
    for link in span.links:
        rewritten |= _flatten(link.attributes)
    return rewritten


def _flatten(attributes: Iterable[KeyValue]) -> bool:
    """Turn nested values into JSON texts, in place; return whether there was one."""
    rewritten = False
    for attribute in attributes:
        if attribute.value.WhichOneof("value") in _NESTED:
            text = msgspec.json.encode(_plain(attribute.value)).decode()
            attribute.value.string_value = text
            rewritten = True
    return rewritten


def _plain(value: AnyValue) -> Any:  # noqa: ANN401 - a JSON value
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """Return the number at ``position`` and where it ends; zero bytes stand for what is cut off."""
    number = shift = 0
    while True:
        byte = body[position] if position < len(body) else 0
        number |= (byte & (_ONE_BYTE - 1)) << shift
        position, shift = position + 1, shift + 7
        if byte < _ONE_BYTE:
            return number, position


def _varint(number: int) -> bytes:
    result = bytearray()
    while number >= _ONE_BYTE:
        result.append(number & (_ONE_BYTE - 1) | _ONE_BYTE)
        number >>= 7
    result.append(number)
    return bytes(result)
