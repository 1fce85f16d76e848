"""Both migration runners: Alembic for the state store, literal numbered SQL for telemetry.

Telemetry migrations are forward only. A ledger in the store keeps each one's checksum, so that a
file that changed after it ran is noticed instead of believed.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from candor.kernel.clock import Clock
from candor.kernel.database import wait_for_turn
from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.telemetry_store import TelemetryStore

_PACKAGE = "candor.migrations"
_TURN = int.from_bytes(b"candor")
_PATIENCE_SECONDS = 30
_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  version UInt32, name String, checksum FixedString(64), applied_at DateTime64(3, 'UTC')
) ENGINE = MergeTree ORDER BY version
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_APPLIED = "SELECT version, checksum FROM schema_migrations ORDER BY version"
_RECORD = """
INSERT INTO schema_migrations (version, name, checksum, applied_at)
VALUES ({version:UInt32}, {name:String}, {checksum:String}, {at:DateTime64(3, 'UTC')})
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step that a store has not taken yet."""

    store: Literal["state", "telemetry"]
    version: str
    name: str
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """SHA-256 over the statements, 64 hexadecimal digits."""
        return hashlib.sha256("\n;\n".join(self.statements).encode()).hexdigest()


def pending_migrations(engine: Engine, telemetry: TelemetryStore) -> list[Migration]:
    """Return what ``migrate`` would do, in its order; nothing is changed.

    Raises:
        ConflictError: a telemetry migration changed after it was applied.
        UnavailableError: a store cannot be asked.
    """
    return [*pending_state_migrations(engine), *_pending_telemetry(telemetry)]


def pending_state_migrations(engine: Engine) -> list[Migration]:
    """Return what the state store alone has not taken yet; nothing is changed.

    Raises:
        UnavailableError: it cannot be asked.
    """
    with _state_errors(), engine.connect() as connection:
        return _pending_state(connection)


def migrate(engine: Engine, telemetry: TelemetryStore, clock: Clock) -> list[Migration]:
    """Bring both stores up to date and return the steps taken; none when there was nothing to do.

    Raises:
        ConflictError: a telemetry migration changed after it was applied.
        UnavailableError: a store cannot be reached or refuses a step; earlier steps stay taken.
    """
    return migrate_state(engine) + migrate_telemetry(telemetry, clock)


def migrate_telemetry(telemetry: TelemetryStore, clock: Clock) -> list[Migration]:
    """Bring the telemetry store alone up to date and return the steps taken."""
    telemetry.command(_LEDGER)
    steps = []
    for step in _pending_telemetry(telemetry):
        for statement in step.statements:
            telemetry.command(statement)
        telemetry.command(
            _RECORD,
            {
                "version": int(step.version),
                "name": step.name,
                "checksum": step.checksum,
                "at": clock(),
            },
        )
        steps.append(step)
    return steps


def migrate_state(engine: Engine) -> list[Migration]:
    """Bring the state store alone up to date and return the steps taken.

    All steps are taken or none, and one process at a time takes them: a second one waits, and then
    finds nothing to do.
    """
    if not pending_state_migrations(engine):
        return []
    with _state_errors(), engine.begin() as connection:
        wait_for_turn(connection, _TURN, _PATIENCE_SECONDS)
        steps = _pending_state(connection)
        if steps:
            command.upgrade(_alembic(connection), "head")
    return steps


def telemetry_migrations() -> list[Migration]:
    """Return every telemetry migration that this version of Candor ships, in order."""
    folder = files(_PACKAGE).joinpath("telemetry")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = []
    for file_name in names:
        version, _, name = file_name.removesuffix(".sql").partition("_")
        text = folder.joinpath(file_name).read_text(encoding="utf-8")
        steps.append(Migration("telemetry", version, name, split_statements(text)))
    return steps


def split_statements(text: str) -> tuple[str, ...]:
    """Return the statements of a migration: each ends with a semicolon at the end of a line."""
    parts = (part.strip() for part in (text.rstrip() + "\n").split(";\n"))
    return tuple(part for part in parts if part)


def _pending_telemetry(telemetry: TelemetryStore) -> list[Migration]:
    ledger = "SELECT count() AS n FROM system.tables WHERE database = currentDatabase()"
    ledger += " AND name = 'schema_migrations'"
    applied: dict[int, str] = {}
    if telemetry.query(ledger)[0]["n"]:
        applied = {row["version"]: _text(row["checksum"]) for row in telemetry.query(_APPLIED)}
    pending = []
    for step in telemetry_migrations():
        known = applied.get(int(step.version))
        if known is None:
            pending.append(step)
        elif known != step.checksum:
            raise ConflictError(
                f"Telemetry migration {step.version}_{step.name} changed after it was applied."
                " Restore its text and put the change into a new migration."
            )
    return pending


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _pending_state(connection: Connection) -> list[Migration]:
    current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(_alembic(connection))
    revisions = list(script.iterate_revisions("head", current or "base"))
    steps = []
    for revision in reversed(revisions):
        base = revision.down_revision or "base"
        sql = _statements_of(connection, f"{base}:{revision.revision}")
        steps.append(Migration("state", revision.revision, revision.doc, sql))
    return steps


def _statements_of(connection: Connection, span: str) -> tuple[str, ...]:
    """Return the SQL of a span of revisions without running it."""
    text = io.StringIO()
    command.upgrade(_alembic(connection, text), span, sql=True)
    return split_statements(text.getvalue())


def _alembic(connection: Connection, output: io.StringIO | None = None) -> Config:
    attributes: dict[str, Any] = {"connection": connection}
    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", str(files(_PACKAGE).joinpath("state")))
    config.attributes.update(attributes)
    return config


@contextmanager
def _state_errors() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise UnavailableError(
            f"The state store refused a migration ({type(error).__name__}). Check that it can be"
            " reached and that no other process holds a lock on it."
        ) from None
