"""The state tables of the subject index; they hold pseudonyms, and identifiers only sealed.

``subject_links`` is the record: one row for each act, never changed. The others are what follows
from it.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime

_KEY = String(64)
_TYPE = String(40)
_SOURCE = String(120)
_WORD = String(40)


class SubjectRow(Base):
    """One identifier, and the person that it is of: the smallest subject key of that person.

    ``apart`` says that someone unlinked it: telemetry alone links it to nobody any more.
    """

    __tablename__ = "subjects"

    subject_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    type: Mapped[str] = mapped_column(_TYPE)
    person: Mapped[str] = mapped_column(_KEY, index=True)
    apart: Mapped[bool]


class SubjectPairRow(Base):
    """Two identifiers that an act named together, and whether that still holds."""

    __tablename__ = "subject_pairs"
    __table_args__ = (Index("ix_subject_pairs_high_key", "high_key"),)

    low_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    high_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    in_force: Mapped[bool]


class SubjectLinkRow(Base):
    """One act with its provenance: a link, an unlinking, or the joining of a group.

    ``turn`` is the number of the transaction that wrote it, in the order in which they ran. An
    unlinking without ``other_key`` found no link to take back, and keeps telemetry from making one.
    """

    __tablename__ = "subject_links"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    turn: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(String(8))
    subject_type: Mapped[str] = mapped_column(_TYPE)
    subject_key: Mapped[str] = mapped_column(_KEY, index=True)
    other_type: Mapped[str | None] = mapped_column(_TYPE)
    other_key: Mapped[str | None] = mapped_column(_KEY, index=True)
    source: Mapped[str] = mapped_column(_SOURCE)
    door: Mapped[str] = mapped_column(_WORD)
    call: Mapped[str] = mapped_column(_WORD)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SubjectGroupRow(Base):
    """That an identifier belongs to a group, such as a company's account; no link of persons."""

    __tablename__ = "subject_groups"

    subject_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    group_key: Mapped[str] = mapped_column(_KEY, primary_key=True)


class SubjectTurnRow(Base):
    """One row that every writer changes first, so that writers take turns."""

    __tablename__ = "subject_turns"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(BigInteger)


class IdentifierRow(Base):
    """One identifier as it was given, sealed."""

    __tablename__ = "identifiers"

    subject_key: Mapped[str] = mapped_column(_KEY, primary_key=True)
    type: Mapped[str] = mapped_column(_TYPE)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)
