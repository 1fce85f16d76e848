"""One evaluation of 1,000 objectives in four tiers, against as many PromQL queries.

The store holds 30 days of one-minute rollups of about 100 million events: the rows of the rollup
are written directly, one for each minute and journey, and one more where something failed, and the
engine makes those of the hours; every tenth objective has a latency limit and rows with durations.
An evaluation is what the alert job does, from reading the objectives and corrections of the state
store to writing alerts: the windows of the four tiers, and the budget of the whole 30 days beside
them. It is measured in CPU time of the whole process, the engine's threads included: the median of
five, before each of which the engine forgets what it knew of the windows.

A real Prometheus then holds the same counters, one sample a minute of the good and of the valid
events of each objective, brought in as blocks by promtool. It is asked once for each objective and
tier, over one connection of this machine: do both windows burn faster than the factor? After that
it is asked for the budget of each objective, so that it has told all that the evaluation tells. The
first is held against counting the windows of the tiers here, the sum against the evaluation. Its
CPU time is that of its own process, without the client. Both must find the same bad shares.

Then the raw volume behind the same rows is raised to 10 and 100 times, and the number of
objectives varied over the same rows, and their kind.

Budgets: <= 2 s CPU and a tenth of Prometheus; flat with volume, at most linear with objectives.
"""

import gc
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml
from harness.objectives import KINDS, TARGET, slo  # type: ignore[import-not-found]  # beside this
from harness.processes import cpu_seconds  # type: ignore[import-not-found]  # as above

from candor.kernel.database import session_of
from candor.kernel.migrate import migrate_state, migrate_telemetry
from candor.kernel.services import Services
from candor.kernel.settings import Settings, TelemetryLimits
from candor.kernel.telemetry_store import TelemetryStore
from candor.wiring import open_services
from slo.alerts.evaluator import evaluate
from slo.burn_rate import tiers_of
from slo.lookback import read_lookbacks
from slo.openslo import read_set
from slo.register import all_objectives, apply_set
from slo.window import format_duration

NOW = datetime(2026, 11, 22, 12, 7, tzinfo=UTC)
DAYS = 30
MINUTES = DAYS * 24 * 60
OBJECTIVES = 1000
AT_ONCE = 100
OF_A_KIND = (50, 500)
ROUNDS = 5
BLOCK = timedelta(hours=162)
FILL = """
INSERT INTO events_by_minute
  (minute, journey, name, step, outcome, channel, service, events, durations)
SELECT
  {until:DateTime('UTC')} - toIntervalMinute({minutes:UInt32} - number % {minutes:UInt32}),
  concat('journey-', toString({first:UInt32} + intDiv(number, {minutes:UInt32}))) AS journey,
  'checkout.payment', 'payment', outcome, 'web', 'shop',
  if(outcome = 'ok', 2 + (cityHash64(number, {first:UInt32}) % 10 < 3), 1) AS events,
  if(endsWith(journey, '9'), map(if(outcome = 'ok', 100, 400), events), map())
FROM (
  SELECT
    number,
    arrayJoin(if(cityHash64(number, {first:UInt32}, 1) % 1000 < 15, ['ok', 'error'], ['ok']))
      AS outcome
  FROM numbers({minutes:UInt64} * {journeys:UInt64})
)
"""
RAISE = """
ALTER TABLE {rollup:Identifier}
UPDATE events = events * 10, durations = mapApply((k, v) -> (k, v * 10), durations)
WHERE 1 SETTINGS mutations_sync = 1
"""
ROLLUPS = ({"rollup": "events_by_minute"}, {"rollup": "events_by_hour"})
COUNTERS = """
INSERT INTO FUNCTION file({path:String}, 'TSVRaw', 'line String')
SELECT arrayStringConcat(
  arrayMap(
    (n, at) -> concat(metric, '_total{journey="', journey, '"} ', toString(n), ' ', toString(at)),
    arrayMap(n -> n + before, arrayCumSum(counts)),
    range(toUInt64({start:UInt64} + 60), toUInt64({until:UInt64} + 60), 60)
  ), '\\n')
FROM (
  SELECT
    journey,
    metric,
    sumIf(counted, second < {start:UInt64}) AS before,
    groupArrayInsertAtIf(0, {minutes:UInt32})(
      counted, toUInt32(intDiv(second - {start:UInt64}, 60)), second >= {start:UInt64}
    ) AS counts
  FROM (
    SELECT
      journey,
      toUnixTimestamp(minute) AS second,
      arrayJoin([('journey_good', sumIf(events, outcome = 'ok')), ('journey_valid', sum(events))])
        AS pair,
      pair.1 AS metric,
      pair.2 AS counted
    FROM events_by_minute
    WHERE journey IN {journeys:Array(String)} AND toUnixTimestamp(minute) < {until:UInt64}
    GROUP BY journey, second
  )
  GROUP BY journey, metric
)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU and of wall time."""

    cpu: float
    wall: float

    def __str__(self) -> str:
        return f"{self.cpu:.2f} s CPU, {self.wall:.2f} s wall"


