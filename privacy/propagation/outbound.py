"""HTTP to addresses that others name: to public ones alone, and for a bounded time.

What a name stands for is looked up once, judged, and connected to, so that it cannot stand for
something else in between. The time is that of the whole exchange: one who answers a byte at a time
gains nothing. It counts in the thread that asks, which is the one that reads.
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import httpx

_CONNECTIONS = 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LAST_32_BITS = 2**32 - 1
Options = Iterable[Any] | None
_time = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything that this thread asks in the block end after so many seconds."""
    _time.end = time.monotonic() + seconds
    try:
        yield
    finally:
        _time.end = None


def new_transport(trust: ssl.SSLContext, *, allow_private: bool) -> httpx.HTTPTransport:
    """Return a transport for an HTTP client that keeps to ``within``."""
    transport = httpx.HTTPTransport(verify=trust)
    transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 - the only way to its connections
        ssl_context=trust,
        max_connections=_CONNECTIONS,
        network_backend=_Backend(allow_private=allow_private),
    )
    return transport


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, in whatever clothes."""
    known = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(known, ipaddress.IPv6Address):
        inner = known.ipv4_mapped or known.sixtofour
        if known in _NAT64:
            inner = ipaddress.IPv4Address(int(known) & _LAST_32_BITS)
        if inner is not None:
            return is_public(str(inner))
    return known.is_global and not known.is_multicast


class PrivateAddressError(httpcore.ConnectError):
    """A name stands for an address that is none of the internet."""


class _Backend(httpcore.NetworkBackend):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Options = None,
    ) -> httpcore.NetworkStream:
        if not self._allow_private:
            host = _public_address(host, port)
        left = _left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream)


class _Stream(httpcore.NetworkStream):
    """A connection whose every step keeps to the time of the whole."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the library has no type for it
        return self._inner.get_extra_info(info)


def _public_address(host: str, port: int) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore.ConnectError("the name is not known") from None
    addresses = [str(one[4][0]) for one in found]
    if not all(is_public(one) for one in addresses):
        raise PrivateAddressError("the name stands for a private address")
    return addresses[0]


def _left(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    end: float | None = getattr(_time, "end", None)
    if end is None:
        return timeout
    left = end - time.monotonic()
    if left <= 0:
        raise error("the time of the whole is over")
    return left if timeout is None else min(timeout, left)
