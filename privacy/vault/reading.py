"""The one read of every batch: which turn it is.

The driver is used bare, on a connection of its own that stays open, because a mapper and a
transaction around the read cost many times what it does.
"""

import sqlite3
from collections.abc import Callable
from threading import Lock
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from candor.kernel.errors import UnavailableError
from privacy.vault.store import Turn

_BUSY_SECONDS = 2.0
_STATEMENT_MILLISECONDS = 3_000
_SELECT = "SELECT turn, mark FROM vault_turns WHERE id = 1"
_ERRORS = (sqlite3.Error, psycopg.Error)


class TurnReader:
    """Reads the turn that was committed last. Safe to share between threads, which take turns.

    The connection is opened at the first read, and closed when the engine is disposed of.
    """

    def __init__(self, engine: Engine) -> None:
        self._connect = _connector(engine)
        self._connection: Any = None
        self.connections = 0
        """How often it was connected: each time it may be to another copy of the store."""
        self._guard = Lock()
        event.listen(engine, "engine_disposed", self._close)

    def read(self) -> Turn:
        """Return the turn.

        Raises:
            UnavailableError: the store cannot be read.
        """
        with self._guard:
            try:
                return self._read_once()
            except _ERRORS:
                self._forget()  # the server may have restarted since: once more, connected anew
            try:
                return self._read_once()
            except _ERRORS as error:
                self._forget()
                raise UnavailableError(
                    f"The vault cannot be read ({type(error).__name__}). Try again; `candor check`"
                    " says whether the state store can be reached and is migrated."
                ) from None

    def _read_once(self) -> Turn:
        if self._connection is None:
            self._connection = self._connect()
            self.connections += 1
        ((number, mark),) = self._connection.execute(_SELECT).fetchall()
        return Turn(number, mark)

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _close(self, engine: Engine) -> None:
        del engine
        with self._guard:
            self._forget()


def _connector(engine: Engine) -> Callable[[], Any]:
    """Return what opens a connection on which every statement is its own transaction."""
    if engine.dialect.name == "sqlite":
        path = str(engine.url.database)
        return lambda: sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    arguments, options = engine.dialect.create_connect_args(engine.url)
    bounded = {
        "autocommit": True,
        "connect_timeout": _STATEMENT_MILLISECONDS // 1000,
        "tcp_user_timeout": _STATEMENT_MILLISECONDS,
        "options": f"-c statement_timeout={_STATEMENT_MILLISECONDS}",
    }
    return lambda: psycopg.connect(*arguments, **dict(options) | bounded)
