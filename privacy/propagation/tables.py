"""The state tables of propagation: cursors, who waits, and what was given up; no act is copied."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime

_NAME = String(63)
_KEY = String(64)


class SubscriberRow(Base):
    """A subscriber, and the place in the ledger up to which it is served.

    ``failures`` counts the times in a row at which it took nothing.
    """

    __tablename__ = "consent_subscribers"

    name: Mapped[str] = mapped_column(_NAME, primary_key=True)
    definition: Mapped[str] = mapped_column(Text)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    turn: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(200))
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime)
    applied_by: Mapped[str] = mapped_column(String(120))


class WaitingRow(Base):
    """A person whose acts wait for one subscriber, from the act at (turn, number) on."""

    __tablename__ = "consent_waiting"
    __table_args__ = (Index("ix_consent_waiting_subscriber_next_at", "subscriber", "next_at"),)

    subscriber: Mapped[str] = mapped_column(_NAME, primary_key=True)
    subject_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    outcome: Mapped[str] = mapped_column(String(200))


class DeadLetterRow(Base):
    """An act that one subscriber did not take, however often it was tried."""

    __tablename__ = "consent_dead_letters"

    subscriber: Mapped[str] = mapped_column(_NAME, primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    event: Mapped[str] = mapped_column(String(36))
    subject_key: Mapped[str] = mapped_column(_KEY)
    attempts: Mapped[int] = mapped_column(Integer)
    outcome: Mapped[str] = mapped_column(String(200))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
