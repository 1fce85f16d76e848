"""Alerts and silences under /api/v1."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter

from candor.kernel.http import ServicesDep, SessionDep, acting, requires
from slo.alerts import schemas, store
from slo.register import find_objective

router = APIRouter(prefix="/api/v1", tags=["objectives"])

Author = Annotated[str, acting("slo:write")]


@router.get("/alerts", dependencies=[requires("slo:read")])
def list_alerts(
    session: SessionDep,
    state: Literal["pending", "firing", "acknowledged", "resolved"] | None = None,
    objective: str | None = None,
) -> list[dict[str, Any]]:
    """Return alerts, newest first, with what became of the messages about them."""
    alerts = store.list_alerts(session, state=state, objective=objective)
    deliveries = store.deliveries_of(session, [alert.id for alert in alerts])
    return [schemas.alert_document(alert, deliveries[alert.id]) for alert in alerts]


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(
    alert_id: str, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Take an alert on; it goes on until its condition is over."""
    alert = store.acknowledge(session, alert_id, author, services.clock())
    return schemas.alert_document(alert, store.deliveries_of(session, [alert.id])[alert.id])


@router.get("/silences", dependencies=[requires("slo:read")])
def list_silences(session: SessionDep) -> list[dict[str, Any]]:
    """Return silences, newest first, those that have ended too."""
    return [schemas.silence_document(one) for one in store.silences(session)]


@router.post("/silences", status_code=201)
def silence(
    body: schemas.SilenceBody, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Keep alerts from being told for a while; budgets burn on."""
    if body.objective is not None:
        find_objective(session, body.objective)
    made = body.silence(author, services.clock())
    store.add_silence(session, made)
    return schemas.silence_document(made)


@router.delete("/silences/{silence_id}", dependencies=[requires("slo:write")])
def end_silence(silence_id: str, services: ServicesDep, session: SessionDep) -> dict[str, Any]:
    """End a silence now."""
    return schemas.silence_document(store.end_silence(session, silence_id, services.clock()))
