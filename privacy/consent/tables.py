"""The state tables of consent; they hold pseudonyms only, never an identifier.

``consent_events``, ``consent_purposes`` and ``consent_notices`` are the record: rows are added and
never changed, but for the moment at which a notice was first served. ``consent_standings`` follows
from the events and can be made anew from them.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime

_KEY = String(64)
_ID = String(36)
_WORD = String(120)


class ConsentTurnRow(Base):
    """One row that every writer changes first: writers take turns, and every turn has a number.

    ``policy_turn`` is the turn of the last change of a purpose or notice. Who reads it together
    with a person's standings knows whether what it remembers of the policy is the latest.
    """

    __tablename__ = "consent_turns"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(BigInteger)
    policy_turn: Mapped[int] = mapped_column(BigInteger)


class PurposeRow(Base):
    """One version of a purpose."""

    __tablename__ = "consent_purposes"

    turn: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    definition: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(_WORD)


class NoticeRow(Base):
    """One version of a notice; once ``served``, to anybody or in a grant, it never changes."""

    __tablename__ = "consent_notices"

    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    version: Mapped[str] = mapped_column(String(31), primary_key=True)
    definition: Mapped[str] = mapped_column(Text)
    turn: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(_WORD)
    served: Mapped[bool] = mapped_column(Boolean)


class ConsentEventRow(Base):
    """One act of consent with its provenance."""

    __tablename__ = "consent_events"

    turn: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(_ID, unique=True)
    subject_key: Mapped[str] = mapped_column(_KEY, index=True)
    subject_type: Mapped[str] = mapped_column(String(40))
    purpose: Mapped[str] = mapped_column(String(63))
    channel: Mapped[str] = mapped_column(_WORD)
    action: Mapped[str] = mapped_column(String(10))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recorded_by: Mapped[str] = mapped_column(_WORD)
    source: Mapped[str] = mapped_column(String(40))
    notice: Mapped[str | None] = mapped_column(String(100))
    notice_digest: Mapped[str | None] = mapped_column(_KEY)
    method: Mapped[str | None] = mapped_column(_WORD)
    actor: Mapped[str | None] = mapped_column(_WORD)
    evidence: Mapped[str | None] = mapped_column(String(500))
    locale: Mapped[str | None] = mapped_column(String(40))
    jurisdiction: Mapped[str | None] = mapped_column(String(20))
    ip_prefix: Mapped[str | None] = mapped_column(String(50))
    user_agent_hash: Mapped[str | None] = mapped_column(String(150))
    origin: Mapped[str | None] = mapped_column(String(300))
    repeat_key: Mapped[str | None] = mapped_column(_KEY, unique=True)
    audit_index: Mapped[int | None] = mapped_column(BigInteger)


class StandingsRow(Base):
    """What still matters of the acts of one identifier, packed: one read answers every question.

    SQLite keeps the rows in the tree of the key: one search a row, not two.
    """

    __tablename__ = "consent_standings"
    __table_args__ = ({"sqlite_with_rowid": False},)

    subject_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger)
    packed: Mapped[bytes] = mapped_column(LargeBinary)


class ConsentRequestRow(Base):
    """A request that bore an Idempotency-Key, and what it was answered."""

    __tablename__ = "consent_requests"

    key_digest: Mapped[str] = mapped_column(_KEY, primary_key=True)
    body_digest: Mapped[str] = mapped_column(_KEY)
    answer: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
