"""What a span costs at ``POST /v1/traces``, against Rotel, a collector written in Rust.

Four processes get the same spans from the same client over HTTP: requests of 100 spans with eight
attributes, 64 connections, fresh ids each round.

``stored``: ``candor serve`` until every span can be queried, the embedded engine with its views
included, against Rotel with its ClickHouse exporter, which writes to a sink that stores nothing
and whose own CPU is not counted. ``accepted``: ``candor serve`` that syncs each request to the disk
and answers, but seals no segment, against Rotel with its blackhole exporter, which keeps nothing.

CPU is user + system time of the whole process. Median of five rounds.

Budget: stored <= 1.5 x Rotel with ClickHouse rows; accepted <= 1.2 x Rotel with a blackhole.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path

import httpx
import msgspec
import uvloop
from harness.processes import (  # type: ignore[import-not-found]  # beside this script
    candor_running,
    cpu_seconds,
    free_port,
    running,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

ROUNDS = 5
CONNECTIONS = 64
REQUESTS = 1000
SPANS = 100
ROTEL_SETTLES_SECONDS = 1.5
PATH = "/v1/traces"
ATTRIBUTES = (
    *(("http.request.method", "POST"), ("url.path", "/checkout/payment")),
    *(("server.address", "shop.example.org"), ("network.protocol.version", "1.1")),
    *(("user_agent.original", "Firefox 142 on Linux"), ("release", "4.12.1")),
)


class Target(msgspec.Struct):
    """A process under test and where it listens."""

    pid: int
    port: int
    stores: bool


def main() -> None:
    """Run the rounds and print both numbers of each pair, their ratio, and the budget."""
    if sys.argv[1:2] == ["sink"]:
        asyncio.run(swallow(int(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        sink = stack.enter_context(sink_process())
        targets = {
            "stored": stack.enter_context(candor(folder / "stored", stores=True)),
            "rows": stack.enter_context(rotel(folder, "clickhouse", sink)),
            "accepted": stack.enter_context(candor(folder / "accepted", stores=False)),
            "blackhole": stack.enter_context(rotel(folder, "blackhole", sink)),
        }
        rounds = [
            {label: cpu_per_span(target) for label, target in targets.items()}
            for _ in range(ROUNDS)
        ]
    report("stored", "rows", rounds, "<= 1.5")
    report("accepted", "blackhole", rounds, "<= 1.2")


def cpu_per_span(target: Target) -> float:
    """Send one round of fresh spans and return the microseconds of CPU that each one cost."""
    bodies = fresh_bodies()
    before = cpu_seconds(target.pid)
    uvloop.run(send(target.port, bodies))
    if target.stores:
        headers = {"content-type": "application/x-protobuf", "x-candor-sync": "1"}
        url = f"http://127.0.0.1:{target.port}{PATH}"
        httpx.post(url, content=b"", headers=headers, timeout=120).raise_for_status()
    else:
        time.sleep(ROTEL_SETTLES_SECONDS)
    spent: float = cpu_seconds(target.pid) - before
    return spent / (REQUESTS * SPANS) * 1e6


def fresh_bodies() -> list[bytes]:
    """Return the bodies of a round, each with ids that were never sent."""
    message = template()
    spans = message.resource_spans[0].scope_spans[0].spans
    bodies = []
    for _ in range(REQUESTS):
        trace_id, now = random.randbytes(16), time.time_ns()
        for span in spans:
            span.trace_id, span.span_id = trace_id, random.randbytes(8)
            span.start_time_unix_nano = now
            span.end_time_unix_nano = now + random.randrange(10**9)
        bodies.append(message.SerializeToString())
    return bodies


def template() -> ExportTraceServiceRequest:
    """Return a request of 100 spans with eight attributes each."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    for name, value in (("service.name", "shop"), ("host.name", "web-1")):
        resource.resource.attributes.add(key=name).value.string_value = value
    scope = resource.scope_spans.add()
    scope.scope.name, scope.scope.version = "checkout", "1.0"
    for number in range(SPANS):
        name = ("GET /cart", "POST /payment")[number % 2]
        span = scope.spans.add(name=name, parent_span_id=random.randbytes(8))
        span.kind = 2  # type: ignore[assignment]  # SPAN_KIND_SERVER
        for key, value in ATTRIBUTES:
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="retry").value.bool_value = False
    return message


async def send(port: int, bodies: list[bytes]) -> None:
    """Send every body once over a fixed number of connections that are kept open."""
    queue = iter(bodies)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for body in queue:
            head = (
                f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type:"
                f" application/x-protobuf\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            if await reader.readexactly(length):
                raise RuntimeError("a span was rejected")
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))


@contextmanager
def candor(folder: Path, *, stores: bool) -> Iterator[Target]:
    """Run ``candor serve``; one that does not store never seals a segment while it is measured."""
    folder.mkdir()
    port = free_port()
    settings = {}
    if not stores:
        settings = {
            "CANDOR_SPOOL__SEGMENT_AGE": "PT1H",
            "CANDOR_SPOOL__SEGMENT_BYTES": str(1 << 34),
            "CANDOR_SPOOL__MAX_BYTES": str(1 << 35),
        }
    with candor_running(folder, port, settings) as pid:
        yield Target(pid, port, stores)


@contextmanager
def rotel(folder: Path, exporter: str, sink: int) -> Iterator[Target]:
    """Run Rotel's own program with one exporter."""
    port = free_port()
    command = [
        *(str(files("rotel").joinpath("rotel-agent")), "start", "--exporter", exporter),
        *("--otlp-http-endpoint", f"127.0.0.1:{port}"),
        *("--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"),
        *("--pid-file", str(folder / f"{exporter}.pid")),
        *("--log-file", str(folder / f"{exporter}.log")),
    ]
    if exporter == "clickhouse":
        command += ["--clickhouse-exporter-endpoint", f"http://127.0.0.1:{sink}"]
    environment = os.environ | {"ROTEL_TELEMETRY": "0"}
    with running(command, environment, folder, port) as pid:
        yield Target(pid, port, stores=False)


@contextmanager
def sink_process() -> Iterator[int]:
    """Run an HTTP server that takes every insert and keeps nothing; give its port."""
    port = free_port()
    command = [sys.executable, __file__, "sink", str(port)]
    with running(command, dict(os.environ), Path.cwd(), port):
        yield port


async def swallow(port: int) -> None:
    """Answer 200 to every request, chunked or not, when it was read to its end."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await read_body(reader, head.lower())
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=1 << 26)
    await server.serve_forever()


async def read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read one request's body to its end."""
    if b"transfer-encoding: chunked" not in head:
        sized = b"content-length: " in head
        await reader.readexactly(
            int(head.split(b"content-length: ")[1].split(b"\r\n")[0]) if sized else 0
        )
        return
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
    await reader.readexactly(2)


def report(ours: str, theirs: str, rounds: list[dict[str, float]], budget: str) -> None:
    """Print the medians of both and of their ratio, round by round."""
    mine = statistics.median(one[ours] for one in rounds)
    other = statistics.median(one[theirs] for one in rounds)
    ratio = statistics.median(one[ours] / one[theirs] for one in rounds)
    print(
        f"OTLP over HTTP, CPU us/span: {ours} {mine:.2f}, rotel {theirs} {other:.2f},"
        f" ratio {ratio:.2f} ({budget})"
    )


if __name__ == "__main__":
    main()
