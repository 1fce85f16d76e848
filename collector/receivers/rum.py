"""The RUM door: what pages send by ``navigator.sendBeacon``: web vitals, errors, journey steps.

A beacon without a ``type`` is a vital, so that the metric objects of the npm package `web-vitals`
are taken as they are. Of an error only its name, its place and a digest for grouping are kept: a
message may say anything about anybody.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from candor.kernel.errors import UnsupportedTypeError
from candor.kernel.ids import new_id
from candor.kernel.ports import Refusal
from collector.event import Batch, Event, Rejection
from collector.page import page_of, script_of
from collector.receivers.decoding import (
    UNREADABLE,
    Reception,
    RefusedError,
    malformed,
    text_field,
    time_fault,
)
from collector.receivers.fields import Name, Word
from collector.receivers.native import NativeEvent, event_fault, split_native, stored_event
from collector.vital import Rating, Vital, VitalName, rating_of

DOOR = "rum"
BODY_BYTES = 64 * 1024
ERROR_EVENT = "rum.error"

_MEDIA_TYPES = frozenset({"text/plain", "application/json", ""})
_NO_CONSENT = Refusal(
    "consent_denied",
    'This key takes nothing without the visitor\'s consent. Send it with "consent": true.',
    "consent",
)
_GPC = Refusal("consent_denied", "The visitor's browser signals Global Privacy Control.")
_ERROR_NAME = re.compile(r"[A-Za-z_$][\w.$]{0,99}", re.ASCII)
_NUMBERS = re.compile(r"\d+")
_GROUP_CHARACTERS = 16
_NOT_KEPT = b""
_PARTS = frozenset(
    {
        *("timeToFirstByte", "resourceLoadDelay", "resourceLoadDuration", "elementRenderDelay"),
        *("inputDelay", "processingDuration", "presentationDelay", "largestShiftValue"),
        *("firstByteToFCP", "waitingDuration", "cacheDuration", "dnsDuration"),
        *("connectionDuration", "requestDuration"),
    }
)

Device = Literal["mobile", "desktop", "tablet"]
Instant = Annotated[datetime, Meta(tz=True)]
Place = Annotated[int, Meta(ge=0, lt=2**31)]


class _Kind(msgspec.Struct, gc=False):
    type: str = "vital"
    consent: bool | None = None


class VitalBeacon(msgspec.Struct, rename="camel", gc=False):
    """A vital as it is sent; what Candor does not know is read over."""

    name: VitalName
    value: Annotated[float, Meta(ge=0, lt=1e9)]
    delta: Annotated[float, Meta(gt=-1e9, lt=1e9)]
    id: Name
    rating: Rating | None = None
    navigation_type: Annotated[str, Meta(pattern=r"^[a-z-]{0,40}$")] | None = None
    page: str | None = None
    device: Device | None = None
    time: Instant | None = None
    journey: Word | None = None
    step: Word | None = None
    attribution: Raw = Raw(b"{}")


class ErrorBeacon(msgspec.Struct, gc=False):
    """An uncaught error as it is sent."""

    name: str = "Error"
    message: str | None = None
    id: Name | None = None
    page: str | None = None
    source: str | None = None
    line: Place | None = None
    column: Place | None = None
    time: Instant | None = None


class StepBeacon(NativeEvent, omit_defaults=True, gc=False):
    """A native event with the two fields that only beacons have."""

    type: str | None = None
    consent: bool | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """What the key and the browser say about a request: terms, signal and kind of device."""

    requires_consent: bool = False
    gpc: bool = False
    device: str = ""


@dataclass(frozen=True, slots=True)
class Beacons:
    """One request read: its events and what was refused, and its vitals."""

    batch: Batch
    vitals: list[Vital]


_KIND = msgspec.json.Decoder(_Kind)
_VITAL = msgspec.json.Decoder(VitalBeacon)
_ERROR = msgspec.json.Decoder(ErrorBeacon)
_STEP = msgspec.json.Decoder(StepBeacon)
_ATTRIBUTION = msgspec.json.Decoder(dict[str, Raw])
_NUMBER = msgspec.json.Decoder(float)


def decode_rum(body: bytes, media_type: str, reception: Reception, visit: Visit) -> Beacons:
    """Return the beacons of a request; each that is refused is named and holds up no other.

    Of what was sent only native events stay at hand as ``items``: nothing else of a page may be
    kept for a later look, least of all what came without consent.

    Raises:
        UnsupportedTypeError: the content type is none that ``sendBeacon`` sends for JSON.
        MalformedError: the body as a whole is no JSON.
        TooLargeError: it holds more beacons than a request may.
    """
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedTypeError("Send beacons as text/plain or application/json.")
    sent = split_native(body, "application/json", reception)
    items: list[bytes | Raw] = [_NOT_KEPT] * len(sent)
    indices: list[int] = []
    batch = Batch(DOOR, [], indices, items=items, source=reception.source)
    vitals: list[Vital] = []
    for index, item in enumerate(sent):
        try:
            read = _read(item, reception, visit)
        except RefusedError as error:
            batch.rejections.append(Rejection(index, text_field(item, "id"), error.refusal))
            continue
        if isinstance(read, Vital):
            vitals.append(read)
            continue
        if isinstance(read, StepBeacon):
            items[index] = msgspec.json.encode(read)
            read = stored_event(read, DOOR, reception)
        batch.events.append(read)
        indices.append(index)
    return Beacons(batch, vitals)


def _read(item: bytes | Raw, reception: Reception, visit: Visit) -> Vital | Event | StepBeacon:
    try:
        kind = _KIND.decode(item)
        if visit.requires_consent and (visit.gpc or not kind.consent):
            raise RefusedError(_GPC if visit.gpc else _NO_CONSENT)
        if kind.type == "vital":
            return _vital(_VITAL.decode(item), reception, visit)
        if kind.type == "error":
            return _error(_ERROR.decode(item), reception)
        if kind.type == "step":
            return _step(_STEP.decode(item), reception, visit)
    except UNREADABLE as error:
        raise RefusedError(malformed(error)) from None
    raise RefusedError(Refusal("malformed", "A beacon is a vital, an error or a step.", "type"))


def _vital(beacon: VitalBeacon, reception: Reception, visit: Visit) -> Vital:
    """Return a vital as it is stored; its rating follows from its value, whatever was sent."""
    return Vital(
        _instant(beacon.time, reception),
        reception.received_at,
        beacon.id,
        beacon.name,
        beacon.value,
        beacon.delta + 0.0,  # of the two zeros only the positive one
        rating_of(beacon.name, beacon.value),
        page_of(beacon.page or ""),
        beacon.device or visit.device,
        beacon.navigation_type or "",
        beacon.journey or "",
        beacon.step or "",
        reception.source,
        _parts(beacon.attribution),
    )


def _parts(attribution: Raw) -> dict[str, float]:
    """Return the durations of an attribution; its selectors, addresses and entries stay out."""
    parts: dict[str, float] = {}
    try:
        sent = _ATTRIBUTION.decode(attribution)
    except UNREADABLE:
        return parts
    for name in _PARTS & sent.keys():
        try:
            parts[name] = _NUMBER.decode(sent[name])
        except msgspec.MsgspecError:
            continue
    return parts


def _error(beacon: ErrorBeacon, reception: Reception) -> Event:
    """Return an error as an event of no journey.

    The digest that groups equal errors is keyed like a pseudonym, so that nobody can find out a
    message by trying; numbers in a message do not count.
    """
    name = beacon.name if _ERROR_NAME.fullmatch(beacon.name) else "Error"
    script = script_of(beacon.source or "")
    told = _NUMBERS.sub("0", beacon.message or "")
    place = f"{script}:{beacon.line}:{beacon.column}" if not told else ""
    group = reception.secrets.subject_key("rum_error", f"{name}:{told}:{place}")
    fields = {
        "page": page_of(beacon.page or ""),
        "script": script,
        "line": beacon.line,
        "column": beacon.column,
        "group": group[:_GROUP_CHARACTERS],
    }
    return Event(
        beacon.id or new_id(reception.received_at),
        DOOR,
        ERROR_EVENT,
        "",
        _instant(beacon.time, reception),
        reception.received_at,
        outcome="error",
        channel="web",
        error_code=name,
        attributes={
            key: Raw(msgspec.json.encode(value))
            for key, value in fields.items()
            if value not in {None, ""}
        },
    )


def _step(beacon: StepBeacon, reception: Reception, visit: Visit) -> StepBeacon:
    """Return a step as a native event; under Global Privacy Control it is nobody's."""
    if fault := event_fault(beacon, reception):
        raise RefusedError(fault)
    beacon.type = beacon.consent = None
    if visit.gpc:
        beacon.subject = beacon.instance = None
    return beacon


def _instant(sent: datetime | None, reception: Reception) -> datetime:
    if sent is None:
        return reception.received_at
    if skewed := time_fault(sent, reception, "time"):
        raise RefusedError(skewed)
    return sent
