"""PostgreSQL on the event loop: the protocol library of the driver, watched by the loop itself.

A thread between the loop and the server would cost more than the read. One statement runs at a
time; what waits meanwhile goes into the next, together, so that the number of connections does not
grow with the number of requests, and no answer is older than its question.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import pq

from candor.kernel.errors import UnavailableError

_MOST_KEYS_AT_ONCE = 2_000
_PATIENCE_SECONDS = 4.0
_ONE, _MANY = b"standings_of_one", b"standings_of_many"
_MEMBERS = """
SELECT o.subject_key FROM subjects i JOIN subjects o ON o.person = i.person
WHERE i.subject_key = $1
"""
_SELECT_ONE = f"""
SELECT t.turn, t.policy_turn, $1::text, s.subject_key, s.packed FROM consent_turns t
LEFT JOIN consent_standings s ON s.subject_key = ANY(ARRAY({_MEMBERS}) || $1::text)
WHERE t.id = 1
"""  # noqa: S608 - both are literals of this module
SELECT_MANY = """
SELECT t.turn, t.policy_turn, k.asked, s.subject_key, s.packed FROM consent_turns t
LEFT JOIN (
  SELECT asked, asked AS member FROM unnest($1::text[]) AS a(asked)
  UNION ALL
  SELECT b.asked, o.subject_key FROM unnest($1::text[]) AS b(asked)
  JOIN subjects i ON i.subject_key = b.asked JOIN subjects o ON o.person = i.person
  WHERE o.subject_key <> b.asked
) k ON true
LEFT JOIN consent_standings s ON s.subject_key = k.member
WHERE t.id = 1
"""
Row = tuple[int, int, str | None, str | None, bytes | None]


@dataclass(slots=True)
class _Asked:
    keys: Sequence[str]
    answer: "asyncio.Future[list[Row]]"
    is_retried: bool = False


@dataclass(slots=True)
class _Running:
    group: list[_Asked]
    deadline: asyncio.TimerHandle
    results: list[pq.abc.PGresult] = field(default_factory=list)


class Wire:
    """One connection of one event loop."""

    def __init__(self, connect: Callable[[], "psycopg.Connection[Any]"]) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._connection: psycopg.Connection[Any] | None = None
        self._socket = -1
        self._connecting: asyncio.Task[None] | None = None
        self._running: _Running | None = None
        self._waiting: list[_Asked] = []

    async def rows(self, keys: Sequence[str]) -> list[Row]:
        """Return the rows about these people at a moment after the call.

        Raises:
            UnavailableError: the server does not answer.
        """
        asked = _Asked(keys, self._loop.create_future())
        self._waiting.append(asked)
        self._start()
        return await asked.answer

    def close(self) -> None:
        """Close the connection, on the loop or after its end; who still waits is told."""
        if self._loop.is_closed():
            if self._connection is not None:
                self._connection.close()
        else:
            self._drop("it was closed", retry=False)

    def _start(self) -> None:
        if self._running is not None or not self._waiting:
            return
        if self._connection is None:
            if self._connecting is None:
                self._connecting = self._loop.create_task(self._open())
            return
        group = self._next_group()
        deadline = self._loop.call_later(_PATIENCE_SECONDS, self._drop, "it took too long")
        self._running = _Running(group, deadline)
        keys = list(dict.fromkeys(key for asked in group for key in asked.keys))
        wire = self._connection.pgconn
        try:
            if len(keys) == 1:
                wire.send_query_prepared(_ONE, [keys[0].encode()], result_format=1)
            else:
                wire.send_query_prepared(_MANY, [_array(keys)], result_format=1)
            self._flush()
        except psycopg.Error as error:
            self._drop(type(error).__name__)

    def _next_group(self) -> list[_Asked]:
        """Take what goes into one statement from what waits; who gave up is left out."""
        group: list[_Asked] = []
        size = 0
        while self._waiting and size < _MOST_KEYS_AT_ONCE:
            asked = self._waiting.pop(0)
            group.append(asked)
            size += len(asked.keys)
        return group

    async def _open(self) -> None:
        try:
            connection = await asyncio.to_thread(self._connected)
        except psycopg.Error as error:
            self._connecting = None
            self._fail(self._waiting, type(error).__name__)
            self._waiting = []
            return
        self._connection, self._connecting = connection, None
        self._socket = connection.pgconn.socket
        self._loop.add_reader(self._socket, self._readable)
        self._start()

    def _connected(self) -> "psycopg.Connection[Any]":
        connection = self._connect()
        for name, text in ((_ONE, _SELECT_ONE), (_MANY, SELECT_MANY)):
            result = connection.pgconn.prepare(name, text.encode())
            if result.status != pq.ExecStatus.COMMAND_OK:
                connection.close()
                raise psycopg.ProgrammingError("the tables of consent are not migrated")
        connection.pgconn.nonblocking = 1
        return connection

    def _flush(self) -> None:
        """Send what the socket takes; the rest when it takes more."""
        connection = self._connection
        if connection is None:
            return
        try:
            is_left = connection.pgconn.flush()
        except psycopg.Error as error:
            self._drop(type(error).__name__)
            return
        if is_left:
            self._loop.add_writer(self._socket, self._flush)
        else:
            self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        connection, running = self._connection, self._running
        if connection is None:
            return
        wire = connection.pgconn
        try:
            wire.consume_input()
            while running is not None and not wire.is_busy():
                result = wire.get_result()
                if result is None:
                    self._finish(running)
                    return
                running.results.append(result)
        except psycopg.Error as error:
            self._drop(type(error).__name__)
            return
        if wire.status == pq.ConnStatus.BAD:
            self._drop("it closed the connection")

    def _finish(self, running: _Running) -> None:
        running.deadline.cancel()
        self._running = None
        result = running.results[-1] if running.results else None
        if result is None or result.status != pq.ExecStatus.TUPLES_OK:
            self._fail(running.group, "an error")
        else:
            rows = _rows(result)
            for asked in running.group:
                if not asked.answer.done():
                    asked.answer.set_result(rows)
        self._start()

    def _drop(self, reason: str, *, retry: bool = True) -> None:
        """Give the connection up; what it was asked is asked once more on a new one.

        The server may have been restarted since the last question, which shows only now.
        """
        connection, self._connection = self._connection, None
        running, self._running = self._running, None
        if connection is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            with suppress(psycopg.Error):
                connection.close()
        group = running.group if running is not None else []
        if running is not None:
            running.deadline.cancel()
        again = [asked for asked in group if retry and not asked.is_retried]
        for asked in again:
            asked.is_retried = True
        lost = [asked for asked in group if asked not in again]
        if not retry:
            lost, self._waiting = [*lost, *self._waiting], []
        self._fail(lost, reason)
        self._waiting = [*again, *self._waiting]
        self._start()

    def _fail(self, group: Sequence[_Asked], reason: str) -> None:
        for asked in group:
            if not asked.answer.done():
                asked.answer.set_exception(unreadable(reason))


def unreadable(reason: str) -> UnavailableError:
    """Return the error for a reason that quotes no row."""
    return UnavailableError(
        f"The state store cannot be read ({reason}), so nothing can be decided. Try again; `candor"
        " check` says whether it can be reached and is migrated."
    )


def _rows(result: pq.abc.PGresult) -> list[Row]:
    read = result.get_value
    rows: list[Row] = []
    for number in range(result.ntuples):
        asked, member, packed = (read(number, column) for column in (2, 3, 4))
        rows.append(
            (
                int.from_bytes(read(number, 0) or b"", "big"),
                int.from_bytes(read(number, 1) or b"", "big"),
                bytes(asked).decode() if asked is not None else None,
                bytes(member).decode() if member is not None else None,
                bytes(packed) if packed is not None else None,
            )
        )
    return rows


def _array(keys: Sequence[str]) -> bytes:
    """Return keys as the text of an array. Source: PostgreSQL documentation, section 8.15.6."""
    quoted = (key.replace("\\", "\\\\").replace('"', '\\"') for key in keys)
    return ("{" + ",".join(f'"{key}"' for key in quoted) + "}").encode()
