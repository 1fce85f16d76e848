"""A re-scan: rows a second, and for how long a rewrite hides the rows that it changes.

Stores ``ROWS`` events (200,000 by default; the first argument changes it) with about 25 leaves, one
in a hundred with a person, on an embedded store. Prints the rows a second of a full scan, of a
sample, and of a rewrite; the seconds from the deletion of the old rows to the arrival of the new
ones; and, to compare, what copying the whole partition for ``REPLACE PARTITION`` costs.
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import TelemetryStore
from candor.wiring import ensure_migrated, open_protected
from collector.event import COLUMNS
from privacy.pii.assembly import Pii
from privacy.pii.jobs import jobs
from privacy.pii.rescan_report import Wanted
from privacy.pii.rescan_requests import request_rescan
from tests.support.telemetry_corpus import clean_event

ROWS = 200_000
BATCH = 20_000
ONE_IN = 100
SAMPLE = 10_000
COPY = (
    "CREATE TABLE copied AS events",
    "INSERT INTO copied SELECT * FROM events",
    "ALTER TABLE events REPLACE PARTITION ID '202611' FROM copied",
)


class TimedStore(TelemetryStore):
    """A store that notes when statements of an ``ALTER`` begin and end."""

    spans: list[tuple[str, float, float]]

    def command(self, statement: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement, and note how long it took."""
        began = time.monotonic()
        super().command(statement, parameters)
        if statement.startswith("ALTER"):
            self.spans.append((statement, began, time.monotonic()))


def rows(count: int, first: int) -> Iterator[bytes]:
    """Yield events as the loader would store them."""
    source = random.Random(first)
    for number in range(first, first + count):
        leaves = clean_event(source)
        if number % ONE_IN == 0:
            leaves["contact"] = {"email": f"person.{number}@example.org"}
        texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in leaves.items()}
        event = {
            "id": f"event-{number}",
            "door": "native",
            "name": leaves["name"],
            "time": f"2026-11-{1 + number % 28:02d} 12:{number % 60:02d}:00.000",
            "received_at": "2026-11-26 12:00:00.000",
            "journey": "checkout",
            "attributes": texts,
        }
        yield json.dumps([event.get(name, _absent(name)) for name in COLUMNS]).encode()


def _absent(name: str) -> str | None:
    return None if name in ("duration_ms", "amount") else ""


def fill(telemetry: TelemetryStore, count: int) -> None:
    """Store as many events."""
    for first in range(0, count, BATCH):
        content = b"\n".join(rows(min(BATCH, count - first), first))
        telemetry.insert("events_landing", COLUMNS, [content], "JSONCompactEachRow", f"b-{first}")


def rescan(services: Services, pii: Pii, wanted: Wanted) -> None:
    """Run one re-scan of the events to its end."""
    with session_of(services.engine) as session:
        request_rescan(session, wanted, reason="benchmark", author="benchmark", at=utc_now())
    jobs(pii)[0].run(services)


@contextmanager
def timed(name: str, count: int) -> Iterator[None]:
    """Print what the block costs."""
    wall, cpu = time.monotonic(), time.process_time()
    yield
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    print(f"{name}: {wall:.1f} s, {count / wall:,.0f} rows/s, {cpu / count * 1e6:.0f} us CPU a row")


def main(count: int) -> None:
    """Print every number."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        settings = Settings(
            telemetry_dsn=f"chdb:///{at}/telemetry",
            state_dsn=f"sqlite:///{at}/state.db",
            master_key_file=at / "master.key",
            spool_dir=at / "spool",
        )
        with open_protected(settings) as (services, pii):
            ensure_migrated(services)
            telemetry = services.telemetry
            fill(telemetry, count)
            pii.prepare()
            rescan(services, pii, Wanted(("checks",)))
            events = ("events",)
            with timed("sample", SAMPLE):
                rescan(services, pii, Wanted(events, SAMPLE))
            with timed("full", count):
                rescan(services, pii, Wanted(events))
            telemetry.__class__ = TimedStore
            telemetry.spans = []  # type: ignore[attr-defined]  # it is a TimedStore now
            with timed("rewrite", count):
                rescan(services, pii, Wanted(events, applies=True))
            spans = telemetry.spans  # type: ignore[attr-defined]  # as above
            print(f"hidden for: {spans[-1][2] - spans[0][1]:.1f} s")
            run: Callable[[str], None] = telemetry.command
            with timed("copy of the whole partition, and replace", count):
                for statement in COPY:
                    run(statement)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
