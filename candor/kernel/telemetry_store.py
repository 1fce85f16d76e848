"""The telemetry store: ClickHouse, embedded (chDB) or over HTTP, behind one small surface.

Each thread gets its own pair of clients: a reader that can change nothing (``readonly=2``) and a
writer. Both carry limits on time and memory. The engine's error texts may quote values, so they
stop here: callers see an error of the house that names the code alone.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from candor.kernel.errors import CandorError, ConflictError, UnavailableError
from candor.kernel.insert_log import take_back_torn_inserts
from candor.kernel.settings import TelemetryLimits

DEFAULT_DATABASE = "candor"
ENGINE_NICENESS = 10
_TIME_LIMIT = 159
_MEMORY_LIMIT = 241
_DATA_FAULTS = frozenset({6, 26, 27, 33, 38, 41, 53, 72, 117, 349, 441, 434, 444})
_INSERT_SETTINGS = {
    "date_time_input_format": "best_effort",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "input_format_parallel_parsing": 0,
    "materialize_skip_indexes_on_insert": 0,
    "max_insert_threads": 1,
    "max_partitions_per_insert_block": 0,
}

Role = Literal["reader", "writer"]


class StoreInUseError(ConflictError):
    """Another process has the embedded engine open, and there can be one alone."""

    code = "store_in_use"
    title = "Store in use"


class UnreadablePayloadError(CandorError):
    """The engine cannot read these bytes, and would not the next time either."""

    code = "unreadable_payload"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the telemetry store is: a folder of this machine, or a server."""

    database: str
    path: Path | None = None
    server: str | None = None


