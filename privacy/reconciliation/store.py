"""Whom the ledger knows, and what was written elsewhere."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.tables import ConsentEventRow
from privacy.reconciliation.tables import RepairRow


def subject_keys(
    session: Session, subject_type: str, purpose: str, after: str, most: int
) -> list[str]:
    """Return the next pseudonyms of a type, in order, who ever said something of a purpose."""
    row = ConsentEventRow
    return list(
        session.scalars(
            select(row.subject_key)
            .where(
                row.subject_type == subject_type,
                row.purpose.in_((purpose, EVERY_PURPOSE)),
                row.subject_key > after,
            )
            .distinct()
            .order_by(row.subject_key)
            .limit(most)
        )
    )


def is_repaired(session: Session, connector: str, subject_key: str, changed_at: str | None) -> bool:
    """Return whether the no of a person over there, last changed then, was written by Candor."""
    row = session.get(RepairRow, (connector, subject_key))
    return row is not None and row.changed_at in {None, changed_at}


def keep_repair(
    session: Session, connector: str, subject_key: str, at: datetime, changed_at: str | None
) -> None:
    """Remember that a withdrawal is written over there."""
    row = session.get(RepairRow, (connector, subject_key))
    if row is None:
        row = RepairRow(connector=connector, subject_key=subject_key)
        session.add(row)
    row.at, row.changed_at = at, changed_at


def forget_repair(session: Session, connector: str, subject_key: str) -> None:
    """Say that what was written over there does not stand any more."""
    session.execute(
        delete(RepairRow).where(
            RepairRow.connector == connector, RepairRow.subject_key == subject_key
        )
    )
