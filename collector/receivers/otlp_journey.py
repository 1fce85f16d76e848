"""Spans and log records that are steps of a journey, as the events that they are as well.

Which attributes say so is a setting; the attributes that no field takes stay attributes of the
event. A person is a pseudonym by the time this is read.
"""

from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from candor.kernel.ports import OtlpSignal, Refusal
from candor.kernel.settings import JourneySettings
from collector.event import Batch, Event, Outcome, Rejection
from collector.receivers.decoding import Reception
from collector.receivers.otlp_shape import DOOR, SHAPES
from collector.receivers.otlp_values import plain, text_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_NANOSECONDS = 1000
_MILLISECOND_NANOSECONDS = 1_000_000
_STATUS_ERROR = 2
_OUTCOMES = frozenset(get_args(Outcome))
_MOST_LETTERS = {
    "id": 200, "name": 200, "journey": 100, "instance": 400, "step": 100, "channel": 100,
    "service": 100,
}  # fmt: skip
_MOST_ATTRIBUTES = 250
_MOST_KEY_LETTERS = 100


def journey_events(
    signal: OtlpSignal,
    message: Any,  # noqa: ANN401 - a request of this signal
    valid: Container[int],
    digest: str,
    reception: Reception,
) -> Batch:
    """Return the journey events among the valid records of a request, and those that are no event.

    ``digest`` names a request whose records have no id. Places are those of the records.
    """
    batch = Batch(DOOR, [], [], source=reception.source)
    indices: list[int] = []
    names = reception.journeys
    for position, service, record in _records(signal, message):
        if position not in valid:
            continue
        values = {attribute.key: attribute.value for attribute in record.attributes}
        if names.name not in values:
            continue
        event = _event(signal, record, values, reception)
        event.id = event.id or f"{digest}-{position}"
        event.service = service
        fault = _fault(event, names, reception)
        if fault is None:
            batch.events.append(event)
            indices.append(position)
        else:
            batch.rejections.append(Rejection(position, event.id, fault))
    batch.indices = indices
    return batch


def _records(signal: OtlpSignal, message: Any) -> Iterator[tuple[int, str, Any]]:  # noqa: ANN401 - as above
    shape = SHAPES[signal]
    position = 0
    for resource in getattr(message, shape.resources):
        shared = {one.key: one.value for one in resource.resource.attributes}
        service = text_of(shared["service.name"]) if "service.name" in shared else ""
        for scope in getattr(resource, shape.scopes):
            for group in shape.groups(scope):
                for record in group:
                    yield position, service, record
                    position += 1


def _event(
    signal: OtlpSignal,
    record: Any,  # noqa: ANN401 - a span or log record
    values: Mapping[str, AnyValue],
    reception: Reception,
) -> Event:
    names = reception.journeys

    def text(name: str) -> str:
        return text_of(values[name]) if name in values else ""

    journey, step = text(names.name), text(names.step)
    subject = next((name for name in names.subjects if text(name)), None)
    taken = {names.name, names.instance, names.step, names.outcome, names.channel, *names.subjects}
    event = Event(
        id="",
        door=DOOR,
        name=f"{journey}.{step}" if step else "",
        schema="",
        time=reception.received_at,
        received_at=reception.received_at,
        journey=journey,
        instance=text(names.instance),
        step=step,
        outcome=text(names.outcome),
        channel=text(names.channel),
        subject_key=text(subject) if subject is not None else "",
        subject_type=names.subjects[subject] if subject is not None else "",
        attributes={
            name: msgspec.Raw(msgspec.json.encode(plain(value)))
            for name, value in values.items()
            if name not in taken
        },
    )
    (_complete_span if signal == "traces" else _complete_log)(event, record)
    return event


def _complete_span(event: Event, span: Any) -> None:  # noqa: ANN401 - Span
    started, ended = span.start_time_unix_nano, span.end_time_unix_nano
    event.id = span.trace_id.hex() + span.span_id.hex()
    event.name = event.name or span.name
    event.time = _instant(started)
    event.duration_ms = max(0, ended - started) / _MILLISECOND_NANOSECONDS
    event.outcome = event.outcome or ("error" if span.status.code == _STATUS_ERROR else "ok")


def _complete_log(event: Event, record: Any) -> None:  # noqa: ANN401 - LogRecord
    event.name = event.name or record.event_name or event.journey
    if at := record.time_unix_nano or record.observed_time_unix_nano:
        event.time = _instant(at)


def _instant(nanoseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=nanoseconds // _MICROSECOND_NANOSECONDS)


def _fault(event: Event, names: JourneySettings, reception: Reception) -> Refusal | None:
    if not event.journey or not event.name:
        return Refusal("malformed", "A journey event needs a journey and a name.", names.name)
    for field, most in _MOST_LETTERS.items():
        if len(getattr(event, field)) > most:
            path = getattr(names, "name" if field == "journey" else field, field)
            return Refusal("malformed", f"The {field} may have {most} characters.", path)
    if event.outcome and event.outcome not in _OUTCOMES:
        told = f"An outcome is one of {', '.join(sorted(_OUTCOMES))}."
        return Refusal("malformed", told, names.outcome)
    attributes = event.attributes
    if len(attributes) > _MOST_ATTRIBUTES or max(map(len, attributes), default=0) > (
        _MOST_KEY_LETTERS
    ):
        told = f"A journey event has {_MOST_ATTRIBUTES} attributes at most, of"
        return Refusal("malformed", f"{told} {_MOST_KEY_LETTERS} characters each.", "attributes")
    most_bytes = reception.limits.event_bytes
    if sum(len(value) for value in attributes.values()) > most_bytes:
        return Refusal("too_large", f"An event may weigh {most_bytes} bytes.")
    return None
