"""Leases: which of several processes runs a piece of recurring work, and when it is due again.

A lease is one row of the state store. Whoever takes it holds it until it gives it back or stops
renewing it: a process that crashed holds nothing for longer than it had asked for.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, String, update
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime, session_of
from candor.kernel.errors import ConflictError
from candor.kernel.ids import new_id


class LeaseRow(Base):
    """Who holds a lease until when, and from when on its work is due again."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    holder: Mapped[str] = mapped_column(String(36))
    until: Mapped[datetime] = mapped_column(UtcDateTime)
    due: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to run what bears this name; the holder is this one run, not its process."""

    name: str
    holder: str


def acquire(engine: Engine, name: str, *, at: datetime, lasting: timedelta) -> Lease | None:
    """Return the lease of a name when nobody holds it and its work is due, otherwise none.

    One statement decides, so that of any number of processes that ask at once one succeeds. Work
    that never ran is due.

    Raises:
        UnavailableError: the state store cannot be asked.
    """
    lease = Lease(name, new_id(at))
    free = (LeaseRow.name == name, LeaseRow.until <= at, LeaseRow.due <= at)
    taking = update(LeaseRow).where(*free).values(holder=lease.holder, until=at + lasting)
    try:
        with session_of(engine) as session:
            if session.connection().execute(taking).rowcount:
                return lease
            if session.get(LeaseRow, name) is not None:
                return None
            session.add(LeaseRow(name=name, holder=lease.holder, until=at + lasting, due=at))
    except ConflictError:  # another process made the row in this moment
        return None
    return lease


def renew(engine: Engine, lease: Lease, *, at: datetime, lasting: timedelta) -> bool:
    """Hold a lease for longer, and return whether it was still held.

    One that ran out but that nobody else took is held again.
    """
    return _change(engine, lease, until=at + lasting)


def release(engine: Engine, lease: Lease, *, at: datetime, due: datetime) -> bool:
    """Give a lease back with its work done until ``due``; return whether it was still held."""
    return _change(engine, lease, until=at, due=due)


def _change(engine: Engine, lease: Lease, **values: datetime) -> bool:
    held = (LeaseRow.name == lease.name, LeaseRow.holder == lease.holder)
    with session_of(engine) as session:
        change = update(LeaseRow).where(*held).values(**values)
        return bool(session.connection().execute(change).rowcount)
