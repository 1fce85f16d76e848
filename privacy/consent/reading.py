"""The hot reads of the state store: one statement tells the latest that concerns a decision.

It returns, of one snapshot, the turn of the ledger, that of the policy, and what stands of every
identifier that is linked with those asked for. The drivers are used bare: the statement never
changes, and a mapper would cost more than the read.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import msgspec
import psycopg
from sqlalchemy import Engine

from candor.kernel.errors import UnavailableError
from privacy.consent.standing import Standings
from privacy.consent.store import unpacked
from privacy.consent.wire import SELECT_MANY, Row, Wire, unreadable

_BUSY_MILLISECONDS = 2_000
_CACHE_KIB = 32_768
_STATEMENT_MILLISECONDS = 3_000
_SQLITE_ONE = """
SELECT t.turn, t.policy_turn, ?1, s.subject_key, s.packed FROM consent_turns t
LEFT JOIN consent_standings s ON s.subject_key = ?1
WHERE t.id = 1
UNION ALL
SELECT 0, 0, ?1, s.subject_key, s.packed FROM subjects i
CROSS JOIN subjects o ON o.person = i.person
CROSS JOIN consent_standings s ON s.subject_key = o.subject_key
WHERE i.subject_key = ?1 AND o.subject_key <> ?1
"""
_SQLITE_MANY = """
SELECT t.turn, t.policy_turn, NULL, s.subject_key, s.packed FROM consent_turns t
LEFT JOIN json_each(?1) k ON true
LEFT JOIN consent_standings s ON s.subject_key = k.value
WHERE t.id = 1
UNION ALL
SELECT 0, 0, k.value, s.subject_key, s.packed FROM json_each(?1) k
CROSS JOIN subjects i ON i.subject_key = k.value
CROSS JOIN subjects o ON o.person = i.person
CROSS JOIN consent_standings s ON s.subject_key = o.subject_key
WHERE o.subject_key <> k.value
"""
_POSTGRESQL = SELECT_MANY.replace("$1", "%(keys)s")


@dataclass(slots=True)
class Snapshot:
    """What one read saw: the turns, and by asked key what stands of each identifier.

    An identifier of which nothing stands has no entry. There may be more people than were asked
    for: questions of several callers go into one read. ``damaged`` are the asked keys of people of
    whom something is stored that cannot be understood: of them nothing can be decided.
    """

    turn: int
    policy_turn: int
    standings: dict[str, dict[str, Standings]] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)

    def of(self, key: str | None) -> dict[str, Standings]:
        """Return what stands of the person that goes by ``key``, by identifier."""
        return self.standings.get(key, _NOTHING) if key is not None else _NOTHING


_NOTHING: dict[str, Standings] = {}


class Reader(Protocol):
    """Reads the latest of the state store. Safe to share between threads."""

    def read(self, keys: Sequence[str]) -> Snapshot:
        """Return what stands of these people now.

        Raises:
            UnavailableError: the store cannot be read.
        """

    async def read_soon(self, keys: Sequence[str]) -> Snapshot:
        """Return what ``read`` does, without blocking the event loop for long."""

    def close(self) -> None:
        """Close every connection."""


def open_reader(engine: Engine) -> Reader:
    """Return a reader of an engine's store, on connections of its own."""
    if engine.dialect.name == "sqlite":
        return SqliteReader(str(engine.url.database))
    arguments, options = engine.dialect.create_connect_args(engine.url)
    return PostgresqlReader(arguments, options)


class SqliteReader:
    """Reads a file beside the process, a connection a thread.

    A read takes microseconds and waits for no writer (write-ahead log), so that the event loop does
    it itself.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._guard = threading.Lock()

    def read(self, keys: Sequence[str]) -> Snapshot:
        """Return what stands of these people now."""
        try:
            connection = self._connection()
            if len(keys) == 1:
                rows = connection.execute(_SQLITE_ONE, (keys[0],)).fetchall()
            else:
                ordered = msgspec.json.encode(sorted(keys)).decode()  # neighbours share a page
                rows = connection.execute(_SQLITE_MANY, (ordered,)).fetchall()
        except sqlite3.Error as error:
            raise unreadable(type(error).__name__) from None
        return _snapshot(rows)

    async def read_soon(self, keys: Sequence[str]) -> Snapshot:
        """Return what stands of these people now."""
        return self.read(keys)

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
            connection.execute("PRAGMA query_only=ON")
            connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        return connection


class PostgresqlReader:
    """Reads a server: a connection for each event loop, and one for each thread that asks."""

    def __init__(self, arguments: Iterable[Any], options: Mapping[str, Any]) -> None:
        self._arguments = tuple(arguments)
        self._options = dict(options)
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Any]] = []
        self._guard = threading.Lock()
        self._wires: WeakKeyDictionary[asyncio.AbstractEventLoop, Wire] = WeakKeyDictionary()

    def read(self, keys: Sequence[str]) -> Snapshot:
        """Return what stands of these people now."""
        asked = {"keys": list(keys)}
        try:
            return self._read_once(asked)
        except psycopg.OperationalError:
            self._forget()  # the server may have restarted since: once more on a new connection
        except psycopg.Error as error:
            raise unreadable(type(error).__name__) from None
        try:
            return self._read_once(asked)
        except psycopg.Error as error:
            self._forget()
            raise unreadable(type(error).__name__) from None

    async def read_soon(self, keys: Sequence[str]) -> Snapshot:
        """Return what stands of these people at a moment after the call."""
        loop = asyncio.get_running_loop()
        wire = self._wires.get(loop)
        if wire is None:
            wire = self._wires[loop] = Wire(self._connect)
        return _snapshot(await wire.rows(keys))

    def close(self) -> None:
        """Close every connection."""
        for loop, wire in list(self._wires.items()):
            if loop.is_running() and loop is not _running_loop():
                loop.call_soon_threadsafe(wire.close)
            else:
                wire.close()
        with self._guard:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()
        self._local = threading.local()

    def _read_once(self, asked: Mapping[str, Any]) -> Snapshot:
        connection: psycopg.Connection[Any] | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._guard:
                self._connections.append(connection)
        return _snapshot(connection.execute(_POSTGRESQL, asked, prepare=True).fetchall())

    def _connect(self) -> "psycopg.Connection[Any]":
        connection: psycopg.Connection[Any] = psycopg.connect(
            *self._arguments,
            **self._options
            | {
                "autocommit": True,
                "connect_timeout": _STATEMENT_MILLISECONDS // 1000,
                "tcp_user_timeout": _STATEMENT_MILLISECONDS,
                "options": f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
            },
        )
        return connection

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # asked from outside any loop
        return None


def _snapshot(rows: Sequence[Row]) -> Snapshot:
    if not rows:
        raise UnavailableError("The tables of consent are not migrated. Run: candor migrate")
    turn, policy_turn = rows[0][:2]
    snapshot = Snapshot(turn, policy_turn)
    people = snapshot.standings
    for _, _, asked, member, stored in rows:
        if member is not None and stored is not None:
            key = asked or member  # SQLite does not say a key twice
            try:
                standings = unpacked(stored)
            except (msgspec.DecodeError, TypeError, ValueError):
                snapshot.damaged.add(key)
                continue
            person = people.get(key)
            if person is None:
                people[key] = {member: standings}
            else:
                person[member] = standings
    return snapshot
