"""The CloudEvents door: binary, structured and batch.

An event's name is its ``type``, its contract is named by ``dataschema``, its identity is ``source``
and ``id`` together. Whom it is about stands in its data, as in the native shape: the ``subject`` of
a CloudEvent is a thing of the source, and is kept as an attribute. A binary request becomes the
JSON document of the same event first, so that one event is the same in all three.

Source: CloudEvents 1.0.2: the specification, "HTTP Protocol Binding", "JSON Event Format".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Meta, Raw

from candor.kernel.errors import (
    InvalidInputError,
    MalformedError,
    TooLargeError,
    UnsupportedTypeError,
)
from candor.kernel.ports import Refusal
from collector.event import Batch, Event, Rejection
from collector.receivers.cloudevents_data import (
    BASE64,
    DATA,
    data_of_base64,
    data_of_body,
    is_json,
    refused,
    take_data,
)
from collector.receivers.decoding import (
    UNREADABLE,
    Reception,
    RefusedError,
    is_plain_name,
    malformed,
    split_array,
    text_field,
    text_items,
    time_fault,
)
from collector.receivers.fields import Name

DOOR = "cloudevents"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

_PREFIX = b"ce-"
_VERSION = "1.0"
_REQUIRED = ("specversion", "id", "source", "type")
_KEPT = ("source", "subject", "dataschema", "datacontenttype")
_STANDARD = frozenset({*_REQUIRED, *_KEPT, "time", DATA, BASE64})
_MOST_NAME = 100
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_CONTRACT = re.compile(r"(?:^|/)(?P<reference>[^/?#:]{1,200}/\d+-\d+-\d+)(?:[?#].*)?$")

_ITEMS = msgspec.json.Decoder(list[Raw])
_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_NAME = msgspec.json.Decoder(Name)
_URI = msgspec.json.Decoder(Annotated[str, Meta(min_length=1, max_length=1000)])
_INSTANT = msgspec.json.Decoder(Annotated[datetime, Meta(tz=True)])
_TEXTS: Mapping[str, "msgspec.json.Decoder[str]"] = {
    "specversion": _NAME, "id": _URI, "source": _URI, "type": _NAME, "subject": _URI,
    "dataschema": _URI, "datacontenttype": _URI,
}  # fmt: skip


def decode_cloudevents(
    body: bytes, content_type: str, headers: Mapping[bytes, bytes], reception: Reception
) -> Batch:
    """Return the events of a request, and in a batch those that cannot be read, each with why.

    ``headers`` have lower-case names.

    Raises:
        UnsupportedTypeError: the request is in none of the three modes, or not in JSON.
        MalformedError: the one event of a request, or a batch as a whole, cannot be read.
        TooLargeError: the one event is too large, or a batch holds too many.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == BATCH:
        return read_items(_split(body, reception), reception)
    if media_type == STRUCTURED:
        item = body
    elif media_type.startswith("application/cloudevents"):
        raise UnsupportedTypeError(f"Send CloudEvents in JSON: {STRUCTURED} or {BATCH}.")
    else:
        item = _item_of(body, content_type, headers)
    batch = read_items(text_items(item, [item]), reception)
    for rejection in batch.rejections:
        _raise_alone(rejection.refusal)
    return batch


def read_items(items: Sequence[bytes | Raw], reception: Reception) -> Batch:
    """Return the events of JSON documents, and the others with their faults."""
    batch = Batch(DOOR, [], [], items=items, source=reception.source)
    indices: list[int] = []
    for index, item in enumerate(items):
        try:
            batch.events.append(_read(item, reception))
            indices.append(index)
        except RefusedError as error:
            identity = identity_of(text_field(item, "source") or "", text_field(item, "id") or "")
            batch.rejections.append(Rejection(index, identity, error.refusal))
    batch.indices = indices
    return batch


