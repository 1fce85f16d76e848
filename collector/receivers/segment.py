"""The Segment door: the calls that Segment's client libraries make.

A call becomes an event of its own name (``track``) or of its kind (``page``, ``identify`` and so
on). Of its properties, those that bear the name of an event's field become that field; the rest
are attributes. Traits and the address in the context are personal and are not stored.

Source: Segment's HTTP API, "HTTP Tracking API" and "Spec".
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta, Raw

from candor.kernel.errors import CandorError, InvalidInputError, MalformedError, TooLargeError
from candor.kernel.ids import new_id
from candor.kernel.ports import Refusal
from collector.event import Batch, Event, Outcome, Receipt, Rejection
from collector.receivers.decoding import (
    MOST_AMOUNT,
    UNREADABLE,
    Attributes,
    Reception,
    malformed,
    text_field,
    time_fault,
)

DOOR = "segment"
BODY_BYTES = 500 * 1024
EVENT_BYTES = 32 * 1024
BATCH_EVENTS = 2500

CallType = Literal["track", "identify", "page", "screen", "group", "alias"]
CALL_TYPES: tuple[CallType, ...] = get_args(CallType)
BATCHES = ("batch", "import")

_OUTCOMES = frozenset(get_args(Outcome))
_CHANNELS = {"browser": "web", "mobile": "app", "server": "api"}
_TEXTS = {
    "journey": 100, "instance": 400, "step": 400, "channel": 100, "service": 100, "error_code": 100,
}  # fmt: skip
_MOST_CURRENCY = 12

Name = Annotated[str, Meta(min_length=1, max_length=200)]


class SegmentLimitError(TooLargeError):
    """A request over one of Segment's limits, which Segment answers with 400."""

    status = 400


class Call(msgspec.Struct, rename="camel", gc=False):
    """One call; fields that Candor does not use are read over."""

    type: str = ""
    message_id: Annotated[str, Meta(max_length=200)] | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    event: Name | None = None
    name: Annotated[str, Meta(max_length=200)] | None = None
    channel: Annotated[str, Meta(max_length=100)] | None = None
    group_id: str | int | None = None
    previous_id: str | int | None = None
    timestamp: datetime | None = None
    original_timestamp: datetime | None = None
    properties: Attributes | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    batch: list[Raw] | None = None
    write_key: str | None = None


@dataclass(frozen=True, slots=True)
class SegmentBody:
    """A body split into calls, with the key if it travels inside."""

    calls: list[bytes | Raw]
    write_key: str | None


_CALL = msgspec.json.Decoder(Call, strict=True)
_SPLIT = msgspec.json.Decoder(_Envelope)


def split_segment(body: bytes, path_type: str) -> SegmentBody:
    """Return the calls of a body that came to ``/v1/<path_type>``.

    Raises:
        MalformedError: it is no JSON object, or a batch without ``batch``.
        SegmentLimitError: it is over a limit; the sentence names it.
    """
    try:
        envelope = _SPLIT.decode(body)
    except UNREADABLE:
        raise MalformedError("The body is not the JSON object of a Segment call.") from None
    if path_type not in BATCHES:
        if len(body) > EVENT_BYTES:
            raise SegmentLimitError(f"A call may weigh {EVENT_BYTES} bytes (32 KB).")
        return SegmentBody([body], envelope.write_key)
    if envelope.batch is None:
        raise MalformedError("A batch needs its calls in an array.", path="batch")
    if len(envelope.batch) > BATCH_EVENTS:
        raise SegmentLimitError(f"A batch may hold {BATCH_EVENTS} calls. Send smaller ones.")
    return SegmentBody(list(envelope.batch), envelope.write_key)


def decode_segment(body: SegmentBody, path_type: str, reception: Reception) -> Batch:
    """Return the events of the calls; each that cannot be read is named, and holds up no other."""
    batch = Batch(DOOR, [], [], items=body.calls, source=reception.source)
    indices: list[int] = []
    for index, item in enumerate(body.calls):
        try:
            batch.events.append(_read(item, path_type, reception))
            indices.append(index)
        except _RefusedError as error:
            batch.rejections.append(Rejection(index, text_field(item, "messageId"), error.refusal))
    batch.indices = indices
    return batch


