"""What the data of a CloudEvent becomes: members that bear a native field's name and fit it become
that field, all others are attributes.

Source: CloudEvents 1.0.2, "JSON Event Format", section 3.1, for where data stands.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from candor.kernel.ports import Refusal
from collector.event import Event, Outcome
from collector.receivers.decoding import UNREADABLE, Attributes, Reception, RefusedError, malformed
from collector.receivers.fields import (
    SUBJECT_TYPE,
    Experiment,
    Milliseconds,
    Subject,
    Text,
    Value,
    Word,
)

DATA, BASE64 = "data", "data_base64"

_JSON_TYPE = re.compile(r"[a-z0-9.-]+/(?:[a-z0-9.-]+\+)?json")
_MEMBERS = msgspec.json.Decoder(Attributes)
_RAW = msgspec.json.Decoder(Raw)
_PLAIN = {
    name: msgspec.json.Decoder(kind)
    for name, kind in {
        "journey": Word,
        "instance": Text,
        "step": Text,
        "outcome": Outcome,
        "channel": Word,
        "service": Word,
        "duration_ms": Milliseconds,
        "error_code": Word,
    }.items()
}
_SUBJECT = msgspec.json.Decoder(Subject)
_EXPERIMENT = msgspec.json.Decoder(Experiment)
_VALUE = msgspec.json.Decoder(Value)
_NULL = b"null"
_T = TypeVar("_T")


def refused(message: str, path: str | None = None) -> RefusedError:
    """Return what says that an event is malformed, at ``path`` where that can be shown."""
    return RefusedError(Refusal("malformed", message, path))


def is_json(content_type: str) -> bool:
    """Whether data of this content type is JSON; data without any is, too."""
    media_type = content_type.partition(";")[0].strip().lower()
    return not media_type or _JSON_TYPE.fullmatch(media_type) is not None


def data_of_body(body: bytes, content_type: str) -> dict[str, object]:
    """Return the member in which a JSON document holds the data that a body is.

    Data that says it is JSON must be; what says nothing may be a text.
    """
    if not body:
        return {}
    if is_json(content_type):
        try:
            return {DATA: _RAW.decode(body)}
        except UNREADABLE:
            if content_type:
                raise refused(
                    "The data is not the JSON that its content type says.", DATA
                ) from None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {BASE64: base64.b64encode(body).decode()} if "\0" in text else {DATA: text}


def data_of_base64(encoded: Raw, content_type: str) -> Mapping[str, Raw]:
    """Return the same for data that a JSON document holds in base 64."""
    try:
        body = base64.b64decode(msgspec.json.decode(encoded, type=str), validate=True)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise refused("This is not base 64.", BASE64) from None
    data = data_of_body(body, content_type)
    return {name: Raw(msgspec.json.encode(value)) for name, value in data.items()}


def take_data(event: Event, data: Raw, reception: Reception) -> None:
    """Give an event what its data says; data that is no object is one attribute."""
    if bytes(data)[:1] != b"{":
        event.attributes = {DATA: data}
        return
    try:
        members = _MEMBERS.decode(data)
    except UNREADABLE as error:
        fault = malformed(error)
        raise refused(fault.message, f"{DATA}.{fault.path}" if fault.path else DATA) from None
    own = members.pop("attributes", None)
    for name, decoder in _PLAIN.items():
        if _is_told(members, name) and (value := _fitting(decoder, members[name])) is not None:
            setattr(event, name, value)
            del members[name]
    _take_subject(event, members, reception)
    _take_worth(event, members)
    event.attributes = members | _own_attributes(own)


def _take_subject(event: Event, members: dict[str, Raw], reception: Reception) -> None:
    """Key the person; a person that cannot be read is refused rather than kept as it came."""
    if not _is_told(members, "subject") or bytes(members["subject"])[:1] != b"{":
        return
    subject = _fitting(_SUBJECT, members["subject"])
    if subject is None or not SUBJECT_TYPE.fullmatch(subject.type):
        raise refused("A subject has a type, one lower-case word, and a value.", f"{DATA}.subject")
    event.subject_key = reception.secrets.subject_key(subject.type, subject.value)
    event.subject_type = subject.type
    del members["subject"]


def _take_worth(event: Event, members: dict[str, Raw]) -> None:
    if _is_told(members, "experiment"):
        experiment = _fitting(_EXPERIMENT, members["experiment"])
        if experiment is not None:
            event.experiment, event.variant = experiment.key, experiment.variant
            del members["experiment"]
    if _is_told(members, "value"):
        worth = _fitting(_VALUE, members["value"])
        if worth is not None:
            event.amount, event.currency = worth.amount, worth.currency
            del members["value"]


def _own_attributes(own: Raw | None) -> dict[str, Raw]:
    """Return what stands under ``attributes``, as in the native shape; else that member itself."""
    if own is None or bytes(own) == _NULL:
        return {}
    attributes: dict[str, Raw] | None = _fitting(_MEMBERS, own)
    return {"attributes": own} if attributes is None else attributes


def _is_told(members: dict[str, Raw], name: str) -> bool:
    """Whether a field is there; one that is null says nothing, as in the native shape."""
    if name in members and bytes(members[name]) == _NULL:
        del members[name]
    return name in members


def _fitting(decoder: "msgspec.json.Decoder[_T]", value: Raw) -> "_T | None":
    try:
        return decoder.decode(value)
    except msgspec.MsgspecError:
        return None
