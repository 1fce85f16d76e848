"""The data keys of the quarantine: one for each UTC day, destroyed when its events expire.

A key is made the day before it is needed, so that sealing, which happens where requests are
answered, finds it in memory. A store that fails is asked again after a second, not by every event.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, UnavailableError
from collector.quarantine.sealing import new_data_key, unwrap, wrap
from collector.quarantine.tables import DataKeyRow

_BELIEVED_SECONDS = 1.0
_NOT_OPENED = (
    "The quarantine's key of the day cannot be opened. Is this the master key of this installation?"
)


@dataclass(frozen=True, slots=True)
class DataKey:
    """An open key, and when it and all that it sealed expire."""

    id: str
    expires_at: datetime
    secret: bytes = field(repr=False)


class KeyCabinet:
    """Gives out data keys. Safe to share between threads; the store is asked once a day to seal."""

    def __init__(
        self,
        engine: Engine,
        quarantine_key: bytes,
        retention: timedelta,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._quarantine_key = quarantine_key
        self._retention = retention
        self._monotonic = monotonic
        self._open: dict[str, DataKey] = {}
        self._guard = Lock()
        self._fault: UnavailableError | None = None
        self._failed_at = 0.0

    def prepare(self, at: datetime) -> None:
        """Have the keys of that UTC day and of the next in memory.

        Raises:
            UnavailableError: as ``key_of_the_day``.
        """
        self._key(at, at)
        self._key(at + timedelta(days=1), at)

    def key_of_the_day(self, at: datetime) -> DataKey:
        """Return the key under which events of that UTC day are sealed, made if there is none.

        Raises:
            UnavailableError: the state store or the master key does not give it, or did not a
                moment ago.
        """
        return self._key(at, at)

    def key(self, session: Session, key_id: str) -> DataKey | None:
        """Return a key, or none when it is destroyed or was wrapped under another master key."""
        row = session.get(DataKeyRow, key_id)
        if row is None or row.wrapped is None:
            return None
        secret = unwrap(self._quarantine_key, key_id, row.wrapped)
        return DataKey(key_id, row.expires_at, secret) if secret is not None else None

    def _key(self, needed_at: datetime, at: datetime) -> DataKey:
        """Return a key from memory, where others need not wait for the store, or else from it."""
        day = _day_of(needed_at)
        known = self._open.get(day)
        if known is not None:
            return known
        with self._guard:
            if day not in self._open:
                key = self._asked(day, at)
                oldest = _day_of(needed_at - timedelta(days=1))
                recent = {name: one for name, one in self._open.items() if name >= oldest}
                self._open = recent | {day: key}
            return self._open[day]

    def _asked(self, day: str, at: datetime) -> DataKey:
        """Return a key from the store; the moment of a failure is its end, for it may be slow."""
        if self._fault is not None and self._monotonic() - self._failed_at < _BELIEVED_SECONDS:
            raise UnavailableError(self._fault.detail)
        try:
            key = self._found_or_made(day, at)
        except UnavailableError as error:
            self._fault, self._failed_at = error, self._monotonic()
            raise
        self._fault = None
        return key

    def _found_or_made(self, day: str, at: datetime) -> DataKey:
        key = self._found(day) or self._made(day, at) or self._found(day)
        if key is None:
            raise UnavailableError(_NOT_OPENED)
        return key

    def _found(self, day: str) -> DataKey | None:
        with session_of(self._engine) as session:
            return self.key(session, day)

    def _made(self, day: str, at: datetime) -> DataKey | None:
        """Return a new key; none when there is one, perhaps since a moment ago by a sibling."""
        secret = new_data_key()
        midnight = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1)
        expires_at = midnight + self._retention
        try:
            with session_of(self._engine) as session:
                session.add(
                    DataKeyRow(
                        id=day,
                        wrapped=wrap(self._quarantine_key, day, secret),
                        created_at=at,
                        expires_at=expires_at,
                    )
                )
        except ConflictError:
            return None
        return DataKey(day, expires_at, secret)


def _day_of(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def destroy_expired_keys(session: Session, at: datetime) -> int:
    """Destroy every key whose time has come, and return how many; what they sealed is lost."""
    rows = session.scalars(
        select(DataKeyRow).where(DataKeyRow.expires_at <= at, DataKeyRow.destroyed_at.is_(None))
    ).all()
    for row in rows:
        row.wrapped, row.destroyed_at = None, at
    return len(rows)
