"""The Segment door: the calls that Segment's client libraries make.

A call becomes an event of its own name (``track``) or of its kind (``page``, ``identify`` and so
on). Of its properties, those that bear the name of an event's field become that field; the rest
are attributes, as is what is kept of the context. Traits are personal and are not stored.

Source: Segment's HTTP API, "HTTP Tracking API" and "Spec".
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

import msgspec
from msgspec import Raw

from candor.kernel.errors import CandorError, InvalidInputError, MalformedError, TooLargeError
from candor.kernel.ids import new_id
from candor.kernel.ports import Link, Refusal
from collector.event import Batch, Event, Outcome, Receipt, Rejection
from collector.receivers.decoding import (
    MOST_AMOUNT,
    UNREADABLE,
    Reception,
    RefusedError,
    malformed,
    text_field,
    text_items,
    time_fault,
)
from collector.receivers.segment_call import (
    CALL_TYPES,
    DOOR,
    Call,
    is_absent,
    link_of,
    time_of,
)
from collector.receivers.segment_context import (
    channel_of,
    keep_page,
    kept_context,
    kept_integrations,
)

BODY_BYTES = 500 * 1024
EVENT_BYTES = 32 * 1024
BATCH_EVENTS = 2500

BATCHES = ("batch", "import")

_OUTCOMES = frozenset(get_args(Outcome))
_CHANNELS = {"browser": "web", "mobile": "app", "server": "api"}
_TEXTS = {
    "schema": 400, "journey": 100, "instance": 400, "step": 400, "channel": 100, "service": 100,
    "error_code": 100,
}  # fmt: skip
_MOST_CURRENCY = 12
_MOST_CHANNEL = 100
_NO_INSTANT = Refusal("clock_skew", "No calendar has the time that follows.", "timestamp")


class SegmentLimitError(TooLargeError):
    """A request over one of Segment's limits, which Segment answers with 400."""

    status = 400


class _Envelope(msgspec.Struct, rename="camel"):
    batch: list[Raw] | None = None
    write_key: str | None = None
    sent_at: datetime | None = None
    context: dict[str, Raw] | None = None
    integrations: dict[str, Raw] | None = None


@dataclass(frozen=True, slots=True)
class SegmentBody:
    """A body split into calls, with the key if it travels inside.

    The rest is what a batch says for all its calls: when it was sent, by the client's clock, the
    channel, and the attributes that its context and integrations become.
    """

    calls: Sequence[bytes | Raw]
    write_key: str | None
    sent_at: datetime | None = None
    channel: str | None = None
    shared: Mapping[str, Raw] = field(default_factory=dict)


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
    except UNREADABLE as error:
        envelope = _split_slowly(body, malformed(error).path)
    if path_type not in BATCHES:
        if len(body) > EVENT_BYTES:
            raise SegmentLimitError(f"A call may weigh {EVENT_BYTES} bytes (32 KB).")
        return SegmentBody(text_items(body, [body]), envelope.write_key)
    if envelope.batch is None:
        raise MalformedError("A batch needs its calls in an array.", path="batch")
    if len(envelope.batch) > BATCH_EVENTS:
        raise SegmentLimitError(f"A batch may hold {BATCH_EVENTS} calls. Send smaller ones.")
    return SegmentBody(
        text_items(body, envelope.batch),
        envelope.write_key,
        envelope.sent_at,
        channel_of(envelope.context),
        kept_context(envelope.context) | kept_integrations(envelope.integrations),
    )


def decode_segment(body: SegmentBody, path_type: str, reception: Reception) -> Batch:
    """Return the events of the calls; each that cannot be read is named, and holds up no other."""
    batch = Batch(DOOR, [], [], items=body.calls, source=reception.source, call=path_type)
    indices: list[int] = []
    for index, item in enumerate(body.calls):
        try:
            event, link = _read(item, body, path_type, reception)
        except RefusedError as error:
            batch.rejections.append(Rejection(index, text_field(item, "messageId"), error.refusal))
            continue
        batch.events.append(event)
        indices.append(index)
        if link is not None:
            batch.links.append((index, link))
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
                    "quarantine_id": rejection.quarantine_id,
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


