"""Reads and writes of alerts, deliveries and silences."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, aliased

from candor.kernel.errors import ConflictError, NotFoundError
from candor.kernel.ids import new_id
from slo.alerting import Alert, Transition
from slo.alerts.delivery import ALERTMANAGER, Delivery, Silence
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
        ConflictError: it is over, or has not fired yet.
    """
    row = session.get(AlertRow, alert_id, with_for_update=True)
    if row is None:
        raise NotFoundError("No alert bears that id. `GET /api/v1/alerts` lists them.")
    if row.state == "resolved":
        raise ConflictError("This alert is over; there is nothing to acknowledge.")
    if row.state == "pending":
        raise ConflictError("This alert has not fired yet. Acknowledge it once it has.")
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
    """Return the messages that are due, and keep other senders from them for ``patience``.

    That an alert is over is not due while its target has still to hear that it began.
    """
    earlier = aliased(DeliveryRow)
    begins_first = exists().where(
        earlier.alert_id == DeliveryRow.alert_id,
        earlier.target == DeliveryRow.target,
        earlier.created_at < DeliveryRow.created_at,
        earlier.state == "waiting",
    )
    due = session.scalars(
        select(DeliveryRow)
        .where(
            DeliveryRow.state == "waiting",
            DeliveryRow.next_at <= at,
            DeliveryRow.target.not_like(f"{ALERTMANAGER}%"),
            ~begins_first,
        )
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


def kept_back(session: Session) -> list[tuple[Delivery, Alert]]:
    """Return what silences kept back and is still to be told once they are over.

    That an alert fires, while it does and nobody has taken it on; that it is over, to whom its
    beginning was told.
    """
    told = aliased(DeliveryRow)
    was_told = exists().where(
        told.alert_id == DeliveryRow.alert_id,
        told.target == DeliveryRow.target,
        told.transition == "fired",
        told.state == "sent",
    )
    rows = session.execute(
        select(DeliveryRow, AlertRow)
        .join(AlertRow, AlertRow.id == DeliveryRow.alert_id)
        .where(
            DeliveryRow.state == "silenced",
            or_(
                and_(DeliveryRow.transition == "fired", AlertRow.state == "firing"),
                and_(DeliveryRow.transition == "resolved", was_told),
            ),
        )
    )
    return [(_delivery(delivery), _alert(alert)) for delivery, alert in rows]


def tell_now(session: Session, delivery: Delivery, at: datetime) -> None:
    """Let a message that a silence kept back be sent; once it is on its way nothing changes."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery.id, DeliveryRow.state == "silenced")
        .values(state="waiting", next_at=at)
    )


def kept_from(session: Session, alert_id: str) -> set[str]:
    """Return the targets that a silence kept from hearing that an alert began."""
    silenced = select(DeliveryRow.target).where(
        DeliveryRow.alert_id == alert_id,
        DeliveryRow.transition == "fired",
        DeliveryRow.state == "silenced",
    )
    return set(session.scalars(silenced))


def note_push(
    session: Session, alerts: Sequence[Alert], target: str, outcome: str, at: datetime
) -> None:
    """Write how an Alertmanager took alerts: a record for each turn, changed when that changes.

    ``attempts`` counts the pushes until it was taken.
    """
    known = {
        (row.alert_id, row.transition): row
        for row in session.scalars(
            select(DeliveryRow).where(
                DeliveryRow.target == target, DeliveryRow.alert_id.in_([one.id for one in alerts])
            )
        )
    }
    for alert in alerts:
        transition: Transition = "resolved" if alert.state == "resolved" else "fired"
        row = known.get((alert.id, transition))
        if row is None:
            row = DeliveryRow(id=new_id(at), alert_id=alert.id, transition=transition, payload={})
            row.target, row.attempts, row.created_at, row.outcome = target, 0, at, ""
            session.add(row)
        if row.outcome != "ok" or outcome != "ok":
            row.state = "sent" if outcome == "ok" else "waiting"
            row.attempts, row.outcome, row.next_at = row.attempts + 1, outcome, at


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
