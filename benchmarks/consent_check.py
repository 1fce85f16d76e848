"""What a consent check costs beside the least that any answer costs.

``single``: ``candor serve`` embedded, each decision in the log before its answer, against a bare
ASGI application that decodes the same body and encodes an answer of the same size with msgspec.
Both run under the same server in processes of their own and get the same requests from the same
client over 256 connections. CPU is user + system time of the whole process, engine threads
included, until every decision is in the telemetry store. Afterwards the same comes at half the rate
that was reached, each request at its own moment, and latency counts from that moment; five times,
and the medians are told.

``batch``: the checker in this process on SQLite, a thousand people a batch, from the body's bytes
to the answer's, decisions per CPU-second of the process; the log is a spool.

``postgresql``: in this process, the read and decision of one check against the bare indexed SELECT
of the same rows by the same driver, one after the other. The log is not in it: it waits for a disk,
and the SELECT does not. ``CANDOR_TEST_STATE_DSN`` names a server; else a packaged one is started.

Budgets: single >= 0.5 of the floor's requests per CPU-second, and p99 <= 5 x p50 at half of the
highest rate; batch >= 100,000 decisions per
CPU-second; PostgreSQL <= 1.5 x the bare SELECT's latency.
"""

import asyncio
import gc
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvloop
from harness.processes import (  # type: ignore[import-not-found]  # beside this script
    cpu_seconds,
    free_port,
    running,
    wait_until_ready,
)
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.metrics import new_metrics
from candor.kernel.migrate import migrate_state
from candor.kernel.secrets import Secrets
from candor.kernel.settings import SpoolSettings
from collector.spool import Spool
from privacy.consent.act import Act
from privacy.consent.checking import Checker
from privacy.consent.ledger import ImportReport, ImportRow, Ledger
from privacy.consent.log import GroupedLog
from privacy.consent.notice import Notice
from privacy.consent.purpose import Purpose
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister, put_all

ROUNDS = 5
PAIRS = 15  # more of them where each is short: a shared machine changes from second to second
CONNECTIONS = 256
REQUESTS = 8000
PEOPLE = 20_000
ITEMS = 1000
BATCHES = 20
READS = 3000
FLOOR = Path(__file__).parent / "harness" / "consent_floor.py"
SECRETS = Secrets(*[bytes(32)] * 7)
CHECK = "/api/v1/consent/check"


def main() -> None:
    """Run every part and print its ratio and budget."""
    measure_batch()
    measure_postgresql()
    measure_single()


def question(number: int) -> dict[str, object]:
    """Return a check of one of the people."""
    return {
        "subject": {"type": "email", "value": f"customer-{number}@example.org"},
        "purpose": "marketing",
        "channel": "email",
        "stage": "send",
        "jurisdiction": "AU",
        "recipient": "esp-1",
    }


def fill(engine: Engine, secrets: Secrets) -> None:
    """Put a purpose with its notice, and one grant of each of the people."""
    now = utc_now()
    purpose = Purpose(
        "marketing", "Marketing", "opt_in", {"default": "consent"}, ("email", "sms"), ("esp-1",)
    )
    notice = Notice("newsletter", "1", ("marketing",), {"en": "May we?"})
    with session_of(engine) as session:
        put_all(session, [purpose, notice], now, "benchmark")
    ledger = Ledger(PolicyRegister(engine))
    for since in range(0, PEOPLE, ITEMS):
        with session_of(engine) as session:
            acts = [
                ImportRow(number, grant(secrets, number, now - timedelta(days=1)))
                for number in range(since, since + ITEMS)
            ]
            ledger.bring_in(session, acts, ImportReport(), at=now, by="benchmark")


def grant(secrets: Secrets, number: int, at: Any) -> Act:  # noqa: ANN401 - an instant
    """Return the grant of one of the people."""
    key = secrets.subject_key("email", f"customer-{number}@example.org")
    return Act(key, "email", "marketing", "grant", at, "api", "email", "newsletter/1")


@contextmanager
def checker_on(engine: Engine, folder: Path) -> Iterator[Checker]:
    """Give a checker whose log is a spool that nobody empties."""
    metrics = new_metrics()
    spool = Spool(folder / "spool", SpoolSettings(), utc_now, metrics)
    reader = open_reader(engine)
    with spool.running():
        yield Checker(
            engine=engine,
            reader=reader,
            policies=PolicyRegister(engine),
            log=GroupedLog(SpoolLog(spool)),
            clock=utc_now,
            metrics=metrics,
        )
    reader.close()


