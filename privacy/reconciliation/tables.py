"""The state table of reconciliation: what was written elsewhere, to be known again there."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime


class RepairRow(Base):
    """A withdrawal that Candor wrote into another system, by pseudonym.

    ``changed_at`` is what the other system then said of its time, if it says so.
    """

    __tablename__ = "consent_repairs"

    connector: Mapped[str] = mapped_column(String(63), primary_key=True)
    subject_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[str | None] = mapped_column(String(64))
