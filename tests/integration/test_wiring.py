from pathlib import Path

import pytest
from sqlalchemy import text

from candor.app import create_framework
from candor.kernel.database import UtcDateTime, open_engine, session_of
from candor.kernel.errors import CandorError, ConflictError, UnavailableError
from candor.kernel.problems import problem_body
from candor.kernel.settings import load_settings
from candor.kernel.telemetry_store import TelemetryStore
from candor.kernel.vault_settings import VaultSettings
from candor.wiring import ensure_migrated, open_installation, open_services
from tests.support.asgi import Application
from tests.support.clickhouse_http import serve_clickhouse
from tests.support.stores import NOON, FixedClock


def test_a_server_refuses_to_run_on_stores_that_are_behind_and_runs_when_they_are_not(
    tmp_path: Path, embedded: TelemetryStore
) -> None:
    key = tmp_path / "master.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    assert embedded.path is not None
    with serve_clickhouse(embedded.path) as url:
        settings = load_settings(
            telemetry_dsn=f"{url}/test_wiring",
            state_dsn=f"sqlite:///{tmp_path}/state.db",
            master_key_file=key,
            spool_dir=tmp_path / "spool",
            vault=VaultSettings(register_file=tmp_path / "destroyed.log"),
        )
        with (
            pytest.raises(ConflictError, match="migrations are pending"),
            open_installation(settings),
        ):
            pass
        with open_services(settings, FixedClock()) as services:
            from candor.kernel.migrate import migrate  # noqa: PLC0415 - the step in between

            migrate(services.engine, services.telemetry, services.clock)
            ensure_migrated(services)
            with open_installation(settings) as installation:
                scraped = installation.services.metrics.exposition().decode()
            assert "# TYPE candor_objective_valid_events_total counter" in scraped
            services.telemetry.command("DROP DATABASE test_wiring")


def test_a_state_store_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/state.db")
    with pytest.raises(UnavailableError, match="OperationalError"), session_of(engine) as session:
        session.execute(text("SELECT * FROM nothing"))
    engine.dispose()


def test_an_instant_without_a_zone_is_refused(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/state.db")
    column = UtcDateTime()
    assert column.process_bind_param(None, engine.dialect) is None
    with pytest.raises(ValueError, match="zone"):
        column.process_bind_param(NOON.replace(tzinfo=None), engine.dialect)
    engine.dispose()


def test_two_writers_of_one_name_are_a_conflict(application: Application) -> None:
    insert = text(
        "INSERT INTO objectives (name, service, definition, revision, applied_at)"
        " VALUES ('x', 's', '{}', 1, '2026-11-22')"
    )
    with session_of(application.services.engine) as session:
        session.execute(insert)
    with pytest.raises(ConflictError), session_of(application.services.engine) as session:
        session.execute(insert)


def test_readyz_names_what_is_not_ready(application: Application) -> None:
    assert application.get("/readyz").json()["status"] == "ok"
    application.services.engine.dispose()
    Path("state.db").unlink()
    Path("state.db").mkdir()
    answer = application.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["components"]["telemetry"] == "ok"
    assert "state store" in answer.json()["components"]["state"]


def test_every_error_of_the_tree_has_a_code_and_a_status_of_its_own_kind() -> None:
    kinds = [CandorError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert all(400 <= kind.status < 600 for kind in kinds)
    assert b'"path": "a.b"' in problem_body(CandorError("x", path="a.b"))


def test_the_openapi_document_is_made_once() -> None:
    framework = create_framework()
    assert framework.openapi() is framework.openapi()


def test_a_body_that_does_not_say_that_it_is_json_is_a_415_that_says_what_to_send(
    application: Application,
) -> None:
    path, body = "/api/v1/purposes/newsletter", b'{"name": "News"}'
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        answer = application.request("PUT", path, content=body, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["type"]) == (
            415,
            "urn:candor:problem:unsupported_type",
        )
        assert "Content-Type: application/json" in answer.json()["detail"]
    for kind in ("application/json; charset=utf-8", "application/merge-patch+json"):
        answer = application.request("PUT", path, content=body, headers={"content-type": kind})
        assert answer.status_code == 422
    empty = application.request("PUT", path, content=b"", headers={"content-type": "text/plain"})
    assert empty.status_code == 422