class SpoolLog:
    """The log of decisions on a bare spool."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def append(self, rows: bytes, count: int) -> Any:  # noqa: ANN401 - a future
        """Return the fate of rows."""
        return self._spool.submit("decisions", rows, count)

    def flush(self) -> None:
        """Return: nothing is loaded here."""


def measure_batch() -> None:
    """Print decisions per CPU-second of batches."""
    from candor.kernel.database import open_engine  # noqa: PLC0415 - used here alone
    from privacy.consent.answering import answer_batch  # noqa: PLC0415 - as above

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_engine(f"sqlite:///{folder}/state.db")
        migrate_state(engine)
        fill(engine, SECRETS)
        bodies = [batch_body() for _ in range(BATCHES)]
        gc.freeze()  # as the server does: what lives as long as the process is left alone
        gc.set_threshold(50_000, 20, 20)

        async def run() -> float:
            with checker_on(engine, folder) as checker:
                await answer_batch(checker, SECRETS, utc_now(), bodies[0], "benchmark", gpc=False)
                before = time.process_time()
                for body in bodies:
                    await answer_batch(checker, SECRETS, utc_now(), body, "benchmark", gpc=False)
                return time.process_time() - before

        rates = [BATCHES * ITEMS / uvloop.run(run()) for _ in range(ROUNDS)]
        engine.dispose()
    print(
        f"batch of {ITEMS}: {statistics.median(rates):,.0f} decisions per CPU-second (>= 100,000)"
    )


def batch_body() -> bytes:
    """Return the body of a batch of people taken at random."""
    chosen = random.sample(range(PEOPLE), ITEMS)
    return msgspec.json.encode([question(one) | {"correlation_id": str(one)} for one in chosen])


def measure_postgresql() -> None:
    """Print the latency of a check without its log against that of the bare SELECT."""
    from tests.support.stores import (  # noqa: PLC0415 - starts a packaged server
        postgresql_engine,
        postgresql_server,
    )

    with (
        tempfile.TemporaryDirectory(prefix="candor-") as name,
        postgresql_server(Path(name)) as dsn,
        postgresql_engine(dsn) as engine,
    ):
        fill(engine, SECRETS)
        uvloop.run(compare(engine))


async def compare(engine: Engine) -> None:
    """Take turns between both, so that whatever slows one slows the other."""
    import psycopg  # noqa: PLC0415 - used here alone

    from privacy.consent.decision import Question, decide  # noqa: PLC0415 - as above

    arguments, options = engine.dialect.create_connect_args(engine.url)
    bare = psycopg.connect(*arguments, **options, autocommit=True)
    reader, policies = open_reader(engine), PolicyRegister(engine)
    asked = Question("marketing", "email", "send", ("AU",), "esp-1")
    select = "SELECT packed FROM consent_standings WHERE subject_key = %s"
    times: dict[str, list[float]] = {"bare": [], "check": []}
    for number in range(READS):
        key = SECRETS.subject_key("email", f"customer-{number}@example.org")
        started = time.perf_counter()
        bare.execute(select, (key,), prepare=True).fetchall()
        times["bare"].append(time.perf_counter() - started)
        started = time.perf_counter()
        snapshot = await reader.read_soon([key])
        policy = policies.policy(snapshot.policy_turn)
        decide(policy, list(snapshot.of(key).values()), asked, utc_now())
        times["check"].append(time.perf_counter() - started)
    bare.close()
    reader.close()
    for share in (50, 99):
        values = {name: quantile(told, share) * 1e6 for name, told in times.items()}
        print(
            f"postgresql p{share}: check {values['check']:.0f} us, bare {values['bare']:.0f} us,"
            f" ratio {values['check'] / values['bare']:.2f} (<= 1.5)"
        )


def quantile(values: list[float], percent: int) -> float:
    """Return a quantile of measured times."""
    return sorted(values)[len(values) * percent // 100]


def measure_single() -> None:
    """Print requests per CPU-second of both, and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with floor_server(folder) as floor, full_server(folder) as (full, key):
            headers = {"authorization": f"Bearer {key}"}
            pairs = [(measure(floor, {}), measure(full, headers, flush=True)) for _ in range(PAIRS)]
            rate = statistics.median(other.rates["requests/s"] for _, other in pairs) / 2
            send_all = partial(send, full[1], headers=headers, rate=rate)
            sendings = [uvloop.run(send_all(some_bodies())) for _ in range(ROUNDS)]
    for what in ("requests per CPU-second", "requests/s"):
        floor_rate = statistics.median(one.rates[what] for one, _ in pairs)
        full_rate = statistics.median(other.rates[what] for _, other in pairs)
        ratio = statistics.median(other.rates[what] / one.rates[what] for one, other in pairs)
        print(
            f"single check, {what}: full {full_rate:,.0f}, floor {floor_rate:,.0f},"
            f" ratio {ratio:.2f} (>= 0.5)"
        )
    tails = [(quantile(times, 50) * 1e3, quantile(times, 99) * 1e3) for times in sendings]
    p50, p99 = (statistics.median(values) for values in zip(*tails, strict=True))
    ratio = statistics.median(one[1] / one[0] for one in tails)
    print(
        f"single check at {rate:,.0f} requests/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms,"
        f" ratio {ratio:.1f} (<= 5)"
    )