def main() -> None:
    """Fill the store, evaluate, ask Prometheus the same, then vary the volume and the number."""
    gc.set_threshold(50_000, 20, 20)  # as every command of Candor does
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with services_with(folder, OBJECTIVES) as services:
            migrate_telemetry(services.telemetry, lambda: NOW)
            fill(services.telemetry)
            ours = evaluation_cost(services)
            rows, events = volume(services.telemetry)
            print(
                f"{OBJECTIVES:,} objectives x 4 tiers, {DAYS} days, {rows:,} rows of one minute for"
                f" {events:,} events: {ours} (<= 2 s CPU)"
            )
            compare(services, folder, ours)
        vary_objectives(folder)
        vary_kinds(folder)
        vary_volume(folder)


@contextmanager
def services_with(folder: Path, objectives: int, kind: str = "events") -> Iterator[Services]:
    """Give services with so many objectives, on the one telemetry store of the folder."""
    settings = Settings(
        telemetry_dsn=f"chdb:///{folder}/telemetry",
        state_dsn=f"sqlite:///{folder}/state-{kind}-{objectives}.db",
        spool_dir=folder / "spool",
        master_key_file=folder / "master.key",
        telemetry=TelemetryLimits(query_seconds=600, query_memory_bytes=8 * 2**30),
    )
    with open_services(settings, lambda: NOW) as services:
        migrate_state(services.engine)
        documents = (KINDS[kind](slo(number, DAYS)) for number in range(objectives))
        read = read_set({"f": yaml.safe_dump_all(documents)})
        with session_of(services.engine) as session:
            apply_set(session, read, NOW, "benchmark")
        yield services


def fill(store: TelemetryStore) -> None:
    """Write the rows of the rollup, a hundred journeys at a time."""
    for first in range(0, OBJECTIVES, AT_ONCE):
        asked = {"until": NOW, "minutes": MINUTES, "first": first, "journeys": AT_ONCE}
        store.command(FILL, asked)
    for rollup in ROLLUPS:
        store.command("OPTIMIZE TABLE {rollup:Identifier} FINAL", rollup)


def volume(store: TelemetryStore) -> tuple[int, int]:
    """Return how many rows the rollup has, and for how many events they stand."""
    (row,) = store.query("SELECT count() AS n, sum(events) AS total FROM events_by_minute")
    return row["n"], row["total"]


def evaluation_cost(services: Services) -> Cost:
    """Return the median cost of one evaluation by the alert job, in a process set up as its own."""
    evaluate(services)
    gc.collect()
    gc.freeze()  # as the server does: what lives as long as the process is left alone
    return median_cost(services.telemetry, lambda: evaluate(services))


