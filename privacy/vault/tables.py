"""The state tables of the vault; values are sealed in them, and people are pseudonyms."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime

_ID = String(16)
_SUBJECT = String(64)
_TOKEN = String(26)


class VaultTurnRow(Base):
    """One row that every writer changes first: writers take turns, and destructions are counted.

    ``mark`` is random and belongs to the turn, the first one's to the store. Whoever
    remembers both knows whether a key was destroyed since, and whether the store was restored.
    """

    __tablename__ = "vault_turns"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    turn: Mapped[int] = mapped_column(BigInteger)
    mark: Mapped[str] = mapped_column(_ID)


class DestructionRow(Base):
    """That the keys of a person were destroyed; ``key_ids`` with blanks between them."""

    __tablename__ = "vault_destructions"

    turn: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    subject_key: Mapped[str] = mapped_column(_SUBJECT, primary_key=True)
    mark: Mapped[str] = mapped_column(_ID)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    key_ids: Mapped[str] = mapped_column(Text)


class RegisterRow(Base):
    """How far a register of destroyed keys goes, and the code of its last line."""

    __tablename__ = "vault_registers"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    entries: Mapped[int] = mapped_column(BigInteger)
    mac: Mapped[str] = mapped_column(String(64))


class EncryptionKeyRow(Base):
    """One generation of the key that wraps the keys of people, itself wrapped by a root."""

    __tablename__ = "vault_encryption_keys"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    generation: Mapped[int] = mapped_column(BigInteger, unique=True)
    root_id: Mapped[str] = mapped_column(String(210))
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DataKeyRow(Base):
    """The key of a person, or of nobody in a scope and period; without ``wrapped`` it is destroyed.

    Of each owner one key at most is alive.
    """

    __tablename__ = "vault_keys"

    id: Mapped[str] = mapped_column(_ID, primary_key=True)
    subject_key: Mapped[str] = mapped_column(_SUBJECT)
    scope: Mapped[str] = mapped_column(String(63))
    period: Mapped[str] = mapped_column(String(10))
    encryption_key_id: Mapped[str | None] = mapped_column(ForeignKey("vault_encryption_keys.id"))
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        Index("ix_vault_keys_encryption_key_id", "encryption_key_id"),
        Index("ix_vault_keys_subject_key", "subject_key"),
    )


Index(
    "uq_vault_keys_alive",
    DataKeyRow.subject_key,
    DataKeyRow.scope,
    DataKeyRow.period,
    unique=True,
    sqlite_where=DataKeyRow.wrapped.is_not(None),
    postgresql_where=DataKeyRow.wrapped.is_not(None),
)


class TokenRow(Base):
    """A token of a scope; ``lookup`` is the keyed digest of its value there."""

    __tablename__ = "vault_tokens"

    token: Mapped[str] = mapped_column(_TOKEN, primary_key=True)
    lookup: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scope: Mapped[str] = mapped_column(String(63))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TokenValueRow(Base):
    """The value of a token, once for each person who has it, sealed under the person's key."""

    __tablename__ = "vault_values"

    token: Mapped[str] = mapped_column(ForeignKey("vault_tokens.token"), primary_key=True)
    subject_key: Mapped[str] = mapped_column(_SUBJECT, primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("vault_keys.id"))
    sealed: Mapped[str] = mapped_column(Text)

    __table_args__ = (Index("ix_vault_values_key_id", "key_id"),)


class RevealRateRow(Base):
    """How far a key has used its allowance of reveals: until this instant."""

    __tablename__ = "vault_reveal_rates"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    due: Mapped[datetime] = mapped_column(UtcDateTime)