def document_of(body: bytes, content_type: str, headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the JSON document of a binary event, by which it can be kept and read again.

    None when there is none: the headers or the data are none of an event, or no UTF-8.
    """
    try:
        document = _item_of(body, content_type, headers)
    except InvalidInputError:
        return None
    return document if text_items(document, [document])[0] is document else None


def identity_of(source: str, id_: str) -> str:
    """Return source and id as one text from which both can be told: the first space parts them."""
    return f"{source.replace('%', '%25').replace(' ', '%20')} {id_}"


def sent_id(identity: str) -> str | None:
    """Return the id in an identity, as it was sent; none if there was none."""
    return identity.partition(" ")[2] or None


def contract_of(dataschema: str) -> str:
    """Return the contract that a schema's address ends in (``name/1-0-0``), or the empty string."""
    found = _CONTRACT.search(dataschema)
    return found["reference"] if found else ""


def _split(body: bytes, reception: Reception) -> Sequence[bytes | Raw]:
    items: Sequence[bytes | Raw]
    try:
        items = _ITEMS.decode(body)
    except UNREADABLE:
        try:
            items = split_array(body)
        except (ValueError, RecursionError):
            raise MalformedError("A batch is a JSON array of CloudEvents.") from None
    most = reception.limits.events_per_request
    if len(items) > most:
        raise TooLargeError(f"A request may hold {most} events. Send smaller batches.")
    return text_items(body, items)


def _item_of(body: bytes, content_type: str, headers: Mapping[bytes, bytes]) -> bytes:
    """Return the JSON document of the event that a binary request is."""
    named = {name[len(_PREFIX) :]: value for name, value in headers.items() if _is_ours(name)}
    if not named:
        raise UnsupportedTypeError(f"Send {STRUCTURED}, {BATCH}, or attributes in ce- headers.")
    try:
        document: dict[str, object] = {
            name.decode("latin-1"): _unescaped(value) for name, value in named.items()
        }
        if content_type:
            document["datacontenttype"] = content_type
        document |= data_of_body(body, content_type)
    except UnicodeDecodeError:
        raise MalformedError("The ce- headers must be UTF-8, percent-encoded.") from None
    except RefusedError as error:
        raise MalformedError(error.refusal.message, path=error.refusal.path) from None
    return msgspec.json.encode(document)


def _is_ours(name: bytes) -> bool:
    return name.startswith(_PREFIX) and name[len(_PREFIX) :] not in {b"data", b"data_base64"}


def _unescaped(value: bytes) -> str:
    """Return a header's value; quoted strings are unquoted before the percents are decoded.

    Source: HTTP Protocol Binding, section 3.1.3.2.
    """
    plain = _QUOTED.sub(lambda quoted: _ESCAPED.sub(rb"\1", quoted[1]), value)
    return unquote_to_bytes(plain).decode()


def _raise_alone(refusal: Refusal) -> None:
    """Answer for the only event of a request: the request is what is at fault."""
    if refusal.code == "malformed":
        raise MalformedError(refusal.message, path=refusal.path)
    if refusal.code == "too_large":
        raise TooLargeError(refusal.message)


def _read(item: bytes | Raw, reception: Reception) -> Event:
    if len(item) > reception.limits.event_bytes:
        most = reception.limits.event_bytes
        raise RefusedError(Refusal("too_large", f"An event may weigh {most} bytes."))
    try:
        members = _MEMBERS.decode(item)
    except UNREADABLE as error:
        raise RefusedError(malformed(error)) from None
    members = {name: value for name, value in members.items() if bytes(value) != b"null"}
    texts = _texts(members)
    time = _time(members, reception)
    dataschema = texts.get("dataschema", "")
    event = Event(
        id=identity_of(texts["source"], texts["id"]),
        door=DOOR,
        name=texts["type"],
        schema=contract_of(dataschema),
        time=time,
        received_at=reception.received_at,
    )
    _take_data(event, members, texts.get("datacontenttype", ""), reception)
    event.attributes = _context(members, texts, event.attributes) | event.attributes
    return event


def _texts(members: Mapping[str, Raw]) -> dict[str, str]:
    """Return the standard attributes but the time."""
    for name in _REQUIRED:
        if name not in members:
            raise refused(f"A CloudEvent needs the attribute {name}.", name)
    texts: dict[str, str] = {}
    for name, decoder in _TEXTS.items():
        if name in members:
            try:
                texts[name] = decoder.decode(members[name])
            except msgspec.MsgspecError as error:
                rule = malformed(error).message
                raise refused(f"The attribute {name} does not fit: {rule}", name) from None
    if texts["specversion"] != _VERSION:
        raise refused("Candor reads CloudEvents of specversion 1.0.", "specversion")
    return texts


def _time(members: Mapping[str, Raw], reception: Reception) -> datetime:
    if "time" not in members:
        return reception.received_at
    try:
        time: datetime = _INSTANT.decode(members["time"])
    except msgspec.MsgspecError:
        raise refused("The attribute time is an instant with its zone, RFC 3339.", "time") from None
    skewed = time_fault(time, reception, "time")
    if skewed is not None:
        raise RefusedError(skewed)
    return time


def _take_data(
    event: Event, members: Mapping[str, Raw], content_type: str, reception: Reception
) -> None:
    data: Mapping[str, Raw] = members
    if BASE64 in members:
        if DATA in members:
            raise refused("An event has data or data_base64, not both.", BASE64)
        data = data_of_base64(members[BASE64], content_type)
    if DATA in data:
        take_data(event, data[DATA], reception)
    elif BASE64 in data:
        event.attributes = {BASE64: data[BASE64]}


def _context(
    members: Mapping[str, Raw], texts: Mapping[str, str], taken: Mapping[str, Raw]
) -> dict[str, Raw]:
    """Return the attributes that are kept beside the data.

    An extension goes by its own name, or behind ``cloudevents.`` when the data has that name.
    """
    kept = {f"{DOOR}.{name}": texts[name] for name in _KEPT if name in texts}
    if contract_of(texts.get("dataschema", "")):
        del kept[f"{DOOR}.dataschema"]
    if is_json(texts.get("datacontenttype", "")):
        kept.pop(f"{DOOR}.datacontenttype", None)
    for name, value in members.items():
        if name not in _STANDARD:
            kept[f"{DOOR}.{name}" if name in taken else name] = _extension(name, value)
    return {name: Raw(msgspec.json.encode(value)) for name, value in kept.items()}


def _extension(name: str, value: Raw) -> str:
    """Return an extension's value as the text that stands for it in every mode.

    Source: CloudEvents 1.0.2, "Type System", for the canonical texts.
    """
    if not 0 < len(name) <= _MOST_NAME:
        raise refused(f"The name of an extension has 1 to {_MOST_NAME} characters.")
    text = bytes(value)
    if text[:1] in {b"{", b"["}:
        raise refused(
            "An extension is a text, a number or a boolean.", name if is_plain_name(name) else None
        )
    return msgspec.json.decode(value, type=str) if text[:1] == b'"' else text.decode()