class Measured(msgspec.Struct):
    """One round at one server: its rates by name."""

    rates: dict[str, float]


def measure(target: tuple[int, int], headers: dict[str, str], *, flush: bool = False) -> Measured:
    """Send one round, and wait until the server has done all its work."""
    pid, port = target
    bodies = some_bodies()
    before, started = cpu_seconds(pid), time.perf_counter()
    uvloop.run(send(port, bodies, headers))
    elapsed = time.perf_counter() - started
    if flush:
        wait_until_loaded(port, headers)
    spent = cpu_seconds(pid) - before
    rates = {"requests per CPU-second": REQUESTS / spent, "requests/s": REQUESTS / elapsed}
    return Measured(rates)


def wait_until_loaded(port: int, headers: dict[str, str]) -> None:
    """Return when every decision of a server is in its telemetry store."""
    sync = headers | {"content-type": "application/json", "x-candor-sync": "1"}
    events = f"http://127.0.0.1:{port}/api/v1/events"
    httpx.post(events, content=b"[]", headers=sync, timeout=60).raise_for_status()


def some_bodies() -> list[bytes]:
    """Return the bodies of one round."""
    return [msgspec.json.encode(question(random.randrange(PEOPLE))) for _ in range(REQUESTS)]


async def send(  # noqa: PLR0913 - whatever another server's measurement wants to be different
    port: int,
    bodies: list[bytes],
    headers: dict[str, str],
    rate: float = math.inf,
    *,
    path: str = CHECK,
    connections: int = CONNECTIONS,
) -> list[float]:
    """Send every body once over connections that are kept open; return how long each took.

    With a ``rate``, in requests a second, each is due at its own moment and counts from there. The
    client's own garbage waits: a collection of its lists would count as the server's latency.
    """
    gc.collect()
    gc.disable()
    queue, times, start = iter(enumerate(bodies)), [], time.perf_counter() + 0.1
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, body in queue:
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            head = (
                f"POST {path} HTTP/1.1\r\nhost: candor\r\ncontent-type: application/json\r\n"
                f"{told}content-length: {len(body)}\r\n\r\n"
            )
            started = time.perf_counter() if rate == math.inf else due
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(connections)))
    gc.enable()
    return times


@contextmanager
def floor_server(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the floor until the end of the block; give its process and port."""
    data = folder / "floor"
    data.mkdir()
    with process([sys.executable, str(FLOOR)], data) as target:
        yield target


@contextmanager
def full_server(folder: Path) -> Iterator[tuple[tuple[int, int], str]]:
    """Run ``candor serve`` on a filled store; give its process and port, and a key."""
    from candor.kernel.database import open_engine  # noqa: PLC0415 - used here alone
    from candor.kernel.secrets import open_secrets  # noqa: PLC0415 - as above

    data = folder / "full"
    data.mkdir()
    candor = [sys.executable, "-m", "candor"]
    made = subprocess.run(
        [*candor, "keys", "create", "benchmark", "--scope", "admin", "--json"],
        cwd=data,
        env=environment(0),
        check=True,
        capture_output=True,
    )
    engine = open_engine(f"sqlite:///{data}/.candor/state.db")
    migrate_state(engine)
    fill(engine, open_secrets(data / ".candor" / "master.key", may_create=True))
    engine.dispose()
    with process([*candor, "serve"], data) as target:
        wait_until_ready(target[1])  # it listens before it has opened its stores
        yield target, msgspec.json.decode(made.stdout)["key"]


@contextmanager
def process(command: list[str], folder: Path) -> Iterator[tuple[int, int]]:
    """Run a server on a free port until the end of the block."""
    port = free_port()
    with running(command, environment(port), folder, port) as pid:
        yield pid, port


def environment(port: int) -> dict[str, str]:
    """Return the settings of a server."""
    root = Path(__file__).parent.parent
    return os.environ | {
        "PYTHONPATH": f"{root}:{root / 'benchmarks'}",
        "CANDOR_PORT": str(port),
        "CANDOR_GRPC_PORT": "0",
        "CANDOR_LOG_LEVEL": "warning",
    }


if __name__ == "__main__":
    main()
