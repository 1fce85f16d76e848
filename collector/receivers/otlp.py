"""The OTLP doors: a request of any signal in protobuf or JSON, checked record by record.

A clean request is stored as the very bytes that came. It is rewritten only when a record is left
out, a value is nested (arrays and maps become JSON texts, because the tables have texts alone), or
an attribute names a person, whose pseudonym then stands in its place.

Source: OTLP specification 1.x, "OTLP/HTTP" and "OTLP/gRPC".
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from os.path import commonprefix
from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from candor.kernel.errors import (
    CandorError,
    InvalidInputError,
    MalformedError,
    UnavailableError,
    UnsupportedTypeError,
)
from candor.kernel.ports import OtlpSignal, Refusal
from collector.dedupe import Identity
from collector.event import Batch, Receipt, Rejection
from collector.receivers.decoding import Reception
from collector.receivers.otlp_journey import journey_events
from collector.receivers.otlp_json import read_json
from collector.receivers.otlp_record import JOURNEY, LoneRecords, open_record, signal_of
from collector.receivers.otlp_shape import DOOR, SHAPES, Shape, identities_of_spans, log_bodies
from collector.receivers.otlp_values import (
    flatten,
    flatten_value,
    may_be_nested,
    pseudonymise,
    pseudonymise_value,
)

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_NANOSECONDS = 1_000_000_000
_DIGEST_BYTES = 16
_MOST_REASONS = 5
_MOST_DEBUG = 8
"""The highest severity number of DEBUG. Source: OTLP logs data model, "SeverityNumber"."""
_SHED = Refusal("overloaded", "The spool fills up, and debug logs are left out first.")
_NOT_ONE = Refusal("malformed", "It must be a request with exactly one record.")
_NO_JOURNEY = Refusal("malformed", "The record names no journey, so it is no journey event.")
_UNKNOWN = 2
_GRPC_CODES = {400: 3, 401: 16, 403: 7, 413: 3, 415: 3, 422: 3, 429: 14, 503: 14}


@dataclass(slots=True)
class OtlpRequest:
    """A request that was read: its valid records by position, and the refused ones.

    Spans are recognised by their own ids, one of ``identities`` each. Log records and data points
    have none: theirs is one for the whole request, and ``digest`` is what is stored of it.
    ``refused`` names the records that are to be kept, and knows what was sent of all others, should
    they be refused yet; what was shed is not kept.
    """

    signal: OtlpSignal
    message: Any
    body: bytes | None
    digest: bytes = b""
    identities: list[Identity] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    shed: list[Rejection] = field(default_factory=list)
    journeys: Batch | None = None
    refused: Batch | None = None

    def fresh(self, claimed: Sequence[int]) -> Sequence[int]:
        """Return the positions of the records that the claimed identities stand for."""
        if self.digest:
            return self.indices if claimed else ()
        return [self.indices[position] for position in claimed]

    def content(self, kept: Collection[int]) -> bytes:
        """Return the request with only the records at these positions.

        Positions count the request's records as they stand.
        """
        total = len(self.indices) + len(self.rejections)
        if self.body is not None and len(kept) == total:
            return self.body
        wanted = frozenset(kept)
        position = 0
        for group in SHAPES[self.signal].record_groups(self.message):
            records = [record for n, record in enumerate(group, position) if n in wanted]
            position += len(group)
            if len(records) < len(group):
                del group[:]
                group.extend(records)
        return bytes(self.message.SerializeToString())


def read_request(
    signal: OtlpSignal,
    body: bytes,
    media_type: str,
    reception: Reception,
    *,
    shed_debug: bool = False,
) -> OtlpRequest:
    """Return a request with each of its records checked; ``shed_debug`` leaves out debug logs.

    Raises:
        UnsupportedTypeError: the content type is neither protobuf nor JSON.
        MalformedError: the body cannot be read.
    """
    shape = SHAPES[signal]
    if media_type not in {JSON, PROTOBUF}:
        raise UnsupportedTypeError(f"Send {signal} as {PROTOBUF} or {JSON}.")

    def read() -> Message:
        return read_json(body, shape.request) if media_type == JSON else _parsed(body, shape)

    request = OtlpRequest(signal, read(), body if media_type == PROTOBUF else None)
    if signal != "traces":
        request.digest = _digest(body, reception)
    _sort(request, body, reception)
    if shed_debug:
        _shed_debug(request, shape)
    if signal != "metrics" and (media_type == JSON or reception.journeys.name.encode() in body):
        request.journeys = _journeys(request, reception)
    _hold(request, read, reception)
    return request


def reread_record(payload: bytes, call: str, reception: Reception) -> OtlpRequest | Refusal:
    """Return a kept record as a request of its own, read like one that comes in now.

    It is the same record however often it is read, and whatever was mended.
    """
    signal = signal_of(call)
    identity, message = open_record(signal, payload)
    request = OtlpRequest(signal, message, None)
    if signal != "traces":
        request.digest = _digest(identity.encode(), reception)
    if fault := _fault_of_one(request, reception):
        return fault
    if signal != "metrics":
        request.journeys = _journeys(request, reception)
        _hold(request, lambda: open_record(signal, payload)[1], reception)
    return request


def reread_journey(payload: bytes, call: str, reception: Reception) -> Batch | Refusal:
    """Return the journey event of a record that was stored when it came, unlike the event.

    It is the event that it would have been then.
    """
    signal = signal_of(call)
    identity, message = open_record(signal, payload)
    request = OtlpRequest(signal, message, None)
    if fault := _fault_of_one(request, reception):
        return fault
    batch = _journeys(request, reception)
    for event in batch.events:
        event.id = identity or event.id
    return batch if batch.events or batch.rejections else _NO_JOURNEY


def encode_response(signal: OtlpSignal, receipt: Receipt, media_type: str) -> bytes:
    """Return the answer to a request that was taken, in the encoding in which it came.

    A record that is stored but is no journey event counts as accepted; the message says so.
    """
    shape = SHAPES[signal]
    response: Any = shape.response()
    reasons = [(shape.noun, one) for one in receipt.rejections[:_MOST_REASONS]]
    reasons += [("journey event of", one) for one in receipt.warnings[:_MOST_REASONS]]
    if reasons:
        partial = response.partial_success
        setattr(partial, shape.rejected, len(receipt.rejections))
        partial.error_message = "; ".join(
            f"{noun} {one.index}: {one.refusal.code}: {one.refusal.message}{_told_place(one)}"
            for noun, one in reasons
        )
    if media_type == JSON:
        return msgspec.json.encode(MessageToDict(response))
    return bytes(response.SerializeToString())


def _told_place(rejection: Rejection) -> str:
    kept = rejection.quarantine_id
    return f" It is kept in quarantine as {kept}." if kept is not None else ""


def status_of(error: CandorError) -> Status:
    """Return an error as ``google.rpc.Status``, with what a client may do about it.

    Trouble that passes carries RetryInfo; a fault of the request carries BadRequest.
    """
    status = Status(code=_GRPC_CODES.get(error.status, _UNKNOWN), message=error.detail)
    if isinstance(error, UnavailableError):
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        status.details.add().Pack(retry)
    elif isinstance(error, InvalidInputError):
        bad = BadRequest()
        bad.field_violations.add(field=error.path or "body", description=error.detail)
        status.details.add().Pack(bad)
    return status


def encode_error(error: CandorError, media_type: str) -> bytes:
    """Return an error as ``google.rpc.Status``, in the encoding in which the request came."""
    status = status_of(error)
    if media_type == JSON:
        return msgspec.json.encode(MessageToDict(status))
    return bytes(status.SerializeToString())


def _journeys(request: OtlpRequest, reception: Reception) -> Batch:
    valid, digest = frozenset(request.indices), request.digest.hex()
    return journey_events(request.signal, request.message, valid, digest, reception)


def _hold(request: OtlpRequest, read: Callable[[], Message], reception: Reception) -> None:
    """Say what was sent of each record, for those that will be refused; nothing is made yet."""
    shed = {one.index for one in request.shed}
    rejections = [one for one in request.rejections if one.index not in shed]
    digest, most_bytes = request.digest.hex(), reception.limits.body_bytes
    items = LoneRecords(request.signal, read, digest, shed, most_bytes)
    call = request.signal
    request.refused = Batch(DOOR, [], [], rejections, items, reception.source, call=call)
    if request.journeys is not None:
        request.journeys.items, request.journeys.call = items, call + JOURNEY


def _fault_of_one(request: OtlpRequest, reception: Reception) -> Refusal | None:
    """Read the one record of a request; return what is wrong with it, if anything is."""
    _sort(request, b"", reception)
    if len(request.indices) + len(request.rejections) != 1:
        return _NOT_ONE
    return request.rejections[0].refusal if request.rejections else None


def _sort(request: OtlpRequest, body: bytes, reception: Reception) -> None:
    """Put pseudonyms and JSON texts in, and sort the records into valid and refused ones."""
    _rewrite(request, body, reception)
    _check(request, SHAPES[request.signal], reception)


def _parsed(body: bytes, shape: Shape) -> Any:  # noqa: ANN401 - a request of this signal
    try:
        return shape.request.FromString(body)
    except DecodeError:
        raise MalformedError(f"The body is not an {shape.request.__name__}.") from None


def _rewrite(request: OtlpRequest, body: bytes, reception: Reception) -> None:
    """Put pseudonyms and JSON texts where they belong; a protobuf body is searched for them first.

    People come first: once a map is a text, nobody is found in it.
    """
    lists = SHAPES[request.signal].attribute_lists
    subjects, pseudonym = reception.journeys.subjects, reception.secrets.subject_key
    is_json, has_bodies = request.body is None, request.signal == "logs"
    rewritten = False
    if is_json or _may_name(subjects, body):
        for attributes in lists(request.message):
            rewritten |= pseudonymise(attributes, subjects, pseudonym)
        for value in log_bodies(request.message) if has_bodies else ():
            rewritten |= pseudonymise_value(value, subjects, pseudonym)
    if is_json or may_be_nested(body, bodies=has_bodies):
        for attributes in lists(request.message):
            rewritten |= flatten(attributes)
        for value in log_bodies(request.message) if has_bodies else ():
            rewritten |= flatten_value(value)
    if rewritten:
        request.body = None


def _may_name(subjects: Collection[str], body: bytes) -> bool:
    """Whether one of these attributes may be in a body; what all begin with is looked for first."""
    begin = commonprefix(list(subjects)).encode()  # noqa: RUF071 - letters are compared, no paths
    return begin in body and any(name.encode() in body for name in subjects)


def _check(request: OtlpRequest, shape: Shape, reception: Reception) -> None:
    """Sort the records of a request into valid ones, with their identities, and refused ones.

    Spans that are all valid, which nearly all are, are checked together in a third of the time.
    """
    latest = int(reception.latest.timestamp()) * _NANOSECONDS
    is_traces = request.signal == "traces"
    position = 0
    for group in shape.record_groups(request.message):
        known = identities_of_spans(group, latest) if is_traces else None
        if known is not None:
            request.identities += known
            request.indices += range(position, position + len(known))
        else:
            _check_each(request, shape, group, position, latest)
        position += len(group)
    if not is_traces and request.indices:
        request.identities.append(f"{request.signal}:{request.digest.hex()}")


def _check_each(
    request: OtlpRequest, shape: Shape, group: Sequence[Any], first: int, latest: int
) -> None:
    for position, record in enumerate(group, first):
        fault = shape.fault(record, latest)
        if fault is not None:
            request.rejections.append(Rejection(position, None, fault))
            continue
        request.indices.append(position)
        if request.signal == "traces":
            request.identities.append(record.trace_id + record.span_id)


def _shed_debug(request: OtlpRequest, shape: Shape) -> None:
    """Leave out the log records below INFO, and say so of each."""
    records = [record for group in shape.record_groups(request.message) for record in group]
    low = [one for one in request.indices if 0 < records[one].severity_number <= _MOST_DEBUG]
    request.shed = [Rejection(one, None, _SHED) for one in low]
    request.rejections += request.shed
    request.indices = sorted(set(request.indices) - set(low))


def _digest(body: bytes, reception: Reception) -> bytes:
    """Return what a repetition of this request has in common with it: its bytes and its sender.

    Keyed, so that what is stored cannot be used to try out what was sent.
    """
    digest = blake2b(
        reception.source.encode() + b"\0",
        digest_size=_DIGEST_BYTES,
        key=reception.secrets.pepper,
        person=b"otlp request",
    )
    digest.update(body)
    return digest.digest()
