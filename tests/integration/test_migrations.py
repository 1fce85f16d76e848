from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

import candor.kernel.lease  # noqa: F401 - registers its table
import collector.contracts.tables
import collector.quarantine.tables  # noqa: F401 - as above
import privacy.consent.tables
import privacy.propagation.tables
import privacy.reconciliation.tables
import privacy.subjects.tables  # noqa: F401 - registers its tables
import slo.tables  # noqa: F401 - registers its tables
from candor.kernel.database import Base
from candor.kernel.errors import ConflictError
from candor.kernel.migrate import (
    Migration,
    migrate,
    migrate_telemetry,
    pending_migrations,
    split_statements,
    telemetry_migrations,
)
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from tests.support.stores import NOON, FixedClock

BY_MINUTE = "SELECT * FROM events_by_minute FINAL ORDER BY minute"
GOLDEN = Path(__file__).parent / "golden_columns.txt"
COLUMNS = """
SELECT concat(table, '.', name, ' ', type) AS line FROM system.columns
WHERE database = currentDatabase() AND table NOT LIKE '.inner%' ORDER BY table, position
"""


def test_the_migrations_and_the_models_agree(state: Engine) -> None:
    with state.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_answers_are_forgotten_by_an_index(state: Engine) -> None:
    asked = "EXPLAIN QUERY PLAN DELETE FROM consent_requests WHERE at < :before"
    with state.begin() as connection:
        if state.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))  # it would: there is no row
            asked = asked.replace(" QUERY PLAN", "")
        plan = connection.execute(text(asked), {"before": NOON.isoformat()}).all()
    assert "ix_consent_requests_at" in str(plan)


def test_the_telemetry_tables_are_what_the_golden_says(telemetry: TelemetryStore) -> None:
    lines = [row["line"] for row in telemetry.query(COLUMNS)]
    assert lines == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_migrating_again_does_nothing(state: Engine, embedded_telemetry: TelemetryStore) -> None:
    assert pending_migrations(state, embedded_telemetry) == []
    assert migrate(state, embedded_telemetry, FixedClock()) == []


def test_what_is_pending_is_told_with_its_statements(
    tmp_path: Path, embedded: TelemetryStore
) -> None:
    from candor.kernel.database import open_engine  # noqa: PLC0415 - an engine without tables

    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    fresh = embedded.using("test_pending")
    try:
        steps = pending_migrations(engine, fresh)
        assert {step.store for step in steps} == {"state", "telemetry"}
        assert any("CREATE TABLE api_keys" in text for step in steps for text in step.statements)
    finally:
        fresh.command("DROP DATABASE test_pending")
        fresh.close()
        engine.dispose()


def test_a_migration_that_changed_after_it_ran_is_noticed(
    embedded_telemetry: TelemetryStore,
) -> None:
    embedded_telemetry.command(
        "ALTER TABLE schema_migrations UPDATE checksum = {sum:String} WHERE version = 1",
        {"sum": "0" * 64},
    )
    with pytest.raises(ConflictError, match="0001_events changed"):
        migrate_telemetry(embedded_telemetry, lambda: NOON)


def test_what_the_first_rollup_counted_is_carried_over_once_however_often_it_is_begun(
    embedded: TelemetryStore,
) -> None:
    steps = telemetry_migrations()
    store = embedded.using("test_carried_over")
    try:
        run(store, [one for one in steps if one.version < "0014"])
        insert(store, "before", count=7)
        before = store.query(BY_MINUTE)
        for step in steps:
            if step.version >= "0014":
                run(store, [step, step])  # the first time it was killed before the ledger knew
        assert store.query(BY_MINUTE) == before
        hours = "SELECT sum(events) AS events, sumMap(durations) AS durations FROM events_by_hour"
        assert store.query(hours) == [{"events": 7, "durations": {50: 7}}]
        insert(store, "after", count=2)
        assert store.query(hours) == [{"events": 9, "durations": {50: 9}}]
        (told,) = store.query("SELECT sum(events) AS events FROM events_by_minute")
        assert told == {"events": 9}
    finally:
        store.command("DROP DATABASE test_carried_over")
        store.close()


def run(store: TelemetryStore, steps: Sequence[Migration]) -> None:
    for step in steps:
        for statement in step.statements:
            store.command(statement)


def insert(store: TelemetryStore, token: str, *, count: int) -> None:
    events = [
        Event(
            f"{token}-{number}",
            *("native", "x", "", NOON + number * timedelta(minutes=25), NOON, "checkout"),
            duration_ms=33.0,
        )
        for number in range(count)
    ]
    insert_events(store, [encode_events(events)], token)


def test_no_table_with_people_has_a_projection() -> None:
    texts = [text for step in telemetry_migrations() for text in step.statements]
    assert not [text for text in texts if "PROJECTION" in text.upper()]


def test_statements_end_with_a_semicolon_at_the_end_of_a_line() -> None:
    assert split_statements("a;\nb ';' c\n;\n\n") == ("a", "b ';' c")
