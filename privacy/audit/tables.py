"""The state tables of the audit log; entries hold pseudonyms and digests, never an identifier."""

from datetime import datetime

from sqlalchemy import BigInteger, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime

_HASH = LargeBinary(32)


class AuditSizeRow(Base):
    """The one row that says how many leaves there are; whoever appends holds its lock."""

    __tablename__ = "audit_size"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    leaves: Mapped[int] = mapped_column(BigInteger)


class AuditLeafRow(Base):
    """One entry as it was hashed, byte for byte."""

    __tablename__ = "audit_leaves"

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    content: Mapped[str] = mapped_column(Text)


class AuditNodeRow(Base):
    """The hash of a leaf (level 0), or of the whole subtree over ``2**level`` of them."""

    __tablename__ = "audit_nodes"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(_HASH)


class AuditHeadRow(Base):
    """A signed tree head."""

    __tablename__ = "audit_heads"

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root_hash: Mapped[bytes] = mapped_column(_HASH)
    signed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    signature: Mapped[bytes] = mapped_column(LargeBinary(64))
    key_id: Mapped[str] = mapped_column(String(16))
