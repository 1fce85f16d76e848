"""Heads and bodies of answers leave in one write, and nothing waits for what does not come."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
import uvicorn

from candor.connection import JoiningProtocol, JoiningTransport


class Line(asyncio.Transport):
    """The end of the world: keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.ended = ""
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        raise NotImplementedError

    resume_reading = pause_reading


def test_two_writes_of_a_turn_are_one() -> None:
    async def run() -> None:
        line = Line()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        joining.write(b"head ")
        assert line.written == []
        joining.write(b"body")

        assert line.written == [b"head body"]
        await asyncio.sleep(0)
        assert line.written == [b"head body"]

    asyncio.run(run())


def test_a_head_without_a_body_goes_in_the_next_turn() -> None:
    async def run() -> None:
        line = Line()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        for piece in (b"head", b"first", b"second", b"third"):
            joining.write(piece)
            await asyncio.sleep(0)

        assert line.written == [b"head", b"first", b"second", b"third"]

    asyncio.run(run())


def test_what_is_held_is_sent_before_the_connection_closes() -> None:
    async def run() -> None:
        line = Line()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        joining.write(b"last words")
        joining.close()
        await asyncio.sleep(0)

        assert line.written == [b"last words"]
        assert line.ended == "closed"

    asyncio.run(run())


def test_an_aborted_connection_sends_nothing_more() -> None:
    async def run() -> None:
        line = Line()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        joining.write(b"held")
        joining.abort()
        await asyncio.sleep(0)

        assert line.written == []
        assert line.ended == "aborted"

    asyncio.run(run())


def test_what_is_held_is_sent_before_another_protocol_takes_over() -> None:
    async def run() -> None:
        line, other = Line(), asyncio.Protocol()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        joining.write(b"101 Switching Protocols")
        joining.set_protocol(other)

        assert line.written == [b"101 Switching Protocols"]
        assert line.protocol is other

    asyncio.run(run())


def test_nothing_is_written_to_a_connection_that_its_client_closed() -> None:
    async def run() -> None:
        line = Line()
        joining = JoiningTransport(line, asyncio.get_running_loop())

        joining.write(b"held")
        line.ended = "closed"
        await asyncio.sleep(0)

        assert line.written == []

    asyncio.run(run())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_kind_of_answer_arrives_whole(method: str) -> None:
    """Whole, streamed and bodiless answers, pipelined on one connection of a real server."""
    told = asyncio.run(_told(method, ("/whole", "/streamed", "/empty", "/whole")))

    assert told.count(b"HTTP/1.1 200 OK") == 3
    assert told.count(b"HTTP/1.1 204 No Content") == 1
    assert told.count(b"all of it") == (2 if method == "GET" else 0)
    assert (b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n" in told) == (method == "GET")


async def _told(method: str, paths: Sequence[str]) -> bytes:
    """Return all that a real server sends on one connection for these requests."""
    config = uvicorn.Config(_answer, http=JoiningProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    running = asyncio.get_running_loop()
    listener = await running.create_server(
        lambda: JoiningProtocol(config, server.server_state, {}), "127.0.0.1", 0
    )
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        heads = [f"{method} {path} HTTP/1.1\r\nhost: candor\r\n" for path in paths]
        writer.write(("\r\n".join(heads) + "connection: close\r\n\r\n").encode())
        told: bytes = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    return told


async def _answer(
    scope: dict[str, str],
    _receive: Callable[[], Awaitable[object]],
    send: Callable[[dict[str, object]], Awaitable[None]],
) -> None:
    bodies = {"/whole": [b"all of it"], "/streamed": [b"one", b"two", b""], "/empty": [b""]}
    path = scope["path"]
    headers = [(b"content-length", b"9")] if path == "/whole" else []
    status = 204 if path == "/empty" else 200
    await send({"type": "http.response.start", "status": status, "headers": headers})
    pieces = bodies[path]
    for number, piece in enumerate(pieces, 1):
        await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
        await asyncio.sleep(0)
