"""OTLP's JSON form of a request: read into the protobuf message, and written from it.

Ids are hexadecimal, enumerations integers, 64-bit integers numbers or texts, names in lower camel
case; unknown fields are read over. How each field is read follows from the message's own
description, so every signal is read by the same few lines.

Source: OTLP specification 1.x, "JSON Protobuf Encoding".
"""

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from candor.kernel.errors import MalformedError

_IDS = frozenset({"trace_id", "span_id", "parent_span_id"})
_JSON_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_NOT_IN_JSON = "_strindex"

M = TypeVar("M", bound=Message)
Fill = Callable[[Any, Any], None]
"""Puts a JSON value into its field of a message."""


def read_json(body: bytes, kind: type[M]) -> M:
    """Return the message that a JSON body stands for.

    Raises:
        MalformedError: it is no JSON of that form.
    """
    message = kind()
    try:
        _fill(message, msgspec.json.decode(body), _fields(kind.DESCRIPTOR))
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError, OverflowError):
        raise MalformedError(f"The body is not the JSON form of an {kind.__name__}.") from None
    return message


def write_json(message: Message) -> dict[str, Any]:
    """Return the document of which ``read_json`` makes the message again."""
    document: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    _write_ids(document)
    return document


def _write_ids(part: Any) -> None:  # noqa: ANN401 - any JSON
    """Write ids in hexadecimal, in place; names of attributes are values and never names here."""
    if isinstance(part, list):
        for one in part:
            _write_ids(one)
    elif isinstance(part, dict):
        for name, value in part.items():
            if name in _JSON_IDS:
                part[name] = base64.b64decode(value).hex()
            else:
                _write_ids(value)


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, Fill]:
    """Return how to fill each field of a message, by its JSON name."""
    return {
        field.json_name: _fill_of(field)
        for field in descriptor.fields
        if not field.name.endswith(_NOT_IN_JSON)
    }


def _fill(message: Any, document: Any, fields: Mapping[str, Fill]) -> None:  # noqa: ANN401 - any message, any JSON
    if not isinstance(document, dict):
        raise TypeError("an object is needed")
    for name, value in document.items():
        fill = fields.get(name)
        if fill is not None and value is not None:
            fill(message, value)


def _fill_of(field: FieldDescriptor) -> Fill:
    name = field.name
    if field.message_type is not None:
        return _fill_repeated_message(field) if field.is_repeated else _fill_message(field)
    convert = _converter(field)
    if not field.is_repeated:
        return lambda message, value: setattr(message, name, convert(value))

    def fill_numbers(message: Any, values: Any) -> None:  # noqa: ANN401 - any message, any JSON
        getattr(message, name).extend([convert(value) for value in _array(values)])

    return fill_numbers


def _fill_message(field: FieldDescriptor) -> Fill:
    name, inner = field.name, field.message_type

    def fill(message: Any, value: Any) -> None:  # noqa: ANN401 - any message, any JSON
        part = getattr(message, name)
        part.SetInParent()
        _fill(part, value, _fields(inner))

    return fill


def _fill_repeated_message(field: FieldDescriptor) -> Fill:
    name, inner = field.name, field.message_type

    def fill(message: Any, values: Any) -> None:  # noqa: ANN401 - any message, any JSON
        parts, fields = getattr(message, name), _fields(inner)
        for value in _array(values):
            _fill(parts.add(), value, fields)

    return fill


def _converter(field: FieldDescriptor) -> Callable[[Any], Any]:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_STRING:
            return _text
        return bytes.fromhex if field.name in _IDS else base64.b64decode
    if kind in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return float
    return _boolean if kind == FieldDescriptor.CPPTYPE_BOOL else _integer


def _array(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if not isinstance(value, list):
        raise TypeError("an array is needed")
    return value


def _text(value: Any) -> str:  # noqa: ANN401 - any JSON
    if not isinstance(value, str):
        raise TypeError("a text is needed")
    return value


def _boolean(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if not isinstance(value, bool):
        raise TypeError("true or false is needed")
    return value


def _integer(value: Any) -> int:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("an integer is needed")
    return int(value)
