"""Kafka messages in the shapes of other doors: an event that brings no id is known by its offset.

A message holds one event, an array, or in the native shape one event a line. Its place, which is
topic, partition and offset, is the same at every delivery, so it serves as the identity of an
event without one. What cannot be read is refused like anywhere else and never holds up a partition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote_from_bytes

import msgspec
from msgspec import Raw

from candor.kernel.errors import InvalidInputError, MalformedError, TooLargeError
from candor.kernel.ports import Refusal
from candor.kernel.topics import Shape
from collector.event import Batch, Rejection
from collector.receivers import cloudevents, native, segment
from collector.receivers.decoding import UNREADABLE, Reception, malformed

_CONTENT_TYPE = "content-type"
_ATTRIBUTE = "ce_"
_VERSION = f"{_ATTRIBUTE}specversion"
_STRUCTURED = "application/cloudevents"
_JSON = "application/json"
_LINES = "application/x-ndjson"
_FIELDS = msgspec.json.Decoder(dict[str, Raw])
_ABSENT = frozenset({b"null", b'""'})
_UNREAD = "The message holds something that no event may have, such as a name that is no text."


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it lies in Kafka. Without a value it is a tombstone."""

    topic: str
    partition: int
    offset: int
    value: bytes | None
    headers: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where it lies, which no other message of the cluster shares."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def content_type(self) -> str:
        """What its header of that name says, or the empty string."""
        return self.headers.get(_CONTENT_TYPE, b"").decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The content type without parameters."""
        return self.content_type.partition(";")[0].strip().lower()


Decoder = Callable[[Message, bytes, Reception], Batch]
HttpDecoder = Callable[[bytes, str, Mapping[bytes, bytes], Reception], Batch]


def decode_native_message(message: Message, value: bytes, reception: Reception) -> Batch:
    """Return the native events of a message. Raises as ``decode_native``."""
    items = _native_items(message, value, reception)
    return native.decode_items(_identified(items, "id", message), reception)


def decode_segment_message(message: Message, value: bytes, reception: Reception) -> Batch:
    """Return the events of a message with a call, a batch of calls, or an array of them.

    Raises:
        MalformedError: the value is no JSON.
        SegmentLimitError: it is over a limit of a batch.
    """
    items = native.split_native(value, _JSON, reception)
    body = segment.SegmentBody(list(items), None)
    if len(items) == 1 and "batch" in _fields(items[0]):
        body = segment.split_segment(bytes(items[0]), "batch")
    calls = _identified(body.calls, "messageId", message)
    return segment.decode_segment(replace(body, calls=calls), "batch", reception)


def cloudevents_by(decode: HttpDecoder) -> Decoder:
    """Return the decoder of CloudEvents in Kafka that stands on the one of their HTTP binding.

    A CloudEvent always brings its identity. Attributes travel in headers that begin with ``ce_``;
    HTTP writes them with a dash, and their values in percents.

    Source: CloudEvents 1.0.2, Kafka protocol binding, section 3.2.
    """

    def decoded(message: Message, value: bytes, reception: Reception) -> Batch:
        return decode(value, message.content_type, _http_headers(message), reception)

    return decoded


DECODERS: Mapping[Shape, Decoder] = {
    "native": decode_native_message,
    "segment": decode_segment_message,
    "cloudevents": cloudevents_by(cloudevents.decode_cloudevents),
}


def decode_message(message: Message, shape: Shape, reception: Reception) -> Batch:
    """Return the events of a message, and those of it that cannot be read.

    A message that cannot be read as a whole is one refused item, and so is a tombstone.
    """
    if message.value is None and not _has_its_attributes_in_headers(message, shape):
        refusal = Refusal("malformed", "The message has no value.")
        return _refused(message, shape, refusal, reception)
    try:
        return DECODERS[shape](message, message.value or b"", reception)
    except InvalidInputError as error:
        code = "too_large" if isinstance(error, TooLargeError) else "malformed"
        refusal = Refusal(code, error.detail, error.path)
        return _refused(message, shape, refusal, reception)
    except UNREADABLE as error:
        return _refused(message, shape, malformed(error), reception)
    except ValueError:
        return _refused(message, shape, Refusal("malformed", _UNREAD), reception)


def _has_its_attributes_in_headers(message: Message, shape: Shape) -> bool:
    """Whether it is an event in the binary mode, which may do without a value."""
    return shape == "cloudevents" and _VERSION in message.headers


def _http_headers(message: Message) -> Mapping[bytes, bytes]:
    """Return the attributes in the headers of a message as HTTP writes them."""
    return {
        f"ce-{name.removeprefix(_ATTRIBUTE)}".encode(): quote_from_bytes(text).encode()
        for name, text in message.headers.items()
        if name.startswith(_ATTRIBUTE)
    }


def _refused(message: Message, shape: Shape, refusal: Refusal, reception: Reception) -> Batch:
    """Return a message as one refused item, kept in the form in which a replay can read it."""
    return Batch(
        shape,
        [],
        [],
        [Rejection(0, message.place, refusal)],
        [_item_to_keep(message, shape)],
        reception.source,
        call="batch" if shape == "segment" else "",
    )


def _item_to_keep(message: Message, shape: Shape) -> bytes:
    """Return the value; of an event whose attributes are in headers, its document if it has one."""
    value = message.value or b""
    if not _has_its_attributes_in_headers(message, shape) or message.media_type.startswith(
        _STRUCTURED
    ):
        return value
    try:
        headers = _http_headers(message)
    except UnicodeEncodeError:  # a name that no header of HTTP can have
        return value
    return cloudevents.document_of(value, message.content_type, headers) or value


def _native_items(message: Message, value: bytes, reception: Reception) -> Sequence[bytes | Raw]:
    """Split by the content type where it says lines, and else by what the value is."""
    if message.media_type in native.LINES_TYPES:
        return native.split_native(value, _LINES, reception)
    try:
        return native.split_native(value, _JSON, reception)
    except MalformedError:
        lines = native.split_native(value, _LINES, reception)
        if not any(_fields(line) for line in lines):
            raise
        return lines


def _identified(items: Sequence[bytes | Raw], name: str, message: Message) -> list[bytes | Raw]:
    """Return the items, each with an identity in this field: its own, or the message's place."""
    places = (
        [message.place]
        if len(items) == 1
        else [f"{message.place}/{index}" for index in range(len(items))]
    )
    return [_with_identity(*pair, name) for pair in zip(items, places, strict=True)]


def _with_identity(item: bytes | Raw, place: str, name: str) -> bytes | Raw:
    fields = _fields(item)
    if not fields or bytes(fields.get(name, b"null")) not in _ABSENT:
        return item
    return msgspec.json.encode({**fields, name: place})


def _fields(item: bytes | Raw) -> Mapping[str, bytes | Raw]:
    """Return the fields of an object; none of what is no object."""
    try:
        return _FIELDS.decode(item)
    except UNREADABLE:
        return {}
