"""A thousand kept-alive connections that post small batches, against the group commit alone.

``door`` is ``candor serve``, asked over HTTP by all connections at once: each sends its next batch
when the last is answered. ``commit`` is the spool alone, in this process, asked by as many callers
in the same way for payloads of the same size. Both wait for the same disk, one after the other.

Budget: no error; p99 of the acknowledgement <= 5 x p99 of the bare commit.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop
from native_door import Server, event, server  # type: ignore[import-not-found]  # beside this script

from candor.kernel.clock import utc_now
from candor.kernel.metrics import new_metrics
from candor.kernel.settings import SpoolSettings
from collector.spool import Spool

CONNECTIONS = 1000
BATCHES = 20
EVENTS = 5

Post = Callable[[bytes], Awaitable[None]]


def main() -> None:
    """Measure both and print their quantiles and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bare = uvloop.run(commits(Path(folder) / "bare"))
        with server("full", folder) as target:
            door = uvloop.run(posts(target))
    show("bare group commit", bare)
    show("acknowledgement", door)
    print(f"connections: p99 ratio {quantile(door, 99) / quantile(bare, 99):.2f} (<= 5), no error")


async def commits(folder: Path) -> list[float]:
    """Return how long each caller waited for each of its payloads to be durable."""
    spool = Spool(folder, SpoolSettings(max_bytes=1 << 40), utc_now, new_metrics())
    with spool.running():

        async def post(body: bytes) -> None:
            await asyncio.wrap_future(spool.submit("events", body, EVENTS))

        waits = await asyncio.gather(*(waited(post, bodies) for bodies in all_bodies()))
    return [seconds for one in waits for seconds in one]


async def posts(target: Server) -> list[float]:
    """Return how long each connection waited for each of its answers."""
    everyone = asyncio.Barrier(CONNECTIONS)
    few = asyncio.Semaphore(100)

    async def connection(bodies: list[bytes]) -> list[float]:
        async with few:
            reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        await everyone.wait()

        async def post(body: bytes) -> None:
            writer.write(
                b"POST /api/v1/events HTTP/1.1\r\nhost: candor\r\ncontent-type: application/json"
                b"\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            told = await reader.readexactly(length)
            if b'"accepted":%d' % EVENTS not in told:
                raise RuntimeError(told.decode())

        waits = await waited(post, bodies)
        writer.close()
        return waits

    waits = await asyncio.gather(*(connection(bodies) for bodies in all_bodies()))
    return [seconds for one in waits for seconds in one]


async def waited(post: Post, bodies: list[bytes]) -> list[float]:
    """Return the time of each post, one after another."""
    seconds = []
    for body in bodies:
        started = time.perf_counter()
        await post(body)
        seconds.append(time.perf_counter() - started)
    return seconds


def all_bodies() -> list[list[bytes]]:
    """Return what each connection sends, made before the clock runs."""
    return [
        [msgspec.json.encode([event() for _ in range(EVENTS)]) for _ in range(BATCHES)]
        for _ in range(CONNECTIONS)
    ]


def show(what: str, seconds: list[float]) -> None:
    """Print the quantiles of one side in milliseconds."""
    told = ", ".join(f"p{one} {quantile(seconds, one) * 1000:.1f} ms" for one in (50, 95, 99))
    print(f"connections, {what}: {told}")


def quantile(seconds: list[float], percent: int) -> float:
    """Return a quantile by linear interpolation."""
    return statistics.quantiles(seconds, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    main()
