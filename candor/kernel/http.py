"""HTTP below the framework: a dispatcher for the hot doors, and what ordinary routes depend on.

Hot doors are found by (method, path) before FastAPI sees the request; one whose path ends in a
slash takes everything below its first segment, whatever the method. Each reads its own body, under
limits that are checked before the first byte and again while it is unpacked.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from isal import igzip_lib, isal_zlib
from opentelemetry.trace import Tracer
from sqlalchemy.orm import Session
from starlette.types import ASGIApp, Receive, Scope, Send

from candor.kernel.database import session_of
from candor.kernel.errors import (
    MalformedError,
    TooLargeError,
    UnauthenticatedError,
    UnsupportedTypeError,
)
from candor.kernel.input_faults import unknown_parameter
from candor.kernel.services import Services
from candor.kernel.tracing import start_span

_GZIP_OR_ZLIB = 32 + isal_zlib.MAX_WBITS
_UNPACK_STEP_BYTES = 1 << 20
_BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a hot door sends back: a body, or a ``stream`` of one whose length nobody knows yet.

    A stream that raises ends the connection in the middle, so that nobody takes it for whole.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] | None = None
    stream: AsyncIterator[bytes] | None = None


class DoorRequest:
    """One request at a hot door: headers first, the body only when the door asks for it."""

    __slots__ = ("_receive", "headers", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: bytes) -> str:
        """Return a header's value, or the empty string; ``name`` in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    def values(self, name: bytes) -> list[bytes]:
        """Return every value of a header, as many times as it was sent; ``name`` in lower case."""
        return [value for key, value in self.scope["headers"] if key == name]

    def parameter(self, name: str) -> str:
        """Return a parameter of the address, or the empty string."""
        return next((value for key, value in self.parameters() if key == name), "")

    def parameters(self) -> list[tuple[str, str]]:
        """Return every parameter of the address with its value, in order."""
        query = self.scope["query_string"].decode("latin-1")
        return parse_qsl(query, keep_blank_values=True)

    @property
    def media_type(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.header(b"content-type").partition(";")[0].strip().lower()

    def bearer(self) -> str:
        """Return the key of ``Authorization: Bearer``.

        Raises:
            UnauthenticatedError: there is none.
        """
        return bearer_key(self.header(b"authorization"))

    async def body(self, limit: int) -> bytes:
        """Return the whole body, unpacked.

        Raises:
            TooLargeError: it is over ``limit`` bytes, as sent or unpacked.
            UnsupportedTypeError: its content encoding is neither gzip nor deflate nor identity.
            MalformedError: it cannot be unpacked.
        """
        declared = self.header(b"content-length")
        if declared.isdigit() and int(declared) > limit:
            raise _over(limit)
        raw = await self._read(limit)
        encoding = self.header(b"content-encoding").strip().lower()
        if encoding in {"", "identity"}:
            return raw
        if encoding not in {"gzip", "x-gzip", "deflate"}:
            raise UnsupportedTypeError("Send the body as it is, or with Content-Encoding: gzip.")
        return unpack(raw, limit)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes in, unpacked if it is gzip; of any length.

        Raises:
            UnsupportedTypeError: its content encoding is neither gzip nor identity.
            MalformedError: it cannot be unpacked, or the connection closed before its end.
        """
        encoding = self.header(b"content-encoding").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise UnsupportedTypeError("Send the body as it is, or with Content-Encoding: gzip.")
        unpacker = isal_zlib.decompressobj(_GZIP_OR_ZLIB) if encoding.endswith("gzip") else None
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise MalformedError("The connection closed before the body was complete.")
            chunk, more = message.get("body", b""), message.get("more_body", False)
            if unpacker is None:
                yield chunk
                continue
            for piece in _unpacked_pieces(unpacker, chunk):
                yield piece
        if unpacker is not None and not unpacker.eof:
            raise MalformedError("The compressed body ends too early.")

    async def _read(self, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise MalformedError("The connection closed before the body was complete.")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _over(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


Door = Callable[[DoorRequest], Awaitable[Answer]]
ANY = "*"
Doors = Mapping[tuple[str, str], Door]
"""Hot doors by (method, path); by (``ANY``, ``/segment/``) what takes all that lies below."""


class Dispatcher:
    """ASGI application: hot doors by (method, path), everything else to the framework.

    A method that a hot path does not know is answered with 405, naming those that it does.
    """

    def __init__(self, doors: Doors, framework: ASGIApp, tracer: Tracer) -> None:
        self._doors = doors
        self._framework = framework
        self._tracer = tracer
        self._allowed: dict[str, list[str]] = {}
        self._below: dict[str, Door] = {}
        for (method, path), door in doors.items():
            if method == ANY:
                self._below[path] = door
            else:
                self._allowed.setdefault(path, []).append(method)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        place = scope["path"] if scope["type"] == "http" else ""
        if place in self._allowed:
            door = self._doors.get((scope["method"], place))
            if door is None:
                await _send(send, _not_allowed(self._allowed[place]))
                return
        else:
            place = place[: place.find("/", 1) + 1]
            door = self._below.get(place)
            if door is None:
                await self._framework(scope, receive, send)
                return
        with start_span(self._tracer, f"{scope['method']} {place}") as span:
            answer = await door(DoorRequest(scope, receive))
            span.set_attribute("http.response.status_code", answer.status)
        await _send(send, answer)


def bearer_key(authorization: str) -> str:
    """Return the key of an ``Authorization: Bearer`` header's value.

    Raises:
        UnauthenticatedError: there is none.
    """
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise UnauthenticatedError("Send an API key as 'Authorization: Bearer KEY'.")
    return key.strip()


def unpack(packed: bytes, limit: int) -> bytes:
    """Return the bytes of a gzip or zlib body, several members allowed.

    Never holds more than ``limit`` bytes of result.

    Raises:
        TooLargeError: the result would be over ``limit``.
        MalformedError: the body is broken or cut.
    """
    result = bytearray()
    rest = packed
    try:
        while rest:
            unpacker = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
            pending = rest
            while not unpacker.eof:
                room = limit - len(result) + 1
                piece = unpacker.decompress(pending, min(room, _UNPACK_STEP_BYTES))
                result += piece
                if len(result) > limit:
                    raise _over(limit)
                pending = unpacker.unconsumed_tail
                if not piece and not pending:
                    break
            if not unpacker.eof:
                raise MalformedError("The compressed body ends too early.")
            rest = unpacker.unused_data
    except igzip_lib.IsalError:  # type: ignore[misc]  # its stub says Exception, not type[Exception]
        raise MalformedError("The compressed body is broken.") from None
    return bytes(result)


def _unpacked_pieces(unpacker: Any, chunk: bytes) -> Iterator[bytes]:  # noqa: ANN401 - the library has no type for it
    try:
        while chunk and not unpacker.eof:
            yield unpacker.decompress(chunk, _UNPACK_STEP_BYTES)
            chunk = unpacker.unconsumed_tail
    except igzip_lib.IsalError:  # type: ignore[misc]  # its stub says Exception, not type[Exception]
        raise MalformedError("The compressed body is broken.") from None


def services_of(request: Request) -> Services:
    """Return the services of the application that this request reached."""
    services: Services = request.app.state.services
    return services


def transaction(services: Annotated[Services, Depends(services_of)]) -> Iterator[Session]:
    """Give the one transaction of a request, committed before the answer leaves."""
    with session_of(services.engine) as session:
        yield session


ServicesDep = Annotated[Services, Depends(services_of)]
SessionDep = Annotated[Session, Depends(transaction, scope="function")]


def requires(scope: str) -> Any:  # noqa: ANN401 - FastAPI types its own markers so
    """Return a route dependency that lets only holders of ``scope`` pass, and gives their name."""

    def check(request: Request, services: ServicesDep) -> str:
        return _holder(request, services, scope).name

    return Depends(check)


def refuse_unknown_parameters(request: Request) -> None:
    """Let no query pass that names a parameter which its operation has not.

    A misspelt one would be answered as if it were not there: by another window, or by an apply that
    was to be a dry run. Stands behind ``requires``, so that who has no key learns that first.

    Raises:
        InvalidInputError: there is no such parameter.
    """
    known = sorted(_query_parameters(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            raise unknown_parameter(name, known)


ONLY_KNOWN_PARAMETERS = Depends(refuse_unknown_parameters)


@dataclass(frozen=True, slots=True)
class Holder:
    """The key that acts: two may have one name, and never one id. Open servers have no keys."""

    key_id: str
    name: str


def holding(scope: str) -> Any:  # noqa: ANN401 - as requires
    """Return a route parameter: the key that acts, which must carry ``scope``."""

    def check(request: Request, services: ServicesDep) -> Holder:
        return _holder(request, services, scope)

    return Depends(check)


def _holder(request: Request, services: Services, scope: str) -> Holder:
    if services.settings.auth.mode == "open":
        return Holder("", "open")
    key = services.keys.holder(DoorRequest(request.scope, request.receive).bearer(), scope)
    return Holder(key.id, key.name)


def acting(scope: str) -> Any:  # noqa: ANN401 - as requires
    """Return a route parameter: the name of the key that acts, which must carry ``scope``."""
    return requires(scope)


def _query_parameters(dependant: Dependant) -> set[str]:
    """Return the parameters of an operation and of all that it depends on."""
    own = {field.alias for field in dependant.query_params}
    return own.union(*map(_query_parameters, dependant.dependencies))


def _not_allowed(methods: Iterable[str]) -> Answer:
    body = b'{"type": "urn:candor:problem:method_not_allowed", "title": "Method Not Allowed",'
    body += b' "status": 405}'
    return Answer(405, body, "application/problem+json", {"allow": ", ".join(methods)})


def _over(limit: int) -> TooLargeError:
    return TooLargeError(f"The body is over {limit} bytes. Send smaller batches.")


async def _send(send: Send, answer: Answer) -> None:
    headers = []
    if answer.status not in _BODILESS:
        headers = [
            (b"content-type", answer.content_type.encode("latin-1")),
            (b"content-length", str(len(answer.body)).encode()),
        ]
    if answer.stream is not None:
        del headers[-1]
    if answer.headers:
        headers += [(k.encode("latin-1"), v.encode("latin-1")) for k, v in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None:
        async for piece in answer.stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})
