"""One write for an answer where uvicorn makes two: its head waits for its body.

Each write of the event loop is a call of the system at once, and the first wakes the client for a
head that says nothing yet. A head whose body does not follow in the same turn of the loop goes by
itself.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoiningTransport(asyncio.Transport):
    """A transport that holds what is written until the next write, or the loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held = b""
        self._is_flush_due = False
        self.get_extra_info = transport.get_extra_info  # type: ignore[method-assign]  # bare: hot
        self.is_closing = transport.is_closing  # type: ignore[method-assign]  # as above
        self.pause_reading = transport.pause_reading  # type: ignore[method-assign]  # as above
        self.resume_reading = transport.resume_reading  # type: ignore[method-assign]  # as above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send what is held and ``data`` together, or hold ``data`` when nothing is."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
            return
        self._held = bytes(data)
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush_in_turn)

    def close(self) -> None:
        """Send what is held, and close when it is sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held is lost."""
        self._held = b""
        self._transport.abort()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self._flush()
        self._transport.set_protocol(protocol)

    def _flush_in_turn(self) -> None:
        self._is_flush_due = False
        self._flush()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


class JoiningProtocol(HttpToolsProtocol):
    """uvicorn's protocol on a transport that joins heads and bodies."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - uvicorn narrows it
        """Take a connection."""
        super().connection_made(JoiningTransport(transport, self.loop))
