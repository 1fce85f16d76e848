"""The data keys of the quarantine: one for each UTC day, destroyed when its events expire."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from threading import Lock

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, UnavailableError
from collector.quarantine.sealing import new_data_key, unwrap, wrap
from collector.quarantine.tables import DataKeyRow


@dataclass(frozen=True, slots=True)
class DataKey:
    """An open key, and when it and all that it sealed expire."""

    id: str
    expires_at: datetime
    secret: bytes = field(repr=False)


class KeyCabinet:
    """Gives out data keys. Safe to share between threads; the store is asked once a day to seal."""

    def __init__(self, engine: Engine, quarantine_key: bytes, retention: timedelta) -> None:
        self._engine = engine
        self._quarantine_key = quarantine_key
        self._retention = retention
        self._latest: DataKey | None = None
        self._guard = Lock()

    def key_of_the_day(self, at: datetime) -> DataKey:
        """Return the key under which events of that UTC day are sealed, made if there is none.

        Raises:
            UnavailableError: the state store or the master key does not give it.
        """
        day = at.astimezone(UTC).date().isoformat()
        with self._guard:
            if self._latest is None or self._latest.id != day:
                self._latest = self._found(day) or self._made(day, at) or self._found(day)
            if self._latest is None:
                raise UnavailableError(
                    "The quarantine's key of the day cannot be opened. Is this the master key of"
                    " this installation?"
                )
            return self._latest

    def key(self, session: Session, key_id: str) -> DataKey | None:
        """Return a key, or none when it is destroyed or was wrapped under another master key."""
        row = session.get(DataKeyRow, key_id)
        if row is None or row.wrapped is None:
            return None
        secret = unwrap(self._quarantine_key, key_id, row.wrapped)
        return DataKey(key_id, row.expires_at, secret) if secret is not None else None

    def _found(self, day: str) -> DataKey | None:
        with session_of(self._engine) as session:
            return self.key(session, day)

    def _made(self, day: str, at: datetime) -> DataKey | None:
        """Return a new key; none when there is one, perhaps since a moment ago by a sibling."""
        secret = new_data_key()
        midnight = datetime.combine(datetime.fromisoformat(day), time(), UTC) + timedelta(days=1)
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


def destroy_expired_keys(session: Session, at: datetime) -> int:
    """Destroy every key whose time has come, and return how many; what they sealed is lost."""
    rows = session.scalars(
        select(DataKeyRow).where(DataKeyRow.expires_at <= at, DataKeyRow.destroyed_at.is_(None))
    ).all()
    for row in rows:
        row.wrapped, row.destroyed_at = None, at
    return len(rows)
