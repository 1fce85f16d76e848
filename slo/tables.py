"""The state tables of objectives."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime


class ObjectiveRow(Base):
    """One objective as it was applied last."""

    __tablename__ = "objectives"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    service: Mapped[str] = mapped_column(String(63), index=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    revision: Mapped[int]
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime)
