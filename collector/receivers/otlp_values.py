"""Attribute values of OTLP: what is nested becomes JSON text, and who is named becomes a pseudonym.

The tables have texts alone, so an array or a map is stored as its JSON.

Source: OTLP, ``common.proto``, AnyValue and KeyValue.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_ONE_BYTE = 128
_MOST_VARINT_BYTES = 10
_NESTED_VALUES = tuple(
    re.compile(tag + rb"(?=[\x80-\xff]{0,4}[\x00-\x7f][\x2a\x32])", re.DOTALL)
    for tag in (rb"\x12", rb"\x2a")
)
_NESTED = frozenset({"array_value", "kvlist_value"})

Pseudonym = Callable[[str, str], str]
"""Makes the pseudonym of a person from the type and the value of an identifier."""


def may_be_nested(body: bytes, *, bodies: bool = False) -> bool:
    """Whether an attribute of a protobuf request, or a log's body, may be an array or a map.

    Looks for what every such value's bytes have: the tag of a value, its size, the tag of an array
    or map, and a size that fills the first one. False alarms are rare, misses impossible; it costs
    a tenth of asking each attribute.

    Source: Protocol Buffers, "Encoding"; fields 2 of KeyValue, 5 of LogRecord, 5 and 6 of AnyValue.
    """
    for pattern in _NESTED_VALUES if bodies else _NESTED_VALUES[:1]:
        for match in pattern.finditer(body):
            outer, start = _read_varint(body, match.start() + 1)
            inner, end = _read_varint(body, start + 1)
            if outer == end - start + inner:
                return True
    return False


def flatten(attributes: Iterable[KeyValue]) -> bool:
    """Turn nested values into JSON texts, in place; return whether there was one."""
    rewritten = False
    for attribute in attributes:
        rewritten |= flatten_value(attribute.value)
    return rewritten


def flatten_value(value: AnyValue) -> bool:
    """Turn a value into its JSON text if it is nested, in place; return whether it was."""
    if value.WhichOneof("value") not in _NESTED:
        return False
    value.string_value = msgspec.json.encode(plain(value)).decode()
    return True


def pseudonymise(
    attributes: Iterable[KeyValue], subjects: Mapping[str, str], pseudonym: Pseudonym
) -> bool:
    """Put pseudonyms where people are named, in place; return whether somebody was.

    ``subjects`` says which attributes name a person, and by which type of identifier. Maps are
    searched through, whatever their depth.
    """
    rewritten = False
    for attribute in attributes:
        subject_type = subjects.get(attribute.key)
        if subject_type is None:
            rewritten |= pseudonymise_value(attribute.value, subjects, pseudonym)
        elif identifier := text_of(attribute.value):
            attribute.value.string_value = pseudonym(subject_type, identifier)
            rewritten = True
    return rewritten


def pseudonymise_value(value: AnyValue, subjects: Mapping[str, str], pseudonym: Pseudonym) -> bool:
    """Put pseudonyms where people are named inside a nested value; as ``pseudonymise``."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return pseudonymise(value.kvlist_value.values, subjects, pseudonym)
    rewritten = False
    if kind == "array_value":
        for one in value.array_value.values:
            rewritten |= pseudonymise_value(one, subjects, pseudonym)
    return rewritten


def text_of(value: AnyValue) -> str:
    """Return a value as a text: texts as they are, everything else as its JSON; nothing as ''."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    return "" if kind is None else msgspec.json.encode(plain(value)).decode()


def plain(value: AnyValue) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value as JSON has it; bytes are base64."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if kind is None else getattr(value, kind)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    """Return the number at ``position`` and where it ends; zero bytes stand for what is cut off.

    A number ends after ten bytes at the latest: what goes on is none, and its cost must not grow.

    Source: Protocol Buffers, "Encoding", for the length.
    """
    number = 0
    for shift in range(0, 7 * _MOST_VARINT_BYTES, 7):
        byte = body[position] if position < len(body) else 0
        number |= (byte & (_ONE_BYTE - 1)) << shift
        position += 1
        if byte < _ONE_BYTE:
            break
    return number, position
