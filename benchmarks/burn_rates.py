"""Burn rates of 20 objectives in four windows over ten million events: rollup against raw rows.

Both answers come from the same questions, on the same embedded engine, and must be equal. What the
engine remembers of a repeated condition is dropped before each. Wall time, median of five.

Budget: rollup <= 1/20 of raw.
"""

import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from candor.kernel.migrate import migrate_telemetry
from candor.kernel.settings import TelemetryLimits
from candor.kernel.telemetry_store import TelemetryStore, open_telemetry_store
from slo.indicator import Condition, Indicator
from slo.store import Question, count, count_rows
from slo.window import rolling

EVENTS = 10_000_000
OBJECTIVES = 20
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
WINDOWS = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=6), timedelta(days=3))
ROUNDS = 5
FILL = Template("""
INSERT INTO events (id, door, name, time, received_at, journey, instance, step, outcome, channel,
  service, duration_ms, subject_key)
SELECT toString(number), 'native', 'step', toDateTime64('2026-11-22 12:00:00', 3, 'UTC')
    - toIntervalMillisecond(intDiv(number * 259200000, $events)), now64(3, 'UTC'),
  concat('journey-', toString(cityHash64(number) % $objectives)), toString(intDiv(number, 4)),
  concat('step-', toString(number % 4)), if(cityHash64(number, 1) % 1000 = 0, 'error', 'ok'),
  if(number % 2 = 0, 'web', 'app'), 'shop', cityHash64(number, 2) % 900, hex(cityHash64(number, 3))
FROM numbers($start, $step)
""")


def main() -> None:
    """Fill the store, ask both ways, and print both numbers and their ratio."""
    limits = TelemetryLimits(query_seconds=600)
    with tempfile.TemporaryDirectory() as folder:
        store = open_telemetry_store(f"chdb:///{Path(folder)}/telemetry", limits)
        try:
            migrate_telemetry(store, lambda: NOW)
            fill(store)
            compare(store)
        finally:
            store.close()


def fill(store: TelemetryStore) -> None:
    """Make ten million events of three days, a million at a time."""
    step = EVENTS // 10
    for part in range(10):
        store.command(
            FILL.substitute(events=EVENTS, objectives=OBJECTIVES, start=part * step, step=step)
        )
    store.command("OPTIMIZE TABLE events_by_minute FINAL")


def compare(store: TelemetryStore) -> None:
    """Time both queries in turn."""
    questions = [
        Question(
            Indicator(
                (Condition("journey", "any", (f"journey-{number}",)),),
                (Condition("outcome", "any", ("ok",)),),
            ),
            rolling(window, NOW),
        )
        for number in range(OBJECTIVES)
        for window in WINDOWS
    ]
    answers = []
    times: dict[str, list[float]] = {"rollup": [], "raw": []}
    for _ in range(ROUNDS):
        for name, ask in (("rollup", count), ("raw", count_rows)):
            store.command("SYSTEM DROP QUERY CONDITION CACHE")
            started = time.perf_counter()
            answers.append(ask(store, questions))
            times[name].append(time.perf_counter() - started)
    if any(answer != answers[0] for answer in answers):
        raise RuntimeError("the rollup and the rows disagree")
    rollup, raw = (statistics.median(times[name]) for name in ("rollup", "raw"))
    print(
        f"burn rates, {OBJECTIVES} objectives x {len(WINDOWS)} windows, {EVENTS:,} events:"
        f" rollup {rollup * 1000:.1f} ms, raw {raw * 1000:.1f} ms,"
        f" ratio 1/{raw / rollup:.0f} (<= 1/20)"
    )


if __name__ == "__main__":
    main()
