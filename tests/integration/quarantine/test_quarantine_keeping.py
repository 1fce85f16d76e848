"""What is refused is kept once, sealed, and up to a size."""

from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.quarantine import EVENTS, event, refuse
from tests.support.stores import FixedClock, services_on


def test_nothing_of_a_refused_event_is_on_a_disk_in_clear(
    application: Application, clock: FixedClock, tmp_path: Path
) -> None:
    secret = "spoken-in-confidence"
    refuse(application, event(1, clock.now, attributes={"plan": secret}))
    spool = application.services.settings.spool_dir
    assert any("quarantine" in path.name for path in spool.iterdir())
    assert all(secret.encode() not in path.read_bytes() for path in spool.iterdir())
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT * FROM quarantine")
    assert rows
    assert secret not in str(rows)
    assert "e-1" not in str(rows)
    assert all(secret.encode() not in one.read_bytes() for one in tmp_path.glob("state.db*"))


def test_the_same_refused_event_sent_again_is_kept_once_under_the_same_id(
    application: Application, clock: FixedClock
) -> None:
    first, again = (refuse(application, event(1, clock.now)) for _ in range(2))
    assert first == again
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT count() AS n FROM quarantine")
    assert rows == [{"n": 1}]


def test_it_is_kept_once_across_a_restart_too(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    for _ in range(2):
        with application_on(services) as application:
            refuse(application, {"id": "e-1"})
    assert services.telemetry.query("SELECT count() AS n FROM quarantine") == [{"n": 1}]


def test_an_event_over_the_bound_is_refused_and_not_kept(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    bound = {"event_bytes": 2048}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, quarantine=bound)
    with application_on(services) as application:
        answer = application.post(EVENTS, json={"id": "e", "step": "x" * 3000}).json()
    assert (answer["quarantined"], answer["rejected"][0]["quarantine_id"]) == (0, None)


def test_what_is_kept_is_counted_by_its_reason(application: Application, clock: FixedClock) -> None:
    refuse(application, event(1, clock.now))
    text_format = application.get("/metrics").text
    assert (
        'candor_events_quarantined_total{code="schema_violation",door="native"} 1.0' in text_format
    )