def basic_user(authorization: str) -> str | None:
    """Return the user name of an ``Authorization: Basic`` header, which is where the key is."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, _ = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user or None


def encode_segment_receipt(receipt: Receipt) -> bytes:
    """Return Segment's answer, with what Segment does not say: what became of each call."""
    return msgspec.json.encode(
        {
            "success": True,
            "accepted": receipt.accepted,
            "deduplicated": receipt.deduplicated,
            "quarantined": receipt.quarantined,
            "rejected": [
                {
                    "index": rejection.index,
                    "messageId": rejection.id,
                    "code": rejection.refusal.code,
                    "path": rejection.refusal.path,
                    "message": rejection.refusal.message,
                }
                for rejection in receipt.rejections
            ],
        }
    )


def encode_segment_error(error: CandorError) -> bytes:
    """Return an error in Segment's shape."""
    document = {"success": False, "code": error.code, "message": error.detail}
    if isinstance(error, InvalidInputError) and error.path is not None:
        document["path"] = error.path
    return msgspec.json.encode(document)


class _RefusedError(Exception):
    """Carries a refusal out of the reading of one call; it never leaves this module."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def _read(item: bytes | Raw, path_type: str, reception: Reception) -> Event:
    if len(item) > EVENT_BYTES:
        raise _RefusedError(Refusal("too_large", f"A call may weigh {EVENT_BYTES} bytes (32 KB)."))
    try:
        call = _CALL.decode(item)
        return _event_of(call, call.type if path_type in BATCHES else path_type, reception)
    except UNREADABLE as error:
        raise _RefusedError(malformed(error)) from None


def _event_of(call: Call, kind: str, reception: Reception) -> Event:
    fault = _fault(call, kind)
    if fault is not None:
        raise _RefusedError(fault)
    at = call.timestamp or call.original_timestamp or reception.received_at
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    skewed = time_fault(at, reception, "timestamp")
    if skewed is not None:
        raise _RefusedError(skewed)
    subject_type = "user_id" if call.user_id not in (None, "") else "anonymous_id"
    subject = call.user_id if subject_type == "user_id" else call.anonymous_id
    event = Event(
        id=call.message_id or new_id(reception.received_at),
        door=DOOR,
        name=call.event or kind,
        schema="",
        time=at,
        received_at=reception.received_at,
        step=call.name or "",
        channel=_CHANNELS.get(call.channel or "", call.channel or ""),
        subject_key=reception.secrets.subject_key(subject_type, str(subject)),
        subject_type=subject_type,
    )
    return _with_properties(event, call.properties or {})


def _fault(call: Call, kind: str) -> Refusal | None:
    if kind not in CALL_TYPES:
        return Refusal("malformed", f"A call's type is one of {', '.join(CALL_TYPES)}.", "type")
    if call.user_id in (None, "") and call.anonymous_id in (None, ""):
        return Refusal("malformed", "A call needs a userId or an anonymousId.", "userId")
    needed: Mapping[str, tuple[str, object]] = {
        "track": ("event", call.event),
        "group": ("groupId", call.group_id),
        "alias": ("previousId", call.previous_id),
    }
    field, value = needed.get(kind, ("", kind))
    if value in (None, ""):
        return Refusal("malformed", f"A {kind} call needs this field.", field)
    return None


def _with_properties(event: Event, properties: dict[str, Raw]) -> Event:
    """Promote properties that bear a field's name and fit it; keep all others as attributes."""
    for field, most in _TEXTS.items():
        value = _value(properties, field)
        if isinstance(value, str) and len(value) <= most:
            setattr(event, field, value)
            del properties[field]
    outcome = _value(properties, "outcome")
    if isinstance(outcome, str) and outcome in _OUTCOMES:
        event.outcome = outcome
        del properties["outcome"]
    duration = _number(properties, "duration_ms")
    if duration is not None and duration >= 0:
        event.duration_ms = duration
        del properties["duration_ms"]
    amount = _number(properties, "revenue")
    if amount is not None and abs(amount) < MOST_AMOUNT:
        event.amount = amount
        del properties["revenue"]
        currency = _value(properties, "currency")
        if isinstance(currency, str) and len(currency) <= _MOST_CURRENCY:
            event.currency = currency
            del properties["currency"]
    event.attributes = properties
    return event


def _value(properties: dict[str, Raw], name: str) -> object:
    return msgspec.json.decode(properties[name]) if name in properties else None


def _number(properties: dict[str, Raw], name: str) -> float | None:
    value = _value(properties, name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
