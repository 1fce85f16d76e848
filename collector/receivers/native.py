"""The native door: Candor's own events as a JSON object, an array, or one a line."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from candor.kernel.errors import MalformedError, TooLargeError, UnsupportedTypeError
from candor.kernel.ports import Refusal
from collector.event import Batch, Event, Outcome, Receipt, Rejection
from collector.receivers.decoding import (
    UNREADABLE,
    Attributes,
    Reception,
    malformed,
    split_array,
    text_field,
    text_items,
    time_fault,
)
from collector.receivers.fields import (
    SUBJECT_TYPE,
    Experiment,
    Milliseconds,
    Name,
    Subject,
    Text,
    Value,
    Word,
)

DOOR = "native"
JSON_TYPES = frozenset({"application/json"})
LINES_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


class NativeEvent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event as it is sent."""

    id: Name
    name: Name
    time: Annotated[datetime, Meta(tz=True)]
    schema: Text | None = None
    journey: Word | None = None
    instance: Text | None = None
    step: Text | None = None
    outcome: Outcome | None = None
    channel: Word | None = None
    service: Word | None = None
    duration_ms: Milliseconds | None = None
    subject: Subject | None = None
    error_code: Word | None = None
    experiment: Experiment | None = None
    value: Value | None = None
    attributes: Attributes | None = None


_ITEMS = msgspec.json.Decoder(list[Raw])
_EVENT = msgspec.json.Decoder(NativeEvent)


def decode_native(body: bytes, media_type: str, reception: Reception) -> Batch:
    """Return the events of a request; each that cannot be read is named and holds up no other.

    Raises:
        UnsupportedTypeError: the content type is none of this door.
        MalformedError: the body as a whole is no JSON.
        TooLargeError: it holds more events than a request may.
    """
    return decode_items(split_native(body, media_type, reception), reception)


def decode_items(items: Sequence[bytes | Raw], reception: Reception, door: str = DOOR) -> Batch:
    """Return the events that were split from a request; the faulty ones are named."""
    sent, rejections = read_items(items, reception)
    events = [stored_event(event, door, reception) for event in sent.values()]
    return Batch(door, events, list(sent), rejections, items, reception.source)


def split_native(body: bytes, media_type: str, reception: Reception) -> Sequence[bytes | Raw]:
    """Return the events of a request, none of them read yet. Raises as ``decode_native``."""
    if media_type in LINES_TYPES:
        items: Sequence[bytes | Raw] = [line for line in body.splitlines() if line.strip()]
    elif media_type in JSON_TYPES:
        items = _split(body)
    else:
        raise UnsupportedTypeError(
            "Send events as application/json or application/x-ndjson, and CloudEvents to"
            " /v1/events."
        )
    most = reception.limits.events_per_request
    if len(items) > most:
        raise TooLargeError(f"A request may hold {most} events. Send smaller batches.")
    return text_items(body, items)


def read_items(
    items: Sequence[bytes | Raw], reception: Reception
) -> tuple[dict[int, NativeEvent], list[Rejection]]:
    """Return the valid events of a request by their position, and the others with their faults."""
    events: dict[int, NativeEvent] = {}
    rejections: list[Rejection] = []
    for index, item in enumerate(items):
        read = _read(item, reception)
        if isinstance(read, Refusal):
            rejections.append(Rejection(index, text_field(item, "id"), read))
        else:
            events[index] = read
    return events, rejections


def event_fault(event: NativeEvent, reception: Reception) -> Refusal | None:
    """Return what is wrong with an event whose every field could be read."""
    if skewed := time_fault(event.time, reception, "time"):
        return skewed
    subject = event.subject
    if subject is not None and not SUBJECT_TYPE.fullmatch(subject.type):
        return Refusal("malformed", "A subject type is one lower-case word.", "subject.type")
    return None


def stored_event(event: NativeEvent, door: str, reception: Reception) -> Event:
    """Return an event as it is stored; its person is a pseudonym from here on."""
    subject, experiment, value = event.subject, event.experiment, event.value
    return Event(
        event.id,
        door,
        event.name,
        event.schema or "",
        event.time,
        reception.received_at,
        event.journey or "",
        event.instance or "",
        event.step or "",
        event.outcome or "",
        event.channel or "",
        event.service or "",
        event.duration_ms,
        reception.secrets.subject_key(subject.type, subject.value) if subject else "",
        subject.type if subject else "",
        event.error_code or "",
        experiment.key if experiment else "",
        experiment.variant if experiment else "",
        value.amount if value else None,
        value.currency if value else "",
        event.attributes or {},
    )


def encode_receipt(receipt: Receipt) -> bytes:
    """Return the native answer."""
    return msgspec.json.encode(receipt_document(receipt))


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """Return the native answer as a document."""
    return {
        "accepted": receipt.accepted,
        "deduplicated": receipt.deduplicated,
        "quarantined": receipt.quarantined,
        "rejected": [
            {
                "index": rejection.index,
                "id": rejection.id,
                "code": rejection.refusal.code,
                "path": rejection.refusal.path,
                "message": rejection.refusal.message,
                "quarantine_id": rejection.quarantine_id,
            }
            for rejection in receipt.rejections
        ],
    }


def _split(body: bytes) -> Sequence[Raw | bytes]:
    is_array = body.lstrip()[:1] == b"["
    try:
        return _ITEMS.decode(body) if is_array else [msgspec.json.decode(body, type=Raw)]
    except UNREADABLE:
        pass
    try:
        return split_array(body) if is_array else [json.dumps(json.loads(body)).encode()]
    except (ValueError, RecursionError):
        raise MalformedError("The body is not JSON. Send an object, an array, or lines.") from None


def _read(item: bytes | Raw, reception: Reception) -> NativeEvent | Refusal:
    if len(item) > reception.limits.event_bytes:
        most = reception.limits.event_bytes
        return Refusal("too_large", f"An event may weigh {most} bytes.")
    try:
        event = _EVENT.decode(item)
    except UNREADABLE as error:
        return malformed(error)
    return event_fault(event, reception) or event