def tiers_cost(services: Services) -> Cost:
    """Return the median cost of counting the windows of the tiers alone, as the queries do."""
    with session_of(services.engine) as session:
        objectives = [one.objective for one in all_objectives(session)]
    tiers = tiers_of(timedelta(days=DAYS))
    asked = [{one for tier in tiers for one in (tier.long, tier.short)}] * len(objectives)
    store = services.telemetry
    return median_cost(store, lambda: read_lookbacks(store, objectives, NOW, asked))


def median_cost(store: TelemetryStore, work: Callable[[], object]) -> Cost:
    """Return the median of several rounds."""
    costs = []
    for _ in range(ROUNDS):
        store.command("SYSTEM CLEAR QUERY CONDITION CACHE")  # in life windows move on
        costs.append(astuple(spent(work)))
    return Cost(*map(statistics.median, zip(*costs, strict=True)))


def spent(work: Callable[[], object]) -> Cost:
    """Return what the work cost, in CPU time of every thread of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def vary_objectives(folder: Path) -> None:
    """Print the cost over the same rows for ten, a hundred and a thousand objectives."""
    print(f"{'objectives':>12} {'CPU ms':>8} {'ms each':>8}")
    for number in (10, 100, 1000):
        with services_with(folder, number) as services:
            cost = evaluation_cost(services)
        print(f"{number:>12,} {cost.cpu * 1000:>8.0f} {cost.cpu * 1000 / number:>8.2f}")


def vary_kinds(folder: Path) -> None:
    """Print the cost over the same rows for objectives of each kind."""
    print(f"{'kind':>12} {'objectives':>10} {'CPU ms':>8} {'ms each':>8}")
    for kind, number in product(KINDS, OF_A_KIND):
        with services_with(folder, number, kind) as services:
            cost = evaluation_cost(services)
        print(f"{kind:>12} {number:>10} {cost.cpu * 1000:>8.0f} {cost.cpu * 1000 / number:>8.2f}")


def vary_volume(folder: Path) -> None:
    """Print the cost for the same rows that stand for 1, 10 and 100 times as many events."""
    print(f"{'volume':>12} {'events':>16} {'rows':>12} {'CPU ms':>8}")
    with services_with(folder, OBJECTIVES) as services:
        for factor in (1, 10, 100):
            if factor > 1:
                for rollup in ROLLUPS:
                    services.telemetry.command(RAISE, rollup)
            rows, events = volume(services.telemetry)
            cost = evaluation_cost(services)
            print(f"{factor:>11}x {events:>16,} {rows:>12,} {cost.cpu * 1000:>8.0f}")


def compare(services: Services, folder: Path, ours: Cost) -> None:
    """Ask a real Prometheus as much, and print what that costs and by how much it is more."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        print("no comparison: prometheus and promtool are missing (apt-get install prometheus)")
        return
    blocks = folder / "prometheus"
    bring_in(services.telemetry, folder / "counters.txt", blocks)
    with prometheus(blocks) as (process, connection):
        check_same(services, connection)
        theirs = Cost(0, 0)
        alone = tiers_cost(services)
        print(f"the windows of the tiers alone, counted here: {alone}")
        print(
            f"{'Prometheus over the same counters':<42} {'CPU s':>7} {'wall s':>7} {'ratios':>13}"
        )
        steps = (("tiers", tier_queries, alone), ("budgets", budget_queries, ours))
        for name, queries, same in steps:
            before, wall = cpu_seconds(process.pid), time.perf_counter()
            asked = [
                ask(connection, query)
                for number in range(OBJECTIVES)
                for query in queries(f"journey-{number}")
            ]
            theirs = Cost(
                theirs.cpu + cpu_seconds(process.pid) - before,
                theirs.wall + time.perf_counter() - wall,
            )
            told = f"{len(asked):,} queries for {name}, and before"
            ratios = f"{theirs.cpu / same.cpu:.1f} / {theirs.wall / same.wall:.1f}"
            print(f"{told:<42} {theirs.cpu:>7.2f} {theirs.wall:>7.2f} {ratios:>13} (>= 10)")
    shutil.rmtree(blocks)


