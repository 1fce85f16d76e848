"""Whether ``candor serve`` grows while events come at a steady rate.

The dedupe window is short, so that it has turned over many times when the run ends: in a long
window identities pile up until it is full (see ``dedupe_memory.py``), which is no leak. Growth is
the resident set at the end less that after the first tenth, when caches have their size.

Budget: less than 100 MB over 5 million events. Arguments: events, and events a second.
"""

import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import uvloop
from native_door import EVENTS, Server, event, server  # type: ignore[import-not-found]  # beside this script

MANY = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
RATE = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000  # noqa: PLR2004 - the second argument
CONNECTIONS = 16
SAMPLES = 20
_ID = "00000000-0000-0000-0000-000000000000"


def main() -> None:
    """Send the events and print the resident set as it went, and its growth."""
    os.environ["CANDOR_DEDUPE__WINDOW"] = "PT10S"
    with tempfile.TemporaryDirectory() as folder, server("full", folder) as target:
        started = time.monotonic()
        samples = uvloop.run(send(target))
        rate = MANY / (time.monotonic() - started)
        held = status_bytes(target.pid, "RssAnon")
    told = " ".join(f"{sample / 1e6:.0f}" for sample in samples)
    growth = (samples[-1] - samples[SAMPLES // 10]) / 1e6
    print(f"steady memory: {MANY:,} events at {rate:,.0f}/s, resident MB: {told}")
    print(
        f"steady memory: growth {growth:.0f} MB after the first tenth (< 100);"
        f" {held / 1e6:.0f} MB at the end are no mapped files"
    )


async def send(target: Server) -> list[int]:
    """Send everything at the rate, and return the resident set at even distances."""
    samples = [resident_bytes(target.pid)]
    batches = MANY // EVENTS
    bodies = itertools.islice(batch_bodies(), batches)
    sent = itertools.count(1)
    started = time.monotonic()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        for body in bodies:
            number = next(sent)
            await asyncio.sleep(started + number * EVENTS / RATE - time.monotonic())
            writer.write(
                b"POST /api/v1/events HTTP/1.1\r\nhost: candor\r\ncontent-type: application/json"
                b"\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if b'"accepted":%d' % EVENTS not in await reader.readexactly(length):
                raise RuntimeError("an event was not accepted")
            if number % (batches // SAMPLES) == 0:
                samples.append(resident_bytes(target.pid))
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return samples


def batch_bodies() -> Iterator[bytes]:
    """Yield bodies of fresh events, all alike but for the ids and the time."""
    for number in itertools.count():
        if number % 1000 == 0:
            template = msgspec.json.encode([event() | {"id": _ID} for _ in range(EVENTS)])
            parts = template.split(_ID.encode())
        now = datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251 - a sender's clock
        ids = [b"%s-%d-%d" % (now.encode(), number, place) for place in range(EVENTS)]
        yield b"".join(itertools.chain(*zip(parts, ids, strict=False), parts[-1:]))


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds, mapped files among it."""
    return status_bytes(pid, "VmRSS")


def status_bytes(pid: int, name: str) -> int:
    """Return one size of a process's status."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell the resident set")


if __name__ == "__main__":
    main()
