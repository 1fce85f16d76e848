"""The state tables of PII protection; they hold shapes of values, never a value."""

from datetime import datetime

from sqlalchemy import BigInteger, Float, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from candor.kernel.database import Base, UtcDateTime


class PiiPolicyRow(Base):
    """One version of a policy; rows are added and never changed."""

    __tablename__ = "pii_policies"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    definition: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PiiFindingRow(Base):
    """One kind of personal data at one place, however often it was seen."""

    __tablename__ = "pii_findings"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    source: Mapped[str] = mapped_column(String(200))
    path: Mapped[str] = mapped_column(String(300))
    entity: Mapped[str] = mapped_column(String(80))
    action: Mapped[str] = mapped_column(String(20))
    recognizer: Mapped[str] = mapped_column(String(120))
    score: Mapped[float] = mapped_column(Float)
    sample: Mapped[str] = mapped_column(String(60))
    policy: Mapped[str] = mapped_column(String(120))
    policy_version: Mapped[int] = mapped_column(Integer)
    seen: Mapped[int] = mapped_column(BigInteger)
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(String(500))
    triaged_by: Mapped[str] = mapped_column(String(200))
    triaged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PiiRescanRow(Base):
    """One re-scan: what was asked for, how far it came, and what it found."""

    __tablename__ = "pii_rescans"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    requested_by: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(500))
    definition: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(Integer)
    progress: Mapped[str] = mapped_column(Text)
    report: Mapped[str] = mapped_column(Text)
    fault: Mapped[str] = mapped_column(String(500))
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
