"""Reads and writes of alerts, deliveries and silences."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, NotFoundError
from slo.alerting import Alert
from slo.alerts.delivery import Delivery, Silence
from slo.alerts.tables import AlertRow, DeliveryRow, SilenceRow

_MOST_LISTED = 500
_ALERT_FIELDS = tuple(Alert.__dataclass_fields__)
_DELIVERY_FIELDS = tuple(Delivery.__dataclass_fields__)
_SILENCE_FIELDS = tuple(Silence.__dataclass_fields__)


def open_alerts(session: Session) -> list[Alert]:
    """Return every alert that is not over, pending ones too; locked until the transaction ends."""
    rows = session.scalars(select(AlertRow).where(AlertRow.state != "resolved").with_for_update())
    return [_alert(row) for row in rows]


def keep_alert(session: Session, alert: Alert) -> None:
    """Write an alert, new or known."""
    row = session.get(AlertRow, alert.id) or AlertRow(id=alert.id)
    for name, value in asdict(alert).items():
        setattr(row, name, value)
    row.slot = alert.id if alert.state == "resolved" else alert.slot
    session.add(row)


def drop_alert(session: Session, alert: Alert) -> None:
    """Forget a pending alert that came to nothing."""
    session.delete(session.get_one(AlertRow, alert.id))


def acknowledge(session: Session, alert_id: str, author: str, at: datetime) -> Alert:
    """Note that a person has taken an alert on; a second time changes nothing.

    Raises:
        NotFoundError: none bears that id.
        ConflictError: it is over.
    """
    row = session.get(AlertRow, alert_id, with_for_update=True)
    if row is None:
        raise NotFoundError("No alert bears that id. `GET /api/v1/alerts` lists them.")
    if row.state == "resolved":
        raise ConflictError("This alert is over; there is nothing to acknowledge.")
    if row.state == "firing":
        row.state, row.acknowledged_at, row.acknowledged_by = "acknowledged", at, author
    return _alert(row)


def list_alerts(session: Session, *, state: str | None, objective: str | None) -> list[Alert]:
    """Return at most 500 alerts, newest first, pending ones only when asked for."""
    query = select(AlertRow)
    query = query.where(AlertRow.state == state if state else AlertRow.state != "pending")
    if objective is not None:
        query = query.where(AlertRow.objective == objective)
    newest = AlertRow.pending_since.desc()
    rows = session.scalars(query.order_by(newest, AlertRow.id.desc()).limit(_MOST_LISTED))
    return [_alert(row) for row in rows]


def alerts_to_push(session: Session, resolved_since: datetime) -> list[Alert]:
    """Return what an Alertmanager is told: what fires, and what was over a short while ago."""
    rows = session.scalars(
        select(AlertRow)
        .where(
            or_(
                AlertRow.state.in_(("firing", "acknowledged")),
                AlertRow.resolved_at >= resolved_since,
            )
        )
        .order_by(AlertRow.id)
    )
    return [_alert(row) for row in rows]


def add_delivery(session: Session, delivery: Delivery) -> None:
    """Keep a message that is to be sent, or that was not sent and why."""
    session.add(DeliveryRow(**asdict(delivery)))


def claim_due(session: Session, at: datetime, patience: timedelta) -> list[Delivery]:
    """Return the messages that are due, and keep other senders from them for ``patience``."""
    due = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.state == "waiting", DeliveryRow.next_at <= at)
        .order_by(DeliveryRow.created_at)
        .limit(100)
    ).all()
    claimed = []
    for row in due:
        result: CursorResult[Any] = session.execute(  # type: ignore[assignment]  # an UPDATE
            update(DeliveryRow)
            .where(DeliveryRow.id == row.id, DeliveryRow.next_at == row.next_at)
            .values(next_at=at + patience)
        )
        if result.rowcount:
            claimed.append(_delivery(row))
    return claimed


def settle(session: Session, delivery: Delivery) -> None:
    """Write what became of a message."""
    row = session.get_one(DeliveryRow, delivery.id)
    for name in ("state", "attempts", "next_at", "outcome"):
        setattr(row, name, getattr(delivery, name))


def deliveries_of(session: Session, alert_ids: Sequence[str]) -> dict[str, list[Delivery]]:
    """Return the messages about alerts, oldest first, by alert."""
    rows = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.alert_id.in_(alert_ids))
        .order_by(DeliveryRow.created_at, DeliveryRow.id)
    )
    result: dict[str, list[Delivery]] = {alert_id: [] for alert_id in alert_ids}
    for row in rows:
        result[row.alert_id].append(_delivery(row))
    return result


def add_silence(session: Session, silence: Silence) -> None:
    """Keep a silence."""
    session.add(SilenceRow(**asdict(silence)))


def end_silence(session: Session, silence_id: str, at: datetime) -> Silence:
    """End a silence now, if it has not ended.

    Raises:
        NotFoundError: none bears that id.
    """
    row = session.get(SilenceRow, silence_id)
    if row is None:
        raise NotFoundError("No silence bears that id. `GET /api/v1/silences` lists them.")
    row.until = max(row.since, min(row.until, at))
    return _silence(row)


def silences(session: Session, *, ends_after: datetime | None = None) -> list[Silence]:
    """Return silences, newest first; only those that have not ended when an instant is given."""
    query = select(SilenceRow).order_by(SilenceRow.created_at.desc()).limit(_MOST_LISTED)
    if ends_after is not None:
        query = query.where(SilenceRow.until > ends_after)
    return [_silence(row) for row in session.scalars(query)]


def _alert(row: AlertRow) -> Alert:
    return Alert(**{name: getattr(row, name) for name in _ALERT_FIELDS})


def _delivery(row: DeliveryRow) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in _DELIVERY_FIELDS})


def _silence(row: SilenceRow) -> Silence:
    return Silence(**{name: getattr(row, name) for name in _SILENCE_FIELDS})
