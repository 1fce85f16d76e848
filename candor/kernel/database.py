"""The state store: SQLite beside the process, or PostgreSQL; the same code on both."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Engine, MetaData, create_engine, event
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from candor.kernel.errors import ConflictError, UnavailableError

_PATIENCE_SECONDS = 10
_POSTGRESQL_SECONDS = 3
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every state table; constraints get predictable names for migrations."""

    metadata = MetaData(naming_convention=_NAMES)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, UTC in the store, whatever the store knows of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC; a naive datetime is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs its zone: pass an aware datetime")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant as aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def open_engine(dsn: str) -> Engine:
    """Return an engine on the state store; nothing is read yet.

    SQLite gets write-ahead logging, full durability, foreign keys and ten seconds of patience, and
    overwrites what is deleted with zeroes. PostgreSQL gets three seconds to take a connection, and
    so does a thread to get one of the pool: in an outage nobody waits for the system's minutes.
    """
    url = make_url(dsn)
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            hide_parameters=True,
            pool_size=10,
            max_overflow=20,
            pool_timeout=_POSTGRESQL_SECONDS,
            connect_args={"connect_timeout": _POSTGRESQL_SECONDS},
        )
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        Path(url.database).touch(mode=0o600)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


@contextmanager
def session_of(engine: Engine) -> Iterator[Session]:
    """Give one transaction: committed at the end of the block, rolled back when it raises.

    Raises:
        ConflictError: what was written contradicts a constraint.
        UnavailableError: the store cannot be reached.
    """
    try:
        with Session(engine) as session, session.begin():
            yield session
    except DBAPIError as error:
        raise _translated(error) from None
    except PoolTimeoutError:
        raise UnavailableError(
            "Every connection to the state store is in use. Try again in a moment."
        ) from None


def wait_for_turn(connection: Connection, turn: int, seconds: int = _PATIENCE_SECONDS) -> None:
    """Keep every other transaction that asks for the same turn waiting until this one ends.

    On SQLite, where one writes at a time, it keeps every writer waiting; its driver would otherwise
    begin no transaction before the first row is written, and none for what changes the schema.

    Raises:
        DBAPIError: the turn did not come within so many ``seconds``, on SQLite within those of its
            busy timeout; ``session_of`` says so in words.

    Source: SQLite, "Transaction"; PostgreSQL, "Advisory Locks".
    """
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{seconds}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({turn})")
        return
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _translated(error: DBAPIError) -> ConflictError | UnavailableError:
    """Return the error without the driver's text: that may quote a row."""
    if type(error).__name__ == "IntegrityError":
        return ConflictError("This contradicts what is stored already. Read it again and retry.")
    return UnavailableError(
        f"The state store answered with {type(error).__name__}. Try again; `candor check` says"
        " whether it can be reached and is migrated."
    )


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401 - driver's own type
    del record
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_PATIENCE_SECONDS * 1000}")
    _write_ahead(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:  # noqa: ANN401 - as above
    """Have a log written ahead; of two who begin one at once, SQLite turns one away unasked."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return
