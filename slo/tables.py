"""The state tables of objectives."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime


class ObjectiveRow(Base):
    """One objective as it holds now, and the SLO document that it comes from."""

    __tablename__ = "objectives"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    service: Mapped[str] = mapped_column(String(63), index=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSON)
    revision: Mapped[int]
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime)
    slo: Mapped[str | None] = mapped_column(String(63))


class DocumentRow(Base):
    """One OpenSLO document as it was applied last."""

    __tablename__ = "openslo_documents"

    kind: Mapped[str] = mapped_column(String(30), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    labels: Mapped[dict[str, Any]] = mapped_column(JSON)
    text: Mapped[str] = mapped_column(Text)
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime)
    author: Mapped[str] = mapped_column(String(120))


class RevisionRow(Base):
    """One revision of an objective; without a definition it is its removal."""

    __tablename__ = "objective_revisions"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime)
    author: Mapped[str] = mapped_column(String(120))