def _split_slowly(body: bytes, fault: str | None) -> _Envelope:
    """Return a batch of which msgspec refuses something: if that is one call, it fails alone later.

    Raises:
        MalformedError: it is no batch even so, or what it says for all its calls is at fault.
    """
    try:
        document = json.loads(body)
        calls = msgspec.convert(document.pop("batch"), list[object])
        envelope = _SPLIT.decode(json.dumps(document))
        envelope.batch = [Raw(json.dumps(call).encode()) for call in calls]
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        place = malformed(error).path if isinstance(error, msgspec.MsgspecError) else None
        raise MalformedError(
            "The body is not the JSON object of a Segment call.", path=place or fault
        ) from None
    return envelope


def _read(
    item: bytes | Raw, body: SegmentBody, path_type: str, reception: Reception
) -> tuple[Event, Link | None]:
    if len(item) > EVENT_BYTES:
        raise RefusedError(Refusal("too_large", f"A call may weigh {EVENT_BYTES} bytes (32 KB)."))
    try:
        call = _CALL.decode(item)
        kind = call.type if path_type in BATCHES else path_type
        event = _event_of(call, kind, body, reception)
        return event, link_of(call, kind, event.time, reception)
    except UNREADABLE as error:
        raise RefusedError(malformed(error)) from None


def _event_of(call: Call, kind: str, body: SegmentBody, reception: Reception) -> Event:
    fault = _fault(call, kind)
    if fault is not None:
        raise RefusedError(fault)
    subject_type = "anonymous_id" if is_absent(call.user_id) else "user_id"
    subject = call.anonymous_id if is_absent(call.user_id) else call.user_id
    channel = call.channel or channel_of(call.context) or body.channel or ""
    event = Event(
        id=call.message_id or new_id(reception.received_at),
        door=DOOR,
        name=(call.event or kind) if kind == "track" else kind,
        schema="",
        time=_time_of(call, body, reception),
        received_at=reception.received_at,
        step=call.name or "",
        channel=_CHANNELS.get(channel, channel[:_MOST_CHANNEL]),
        subject_key=reception.secrets.subject_key(subject_type, str(subject)),
        subject_type=subject_type,
    )
    properties = call.properties or {}
    if kind == "page":
        keep_page(properties)
    if kind in {"page", "screen"} and call.category:
        properties.setdefault("category", Raw(msgspec.json.encode(call.category)))
    _with_properties(event, properties)
    event.attributes = {
        **body.shared,
        **kept_context(call.context),
        **kept_integrations(call.integrations),
        **properties,
    }
    return event


def _time_of(call: Call, body: SegmentBody, reception: Reception) -> datetime:
    at = time_of(call, body.sent_at, reception)
    skewed = time_fault(at, reception, "timestamp") if at is not None else _NO_INSTANT
    if at is None or skewed is not None:
        raise RefusedError(skewed or _NO_INSTANT)
    return at


def _fault(call: Call, kind: str) -> Refusal | None:
    if kind not in CALL_TYPES:
        return Refusal("malformed", f"A call's type is one of {', '.join(CALL_TYPES)}.", "type")
    if is_absent(call.user_id) and is_absent(call.anonymous_id):
        return Refusal("malformed", "A call needs a userId or an anonymousId.", "userId")
    needed: Mapping[str, tuple[tuple[str, object], ...]] = {
        "track": (("event", call.event),),
        "group": (("groupId", call.group_id),),
        "alias": (("userId", call.user_id), ("previousId", call.previous_id)),
    }
    for name, value in needed.get(kind, ()):
        if value is None or not str(value).strip():
            return Refusal("malformed", f"A call of the type {kind} needs this field.", name)
    return None


def _with_properties(event: Event, properties: dict[str, Raw]) -> None:
    """Promote properties that bear a field's name and fit it; the others stay where they are."""
    for name in _TEXTS.keys() & properties.keys():
        value, most = _value(properties, name), _TEXTS[name]
        if isinstance(value, str) and len(value) <= most:
            setattr(event, name, value)
            del properties[name]
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


def _value(properties: dict[str, Raw], name: str) -> object:
    return msgspec.json.decode(properties[name]) if name in properties else None


def _number(properties: dict[str, Raw], name: str) -> float | None:
    value = _value(properties, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None
