"""A disk that is really full: nothing acknowledged is lost, and it mends by itself."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from candor.kernel.errors import OverloadedError
from candor.kernel.metrics import new_metrics
from candor.kernel.settings import SpoolSettings
from candor.kernel.telemetry_store import TelemetryStore
from collector.segment import read_records
from collector.spool import Spool
from tests.support.asgi import application_on
from tests.support.disks import fill, small_disk
from tests.support.events import native_event
from tests.support.server import query_stores, serve
from tests.support.stores import FixedClock, services_on

OTLP = {"content-type": "application/json"}
PATIENCE_SECONDS = 60


def until(is_so: Callable[[], bool]) -> None:
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        pause.wait(0.1)


def takes(spool: Spool) -> bool:
    try:
        spool.refuse_when_full()
    except OverloadedError:
        return False
    return True


def test_what_a_full_disk_acknowledged_is_read_back_and_nothing_else(tmp_path: Path) -> None:
    settings = SpoolSettings.model_validate({"segment_age": "PT1H", "min_free_disk_bytes": 0})
    with small_disk(tmp_path / "disk", "2m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(1 << 20))
        spool = Spool(disk / "spool", settings, FixedClock(), new_metrics())
        with spool.running():
            fates = [
                spool.submit("events", b"%04d" % n + bytes(9996), 1).exception() for n in range(200)
            ]
            kept = [n for n, fate in enumerate(fates) if fate is None]
            assert 0 < len(kept) < 200
            assert {type(fate) for fate in fates} == {type(None), OverloadedError}
            assert not takes(spool)
            ballast.unlink()
            until(lambda: takes(spool))
            spool.submit("events", b"9999", 1).result()
        stored = [
            int(bytes(record.payload)[:4])
            for path in sorted((disk / "spool").iterdir())
            for record in read_records(path)
        ]
        assert sorted(stored) == [*kept, 9999]


def test_doors_of_a_full_disk_refuse_as_their_protocol_knows_and_open_again(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    spool = {"segment_age": "PT1H", "min_free_disk_bytes": 0}
    with small_disk(tmp_path / "disk", "2m") as disk:
        services = services_on(disk, sqlite, embedded_telemetry, clock, spool=spool)
        with application_on(services) as application:
            ballast = fill(disk, leave_bytes=200_000)
            acknowledged = 0
            for batch in range(50):
                events = [native_event(batch * 100 + n, step="x" * 390) for n in range(100)]
                answer = application.post("/api/v1/events", json=events)
                acknowledged += 100 if answer.status_code == 200 else 0
                assert answer.status_code in {200, 429}
            assert answer.status_code == 429
            assert {"retry-after", "x-ratelimit-reset"} <= set(answer.headers)
            refused = application.post("/v1/traces", json={}, headers=OTLP)
            assert (refused.status_code, int(refused.headers["retry-after"]) > 0) == (503, True)
            assert application.post("/v1/track", json={}).status_code == 429
            assert application.get("/readyz").status_code == 503
            ballast.unlink()
            until(lambda: application.get("/readyz").status_code == 200)
            answer = application.post("/api/v1/events", json=native_event(99_999))
            assert answer.json()["accepted"] == 1
            application.collector.flush()
            stored = embedded_telemetry.query("SELECT count() AS n, uniq(id) AS ids FROM events")
    assert 0 < acknowledged < 5000
    assert stored == [{"n": acknowledged + 1, "ids": acknowledged + 1}]


@pytest.mark.crash
def test_a_telemetry_store_without_room_delays_events_and_loses_none(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64m") as disk:
        dsn = f"chdb:///{disk}/telemetry"
        with serve(tmp_path, CANDOR_TELEMETRY_DSN=dsn) as server:
            ballast = fill(disk)
            events = [native_event(number, step="x" * 390) for number in range(2000)]
            url = f"{server.url}/api/v1/events"
            told = httpx.post(url, json=events, headers=server.headers, timeout=30)
            assert told.json()["accepted"] == 2000
            until(lambda: failed_loads(server.url) > 0)
            ballast.unlink()
            until(lambda: not list((tmp_path / ".candor" / "spool").iterdir()))
        stored = query_stores(tmp_path, "SELECT count() AS n, uniq(id) AS ids FROM events", dsn)
    assert stored == [{"n": 2000, "ids": 2000}]


def failed_loads(url: str) -> float:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return float(
        next(one for one in lines if one.startswith("candor_load_failures_total")).split()[1]
    )
