"""Whether a consent check costs the same beside ten times as many consents, and a long audience.

``checks``: two SQLite stores, of one and of ten million people with one consent each, which is the
most that so many events can weigh on a check: it reads what stands of the person, never the
history. What stands is written in the form that the ledger writes, copied from a real person's; ten
million acts through the ledger would take an hour. The questions of 32 askers at a time about
people taken at random are answered from the body's bytes to the answer's, each decision in a spool
before that.

``filter``: the peak of the server's resident memory before and after an audience of a million. A
quarter of a million goes before, until its decisions are in the telemetry store: the embedded
engine maps its library and fills its pools with the first of them, whatever they come from, and
that is no memory of the audience. The peak of a server that did nothing is told too, and how much
of the memory at the end is no mapped file.

Budgets: flat (printed for both: CPU a check, and how long it took at p50 and p99); the filter < 200
MiB.
"""

import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import uvloop
from consent_check import (  # type: ignore[import-not-found]  # beside this script
    ITEMS,
    PEOPLE,
    SECRETS,
    checker_on,
    fill,
    full_server,
    quantile,
    question,
    wait_until_loaded,
)

from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine
from candor.kernel.migrate import migrate_state
from privacy.consent.answering import answer_check
from privacy.consent.checking import Checker

SIZES = (1_000_000, 10_000_000)
ASKERS = 32
CHECKS = 64_000
ROUNDS = 5
AUDIENCE = 1_000_000


def main() -> None:
    """Measure both sizes, round by round in turn, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        folders = {size: Path(name) / str(size) for size in SIZES}
        for size, folder in folders.items():
            folder.mkdir()
            fill_with(folder, size)
        rounds = [{size: measure(folders[size], size) for size in SIZES} for _ in range(ROUNDS)]
    print("consents      CPU us/check   p50 ms   p99 ms  (32 askers)")
    for size in SIZES:
        cpu, p50, p99 = (
            statistics.median(one[size][place] for one in rounds) for place in range(3)
        )
        print(f"{size:>10,}  {cpu:>12.1f}  {p50:>7.2f}  {p99:>7.2f}")
    ratio = statistics.median(one[SIZES[1]][0] / one[SIZES[0]][0] for one in rounds)
    print(f"ten times as many consents: {ratio:.2f} times the CPU a check (flat: about 1)")
    measure_filter()


def measure_filter() -> None:
    """Print how much memory an audience of a million takes of the server, at its peak."""
    with tempfile.TemporaryDirectory() as name, full_server(Path(name)) as ((pid, port), key):
        headers = {"authorization": f"Bearer {key}"}
        idle = mebibytes(pid, "VmHWM")
        filtered(port, headers, AUDIENCE // 4)
        wait_until_loaded(port, headers)
        before = mebibytes(pid, "VmHWM")
        allowed = filtered(port, headers, AUDIENCE)
        after, held = mebibytes(pid, "VmHWM"), mebibytes(pid, "RssAnon")
    print(
        f"filter of {AUDIENCE:,}: {allowed:,} allowed, peak of memory {before:.0f} MiB before and"
        f" {after:.0f} MiB after (growth < 200); {idle:.0f} MiB when idle, and {held:.0f} MiB at"
        " the end are no mapped files"
    )


def filtered(port: int, headers: dict[str, str], size: int) -> int:
    """Send an audience, and return how many of it are allowed."""
    address = f"http://127.0.0.1:{port}/api/v1/consent/filter?purpose=marketing&channel=email"
    headers = headers | {"content-type": "application/x-ndjson"}

    def audience() -> Iterator[bytes]:
        for since in range(0, size, ITEMS):
            lines = [
                msgspec.json.encode(question(number % PEOPLE)["subject"])
                for number in range(since, since + ITEMS)
            ]
            yield b"\n".join(lines) + b"\n"

    with httpx.stream("POST", address, headers=headers, content=audience(), timeout=600) as got:
        return sum('"allow":true' in line for line in got.iter_lines())


def mebibytes(pid: int, what: str) -> float:
    """Return a size of a process's memory, by its name in ``/proc``."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def fill_with(folder: Path, size: int) -> None:
    """Put a policy and its people through the ledger, then so many copies of what stands of one."""
    engine = open_engine(f"sqlite:///{folder}/state.db")
    migrate_state(engine)
    fill(engine, SECRETS)
    engine.dispose()
    connection = sqlite3.connect(folder / "state.db")
    turn, packed = connection.execute("SELECT turn, packed FROM consent_standings").fetchone()
    keys = sorted(
        SECRETS.subject_key("email", f"customer-{number}@example.org") for number in range(size)
    )
    with connection:
        connection.executemany(
            "INSERT OR IGNORE INTO consent_standings (subject_key, turn, packed) VALUES (?, ?, ?)",
            ((key, turn, packed) for key in keys),
        )
    connection.close()


def measure(folder: Path, size: int) -> tuple[float, float, float]:
    """Return the CPU of a check in microseconds, and p50 and p99 in milliseconds."""
    bodies = [msgspec.json.encode(question(random.randrange(size))) for _ in range(CHECKS)]
    engine = open_engine(f"sqlite:///{folder}/state.db")
    with tempfile.TemporaryDirectory(dir=folder) as name:

        async def run() -> tuple[float, list[float]]:
            with checker_on(engine, Path(name)) as checker:
                before = time.process_time()
                times = await ask(checker, bodies)
                return time.process_time() - before, times

        spent, times = uvloop.run(run())
    engine.dispose()
    p50, p99 = (quantile(times, share) * 1e3 for share in (50, 99))
    return spent / len(bodies) * 1e6, p50, p99


async def ask(checker: Checker, bodies: list[bytes]) -> list[float]:
    """Have every question answered, and return how long each took."""
    queue, times = iter(bodies), []

    async def asker() -> None:
        for body in queue:
            started = time.perf_counter()
            told, _ = await answer_check(checker, SECRETS, utc_now(), body, "benchmark", gpc=False)
            times.append(time.perf_counter() - started)
            if not json.loads(told)["allow"]:
                raise RuntimeError(told.decode())

    await asyncio.gather(*(asker() for _ in range(ASKERS)))
    return times


if __name__ == "__main__":
    main()