def bring_in(store: TelemetryStore, text: Path, blocks: Path) -> None:
    """Turn the rows into counters, and those into blocks of a Prometheus."""
    block = int(BLOCK.total_seconds())
    first, end = int(NOW.timestamp()) - MINUTES * 60, int(NOW.timestamp())
    for edge in range(first - first % block, end + 60, block):
        start, until = max(edge - 60, first), min(edge + block - 60, end)
        for number in range(0, OBJECTIVES, AT_ONCE):
            journeys = [f"journey-{one}" for one in range(number, number + AT_ONCE)]
            asked = {
                "path": str(text),
                "start": start,
                "until": until,
                "minutes": (until - start) // 60,
                "journeys": journeys,
            }
            store.command(COUNTERS, asked)
        with text.open("a", encoding="ascii") as file:
            file.write("# EOF\n")
        tool = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet"]
        longest = f"--max-block-duration={format_duration(BLOCK)}"
        subprocess.run([*tool, longest, str(text), str(blocks)], check=True)
        text.unlink()


@contextmanager
def prometheus(
    blocks: Path,
) -> Iterator[tuple["subprocess.Popen[bytes]", http.client.HTTPConnection]]:
    """Run a Prometheus on the blocks that scrapes nothing, and give a connection to it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = blocks / "prometheus.yml"
    config.write_text("global: {}\n", encoding="ascii")
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={blocks}",
        "--storage.tsdb.retention.time=10y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        while not is_ready(port):
            time.sleep(0.2)
        yield process, connection
    finally:
        connection.close()
        process.terminate()
        process.wait()


def is_ready(port: int) -> bool:
    """Return whether the Prometheus of a port has read its blocks."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    except ConnectionRefusedError:
        return False
    finally:
        connection.close()


def tier_queries(journey: str) -> Iterator[str]:
    """Yield the query of each tier: do both windows burn faster than the factor?"""
    for tier in tiers_of(timedelta(days=DAYS)):
        limit = float(tier.factor) * (1 - TARGET)
        parts = (bad_share(journey, format_duration(one)) for one in (tier.long, tier.short))
        yield " and ".join(f"{part} > {limit:g}" for part in parts)


def budget_queries(journey: str) -> Iterator[str]:
    """Yield the query of the share of the budget that is spent."""
    yield f"{bad_share(journey, f'{DAYS}d')} / {1 - TARGET:g}"


def bad_share(journey: str, window: str) -> str:
    """Return the PromQL of the share of bad events."""
    good, valid = (
        f'increase(journey_{kind}_total{{journey="{journey}"}}[{window}])'
        for kind in ("good", "valid")
    )
    return f"(1 - {good} / {valid})"


def ask(connection: http.client.HTTPConnection, query: str) -> list[dict[str, Any]]:
    """Return the series that a query finds at the instant of the evaluation."""
    form = urlencode({"query": query, "time": NOW.timestamp()})
    connection.request("GET", f"/api/v1/query?{form}")
    answer = json.loads(connection.getresponse().read())
    if answer["status"] != "success":
        raise RuntimeError(f"Prometheus did not answer: {answer}")
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def check_same(services: Services, connection: http.client.HTTPConnection) -> None:
    """Compare the bad share of three days, and of all, of some objectives."""
    with session_of(services.engine) as session:
        objectives = [one.objective for one in all_objectives(session)][::50]
    lengths = [timedelta(days=3), timedelta(days=DAYS)]
    read = read_lookbacks(services.telemetry, objectives, NOW, [lengths] * len(objectives))
    for objective, counts in zip(objectives, read, strict=True):
        for length in lengths:
            (series,) = ask(connection, bad_share(objective.name, format_duration(length)))
            ours, theirs = counts[length].bad / counts[length].valid, float(series["value"][1])
            if abs(ours - theirs) > 0.005 * ours:
                raise RuntimeError(f"{objective.name}: {ours} here, {theirs} in Prometheus")


if __name__ == "__main__":
    main()
