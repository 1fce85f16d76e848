"""The state tables of the quarantine."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime


class DataKeyRow(Base):
    """The key of one UTC day, wrapped; ``wrapped`` is empty once it is destroyed."""

    __tablename__ = "quarantine_keys"

    id: Mapped[str] = mapped_column(String(10), primary_key=True)
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    destroyed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ReplayRow(Base):
    """The mark of an event that was replayed; kept as long as the event itself."""

    __tablename__ = "quarantine_replays"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    replayed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
