"""What was allowed and what was decided, for somebody who looks at it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from candor.kernel.decision_ports import DecisionLog
from candor.kernel.errors import NotFoundError
from candor.kernel.ids import made_at
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent import schemas, store
from privacy.consent.decision import told_gap
from privacy.consent.overview import current_consents
from privacy.consent.register import PolicyRegister
from privacy.consent.replay import decisions_again, record_of, standings_of
from privacy.subjects.history import linked_at

_AROUND = timedelta(seconds=2)


def explanation(
    telemetry: TelemetryStore,
    log: DecisionLog,
    session: Session,
    policies: PolicyRegister,
    decision_id: str,
) -> dict[str, Any]:
    """Return a decision from the log, and the same made again from the ledger, as a document.

    Raises:
        NotFoundError: no decision bears that id.
        UnavailableError: the log cannot be asked.
    """
    try:
        moment = made_at(decision_id)
    except ValueError:
        raise NotFoundError("No decision bears that id.") from None
    logged = _find(telemetry, decision_id, moment)
    if logged is None:
        log.flush()
        logged = _find(telemetry, decision_id, moment)
    if logged is None:
        raise NotFoundError("No decision bears that id.")
    again = None
    if logged["subject_key"] and logged["as_of"] is None:
        ((again, _),) = decisions_again(session, policies, [record_of(logged)])
    return _explanation(logged, schemas.decision_document(again) if again else None)


def consents_of(
    session: Session, policies: PolicyRegister, subject_key: str, moment: datetime
) -> list[dict[str, Any]]:
    """Return what a person allowed at an instant, as documents."""
    events = store.read_events(session, linked_at(session, subject_key, moment), upto=moment)
    policy = policies.history(store.current_turn(session).policy).at(moment)
    by_id = {event.id: event for event in events}
    found = current_consents(policy, standings_of(events), by_id, moment)
    return [schemas.consent_document(one) for one in found]


def history_of(session: Session, subject_key: str, moment: datetime) -> list[dict[str, Any]]:
    """Return the acts of a person by the time of the act, newest last, as documents."""
    events = store.read_events(session, linked_at(session, subject_key, moment))
    events.sort(key=lambda event: (event.act.at, event.turn, event.number))
    return [schemas.event_document(event) for event in events]


def _find(telemetry: TelemetryStore, decision_id: str, moment: datetime) -> dict[str, Any] | None:
    around = {"id": decision_id, "since": moment - _AROUND, "until": moment + _AROUND}
    rows = telemetry.query(statement("privacy.consent", "select_decision"), around)
    return rows[0] if rows else None


def _explanation(logged: dict[str, Any], again: dict[str, Any] | None) -> dict[str, Any]:
    told = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in logged.items()
    }
    told["decision_id"] = told.pop("id")
    told["allow"], told["gpc"] = bool(told["allow"]), bool(told["gpc"])
    agrees = None
    if again is not None:
        agrees = (again["allow"], again["reason"]) == (told["allow"], told["reason"])
    told["detail"] = told_gap(told["reason"], told["purpose"])
    return told | {"replay": again, "agrees": agrees}
