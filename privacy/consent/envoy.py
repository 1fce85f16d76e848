"""The part of Envoy's authorization messages that a check reads and writes.

Envoy publishes no light Python package of them, so that their fields are declared here by the
numbers that they bear on the wire; what is not declared is passed over. A map is a repeated pair.

Source: Envoy API v3, ``envoy/service/auth/v3/external_auth.proto`` and ``attribute_context.proto``,
``envoy/config/core/v3/base.proto``; Protocol Buffers, "Maps", for what a map is on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from candor.kernel.errors import MalformedError

_FIELDS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "CheckRequest": {"attributes": (1, "AttributeContext")},
    "AttributeContext": {"request": (4, "Request"), "context_extensions": (10, "Pair*")},
    "Request": {"http": (2, "HttpRequest")},
    "HttpRequest": {"headers": (3, "Pair*"), "header_map": (13, "HeaderMap")},
    "HeaderMap": {"headers": (1, "HeaderValue*")},
    "HeaderValue": {"key": (1, "string"), "value": (2, "string"), "raw_value": (3, "bytes")},
    "Pair": {"key": (1, "string"), "value": (2, "string")},
    "CheckResponse": {
        "status": (1, "Status"),
        "denied_response": (2, "DeniedHttpResponse"),
        "ok_response": (3, "OkHttpResponse"),
    },
    "Status": {"code": (1, "int32"), "message": (2, "string")},
    "DeniedHttpResponse": {
        "status": (1, "HttpStatus"),
        "headers": (2, "HeaderValueOption*"),
        "body": (3, "string"),
    },
    "OkHttpResponse": {
        "headers": (2, "HeaderValueOption*"),
        "headers_to_remove": (5, "string*"),
    },
    "HeaderValueOption": {"header": (1, "HeaderValue"), "append_action": (3, "int32")},
    "HttpStatus": {"code": (1, "int32")},
}
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
}
_PACKAGE = "candor.envoy"
_OVERWRITE_IF_EXISTS_OR_ADD = 2


@dataclass(frozen=True, slots=True)
class EnvoyRequest:
    """What a check is about: the route's own settings, and the values of each header sent.

    Names of headers are in lower case.
    """

    context: Mapping[str, str]
    headers: Mapping[str, list[str]]


def read_request(body: bytes) -> EnvoyRequest:
    """Return a ``CheckRequest``.

    Raises:
        MalformedError: it is none.
    """
    try:
        attributes = _CheckRequest.FromString(body).attributes
    except DecodeError:
        raise MalformedError("The message is no CheckRequest of Envoy's API v3.") from None
    http = attributes.request.http
    headers: dict[str, list[str]] = {}
    for one in http.header_map.headers:
        told = one.value or one.raw_value.decode("utf-8", "replace")
        headers.setdefault(one.key.lower(), []).append(told)
    if not headers:
        headers = {pair.key.lower(): [pair.value] for pair in http.headers}
    return EnvoyRequest({pair.key: pair.value for pair in attributes.context_extensions}, headers)


def let_pass(headers: Mapping[str, str], *, removed: tuple[str, ...]) -> bytes:
    """Return the response that lets a request pass: with these headers, and without those."""
    response = _CheckResponse()
    response.status.code = 0
    _add_headers(response.ok_response.headers, headers)
    response.ok_response.headers_to_remove.extend(removed)
    encoded: bytes = response.SerializeToString()
    return encoded


def refuse(code: int, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the response that refuses a request, and what its sender is answered.

    ``code`` is of gRPC, ``status`` of HTTP.
    """
    response = _CheckResponse()
    response.status.code = code
    response.denied_response.status.code = status
    _add_headers(response.denied_response.headers, headers)
    response.denied_response.body = body.decode()
    encoded: bytes = response.SerializeToString()
    return encoded


def _add_headers(options: Any, headers: Mapping[str, str]) -> None:  # noqa: ANN401 - the library makes the type
    """Set headers, whatever the client itself sent under these names."""
    for name, value in headers.items():
        option = options.add()
        option.header.key, option.header.value = name, value
        option.append_action = _OVERWRITE_IF_EXISTS_OR_ADD


def _pool() -> DescriptorPool:
    """Return a pool of our own: others may have the whole API in the one of the process."""
    file = FileDescriptorProto(name="candor/envoy.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, (number, told) in fields.items():
            kind, is_repeated = told.removesuffix("*"), told.endswith("*")
            declared = message.field.add(name=field, number=number)
            declared.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if is_repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in _SCALARS:
                declared.type = _SCALARS[kind]
            else:
                declared.type = FieldDescriptorProto.TYPE_MESSAGE
                declared.type_name = f".{_PACKAGE}.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return pool


def _message(pool: DescriptorPool, name: str) -> Any:  # noqa: ANN401 - the library makes the type
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


_POOL = _pool()
_CheckRequest = _message(_POOL, "CheckRequest")
_CheckResponse = _message(_POOL, "CheckResponse")
