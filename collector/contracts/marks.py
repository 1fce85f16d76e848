"""What contracts say of the fields of their events, for whoever examines them.

A version of a contract never changes, so what was read once is kept; a name that is not registered
is asked for again about a second later, for all such names together.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import NotFoundError
from collector.contracts.contract import is_reference, parse_reference
from collector.contracts.store import find_contract

_BELIEVED = timedelta(seconds=1)
_MOST = 10_000
Treatments = Mapping[str, Mapping[str, Any]]
_NONE: Treatments = {}


class StoredMarks:
    """Reads the marks of contracts from the state store. Safe to share between threads."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._known: dict[str, Treatments] = {}
        self._absent: dict[str, Treatments] = {}
        self._absent_since = clock()

    def marks(self, schema: str) -> Treatments:
        """Return the marks of a schema by JSON pointer; none for one that nobody registered.

        Raises:
            UnavailableError: the state store cannot be read.
        """
        known = self._known.get(schema)
        if known is not None:
            return known
        if not timedelta(0) <= self._clock() - self._absent_since < _BELIEVED:
            self._absent, self._absent_since = {}, self._clock()
        if not schema or schema in self._absent or not is_reference(schema):
            return _NONE
        found = self._read(schema)
        remembered = self._absent if found is None else self._known
        if len(remembered) < _MOST:
            remembered[schema] = _NONE if found is None else found
        return _NONE if found is None else found

    def _read(self, schema: str) -> Treatments | None:
        try:
            with session_of(self._engine) as session:
                return find_contract(session, *parse_reference(schema)).contract.paths
        except NotFoundError:
            return None
