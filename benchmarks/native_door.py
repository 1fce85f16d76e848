"""What durability and storage cost at the native door, against decoding and validating alone.

Both servers run in processes of their own, on the same dispatcher, and get the same requests from
the same client: batches of 100 events of about 870 bytes over 64 connections. ``floor`` answers
when a batch is decoded and validated. ``full`` is ``candor serve``: gate, pseudonym, dedupe,
fdatasync, answer, and the insert into the embedded engine with its views. CPU is user + system
time of the whole server process, engine threads included, until every event can be queried;
throughput is acknowledged events over the time of sending.

``guarded`` is ``full`` with every event searched for personal data by the default policy, as
``candor serve`` does unless told otherwise; its floor is a number of events.

Budgets: CPU per event of ``full`` <= 3.0 x floor; its acknowledged throughput >= 0.6 x floor;
``guarded`` >= 5,000 events a CPU-second. Medians of five rounds.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import msgspec
import uvloop
from harness.processes import (  # type: ignore[import-not-found]  # beside this script
    candor_running,
    cpu_seconds,
    free_port,
)

if TYPE_CHECKING:
    from candor.kernel.http import Answer, DoorRequest

ROUNDS = 5
CONNECTIONS = 64
BATCHES = 1000
EVENTS = 100


def main() -> None:
    """Run the rounds and print both numbers, their ratio, and the budget."""
    if sys.argv[1:2] == ["floor"]:
        serve_floor()
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        server("floor", folder) as floor,
        server("full", folder) as full,
        server("guarded", folder) as guarded,
    ):
        results = [(measure(floor), measure(full)) for _ in range(ROUNDS)]
        searched = statistics.median(measure(guarded).cpu for _ in range(ROUNDS))
    report("CPU us/event", [(b.cpu, a.cpu) for a, b in results], "<= 3.0")
    report("events/s", [(b.throughput, a.throughput) for a, b in results], ">= 0.6")
    print(
        f"native door, searched for personal data: {searched:.1f} CPU us/event,"
        f" {1e6 / searched:,.0f} events a CPU-second (>= 5,000)"
    )


class Measurement(msgspec.Struct):
    """One round at one server."""

    cpu: float
    throughput: float


class Server(msgspec.Struct):
    """A server process and where it listens."""

    pid: int
    port: int
    stores: bool


def measure(target: Server) -> Measurement:
    """Send one round of fresh events and wait until the server has done all its work."""
    bodies = [batch() for _ in range(BATCHES)]
    before = cpu_seconds(target.pid)
    started = time.perf_counter()
    uvloop.run(send(target.port, bodies))
    elapsed = time.perf_counter() - started
    if target.stores:
        sync = httpx.post(
            f"http://127.0.0.1:{target.port}/api/v1/events",
            content=b"[]",
            headers={"content-type": "application/json", "x-candor-sync": "1"},
            timeout=120,
        )
        sync.raise_for_status()
    events = BATCHES * EVENTS
    return Measurement((cpu_seconds(target.pid) - before) / events * 1e6, events / elapsed)


def batch() -> bytes:
    """Return the body of one request, with ids that were never sent."""
    return msgspec.json.encode([event() for _ in range(EVENTS)])


def event() -> dict[str, object]:
    """Return one event of about 870 bytes: a checkout step with twelve attributes."""
    customer = random.randrange(100_000)
    return {
        "id": str(uuid.uuid4()),
        "name": random.choice(("checkout.start", "checkout.payment", "checkout.done")),
        "schema": "checkout.payment/1-0-0",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),  # noqa: TID251 - a sender's clock
        "journey": "checkout",
        "instance": f"order-{uuid.uuid4().hex}",
        "step": "payment",
        "outcome": "ok",
        "channel": random.choice(("web", "app")),
        "service": "checkout-api",
        "duration_ms": round(random.lognormvariate(5, 0.5), 1),
        "subject": {"type": "email", "value": f"customer-{customer}@example.org"},
        "experiment": {"key": "new-form", "variant": "b"},
        "value": {"amount": round(random.uniform(5, 200), 2), "currency": "EUR"},
        "attributes": {
            "plan": "pro",
            "country": random.choice(("AU", "DE", "IE")),
            "page": "/checkout/payment/confirm",
            "referrer": "https://shop.example.org/cart",
            "browser": "Firefox 142 on Linux x86_64",
            "device": "desktop",
            "app_version": "4.12.1",
            "basket_items": random.randrange(9),
            "coupon": "SPRING",
            "payment_provider": "card",
            "session": uuid.uuid4().hex,
            "trace": uuid.uuid4().hex,
            "note": "the customer came back from the payment provider",
        },
    }


async def send(port: int, bodies: list[bytes]) -> None:
    """Send every body once over a fixed number of connections that are kept open."""
    queue = iter(bodies)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in queue:
            head = (
                "POST /api/v1/events HTTP/1.1\r\nhost: candor\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if b'"rejected":[]' not in await reader.readexactly(length):
                raise RuntimeError("an event was rejected")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


@contextmanager
def server(kind: str, folder: str) -> Iterator[Server]:
    """Run a server on a free port until the end of the block."""
    data = Path(folder) / kind
    data.mkdir()
    port = free_port()
    script = [__file__, "floor"] if kind == "floor" else []
    settings = {"CANDOR_PII__ENABLED": "true"} if kind == "guarded" else None
    with candor_running(data, port, settings, script) as pid:
        yield Server(pid, port, kind != "floor")


def serve_floor() -> None:
    """Serve the same door, answering as soon as a batch is decoded and validated."""
    import uvicorn  # noqa: PLC0415 - only in the process of the floor
    from opentelemetry.trace import NoOpTracer  # noqa: PLC0415 - as above

    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from candor.kernel.http import Answer, Dispatcher  # noqa: PLC0415 - as above
    from candor.kernel.secrets import Secrets  # noqa: PLC0415 - as above
    from candor.kernel.settings import load_settings  # noqa: PLC0415 - as above
    from candor.server import listen, uvicorn_config  # noqa: PLC0415 - as above
    from collector.event import Receipt  # noqa: PLC0415 - as above
    from collector.receivers.decoding import Reception  # noqa: PLC0415 - as above
    from collector.receivers.native import (  # noqa: PLC0415 - as above
        encode_receipt,
        read_items,
        split_native,
    )

    settings = load_settings()
    secrets = Secrets(*[bytes(32)] * 7)

    async def door(request: "DoorRequest") -> "Answer":
        body = await request.body(settings.limits.body_bytes)
        reception = Reception(utc_now(), settings.limits, secrets)
        items = split_native(body, request.media_type, reception)
        events, rejections = read_items(items, reception)
        return Answer(200, encode_receipt(Receipt(len(events), 0, 0, rejections)))

    async def alive(request: "DoorRequest") -> "Answer":
        del request
        return Answer(200, b"{}")

    async def nothing(*_: object) -> None:
        raise NotImplementedError

    doors = {("POST", "/api/v1/events"): door, ("GET", "/readyz"): alive}
    server = uvicorn.Server(uvicorn_config(Dispatcher(doors, nothing, NoOpTracer()), settings))
    server.run(sockets=[listen(settings)])


def report(what: str, pairs: list[tuple[float, float]], budget: str) -> None:
    """Print the medians of both and of their ratio, pair by pair."""
    full = statistics.median(pair[0] for pair in pairs)
    floor = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    print(
        f"native door, {what}: full {full:,.1f}, floor {floor:,.1f}, ratio {ratio:.2f} ({budget})"
    )


if __name__ == "__main__":
    main()