class TelemetryStore:
    """Reads and writes telemetry. Safe to share between threads; close it at shutdown."""

    def __init__(self, address: Address, limits: TelemetryLimits, lock: IO[str] | None) -> None:
        self._address = address
        self._limits = limits
        self._lock = lock
        self._local = threading.local()
        self._clients: list[Client] = []
        self._guard = threading.Lock()

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process and shares its disk."""
        return self._address.path is not None

    @property
    def path(self) -> Path | None:
        """The folder of an embedded engine; none for a server."""
        return self._address.path

    def query(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a SELECT, each as column name -> value; instants are aware UTC.

        Raises:
            UnavailableError: the engine cannot answer now, or not within its limits.
        """
        with _translated():
            result = self._client("reader").query(statement, parameters=dict(parameters or {}))
        return list(result.named_results())

    def columns(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> list[Sequence[Any]]:
        """Return the columns of a SELECT: cheaper than rows where there are very many."""
        with _translated():
            result = self._client("reader").query(
                statement, parameters=dict(parameters or {}), column_oriented=True
            )
        return list(result.result_columns)

    def blocks(
        self, statement: str, parameters: Mapping[str, object] | None = None
    ) -> Iterator[Sequence[Sequence[Any]]]:
        """Yield the columns of a SELECT block by block, so that no result is held as a whole.

        Until the last block, this thread can ask the store nothing else.
        """
        with (
            _translated(),
            self._client("reader").query_column_block_stream(
                statement, parameters=dict(parameters or {})
            ) as stream,
        ):
            yield from stream

    def command(self, statement: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement that answers nothing."""
        with _translated():
            self._client("writer").command(statement, parameters=dict(parameters or {}))

    def insert(  # noqa: PLR0913 - each is a part of one INSERT
        self,
        table: str,
        columns: Sequence[str],
        payloads: Sequence[bytes | memoryview],
        fmt: str,
        token: str,
        *,
        settings: Mapping[str, str | int] | None = None,
    ) -> None:
        """Store rows that the engine itself parses, once for each ``token``.

        The payloads are one insert. Sending the same under the same token again stores nothing, in
        the table and in every view that it feeds, as long as the table's deduplication window
        still knows it. ``settings`` say how the engine reads the format.

        Raises:
            UnreadablePayloadError: the engine cannot read the payload.
            UnavailableError: the engine cannot take it now; nothing is lost by trying again.
        """
        effective = {**(settings or {}), "insert_deduplication_token": token}
        with _translated():
            if self.embedded:
                self._insert_file(table, columns, payloads, fmt, effective)
                return
            self._client("writer").raw_insert(
                table,
                column_names=list(columns),
                insert_block=(bytes(payload) for payload in payloads),
                fmt=fmt,
                settings=effective,
            )

    def _insert_file(
        self,
        table: str,
        columns: Sequence[str],
        payloads: Sequence[bytes | memoryview],
        fmt: str,
        settings: Mapping[str, str | int],
    ) -> None:
        """Let the embedded engine read the payloads from a file that exists in memory alone.

        The driver would copy them through the machine's temporary folder, where a crash would
        leave them. The file is written over by the next insert of this thread: making its pages
        anew costs the kernel more than the copy.
        """
        buffer: _MemoryFile | None = getattr(self._local, "insert_buffer", None)
        if buffer is None:
            buffer = self._local.insert_buffer = _MemoryFile()
        buffer.write(payloads)
        clause = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())
        self._client("writer").command(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" FROM INFILE '{buffer.path}' SETTINGS {clause} FORMAT {fmt}"
        )

    def using(self, database: str) -> "TelemetryStore":
        """Return a store on another database of the same engine, made if it was missing.

        Close it before this one: this one holds the engine.
        """
        address = replace(self._address, database=database)
        _ensure_database(address)
        return TelemetryStore(address, self._limits, None)

    def close(self) -> None:
        """Close every client, then let another process have an embedded engine."""
        with self._guard:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()
        self._local = threading.local()
        if self._lock is not None:
            self._lock.close()

    def _client(self, role: Role) -> Client:
        client: Client | None = getattr(self._local, role, None)
        if client is None:
            client = self._connect(role)
            setattr(self._local, role, client)
            with self._guard:
                self._clients.append(client)
        return client

    def _connect(self, role: Role) -> Client:
        settings: dict[str, Any] = {
            "max_execution_time": self._limits.query_seconds,
            "max_memory_usage": self._limits.query_memory_bytes,
            "async_insert": 0,
        }
        if role == "writer":
            settings |= _INSERT_SETTINGS | {
                "max_threads": self._limits.loader_threads,
                "mutations_sync": 2,
            }
        else:
            settings |= {"readonly": 2}
        return _connect(self._address, settings)


class _MemoryFile:
    """A file without a name; it ends with the thread that made it."""

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("insert")
        self.path = f"/proc/self/fd/{self._descriptor}"

    def write(self, payloads: Sequence[bytes | memoryview]) -> None:
        """Put these in the place of what it held."""
        with os.fdopen(self._descriptor, "wb", closefd=False) as file:
            file.seek(0)
            file.writelines(payloads)
            file.truncate()

    def __del__(self) -> None:
        os.close(self._descriptor)


def parse_address(dsn: str) -> Address:
    """Return where a telemetry DSN points.

    ``chdb:///relative``, ``chdb:////absolute`` (optional ``?database=name``), or
    ``http[s]://user:password@host:8123/database``. The database is ``candor`` unless named.
    """
    parts = urlsplit(dsn)
    if parts.scheme == "chdb":
        database = parse_qs(parts.query).get("database", [DEFAULT_DATABASE])[0]
        return Address(database, path=Path(parts.path.removeprefix("/")))
    server = urlunsplit((parts.scheme, parts.netloc, "", parts.query, ""))
    return Address(parts.path.strip("/") or DEFAULT_DATABASE, server=server)


def open_telemetry_store(dsn: str, limits: TelemetryLimits) -> TelemetryStore:
    """Return the store behind ``dsn``, its database made if it was missing.

    Raises:
        ConflictError: another process holds the embedded engine; it is named.
        UnavailableError: the engine cannot be opened or reached.
    """
    address = parse_address(dsn)
    lock = _hold(address.path) if address.path is not None else None
    try:
        if address.path is not None:
            with _translated():
                take_back_torn_inserts(address.path)
        with ThreadPoolExecutor(1, initializer=_step_back) as opener:
            opener.submit(_ensure_database, address).result()
    except CandorError:
        if lock is not None:
            lock.close()
        raise
    return TelemetryStore(address, limits, lock)


def _quoted(value: str | int) -> str:
    """Return a text or number of our own as a literal of the engine."""
    if isinstance(value, int):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _step_back() -> None:
    """Give this thread, and those that an embedded engine starts from it, less of the processor.

    Whoever waits for an answer goes before inserts and merges.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICENESS)


def _ensure_database(address: Address) -> None:
    with _translated():
        client = _connect(Address("default", address.path, address.server), {"max_threads": 1})
        try:
            client.command(
                "CREATE DATABASE IF NOT EXISTS {database:Identifier}",
                parameters={"database": address.database},
            )
        finally:
            client.close()


def _connect(address: Address, settings: Mapping[str, Any]) -> Client:
    with _translated():
        if address.path is not None:
            return clickhouse_connect.get_client(
                interface="chdb",
                path=str(address.path.resolve()),
                database=address.database,
                settings=dict(settings),
                tz_mode="aware",
            )
        return clickhouse_connect.get_client(
            dsn=address.server,
            database=address.database,
            settings=dict(settings),
            tz_mode="aware",
            autogenerate_session_id=False,
        )


def _hold(path: Path) -> IO[str]:
    """Take the folder for this process: a second engine on it would fail without a reason."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(path.name + ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise StoreInUseError(
            f"The embedded telemetry store {path} is in use by process {holder}. Stop that process,"
            " or ask its HTTP address instead (--url)."
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClickHouseError as error:
        raise _of_the_house(getattr(error, "code", None)) from None
    except OSError as error:
        raise UnavailableError(
            f"The telemetry store cannot be reached ({type(error).__name__}). Try again."
        ) from None


def _of_the_house(code: int | None) -> CandorError:
    if code in _DATA_FAULTS:
        return UnreadablePayloadError(f"The telemetry store cannot read it (code {code}).")
    if code == _TIME_LIMIT:
        return UnavailableError("The query ran into its time limit. Ask for a shorter window.")
    if code == _MEMORY_LIMIT:
        return UnavailableError("The query ran into its memory limit. Ask for a shorter window.")
    if code is None:
        return UnavailableError("The telemetry store cannot be reached. Try again.")
    return UnavailableError(f"The telemetry store refused it (code {code}). Try again.")
