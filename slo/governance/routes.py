"""Corrections, annotations, policies and the release gate under /api/v1."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from candor.kernel.errors import NotFoundError
from candor.kernel.http import ONLY_KNOWN_PARAMETERS, ServicesDep, SessionDep, acting, requires
from candor.kernel.services import Services
from slo.budgeting import left_out
from slo.correction import Correction, clipped, corrected
from slo.evaluation import reach, read_remaining
from slo.governance import schemas, store
from slo.objective import Objective
from slo.policy import reasons_of
from slo.register import all_objectives, find_objective, objectives_of
from slo.window import MINUTE, Window, whole_minute

router = APIRouter(prefix="/api/v1", tags=["objectives"])

Author = Annotated[str, acting("slo:write")]
DryRun = Annotated[bool, Query(description="Show what would change, and keep nothing")]
_MOST_PREVIEWED = 50
_CORRECTS_NOTHING = (
    "No objective has that service and these labels, so nothing is corrected until one does."
)
_DECIDES_NOTHING = "No objective belongs to that service, so this decides nothing until one does."


@router.get("/corrections", dependencies=[requires("slo:read")])
def list_corrections(session: SessionDep) -> list[dict[str, Any]]:
    """Return every correction that was ever made, newest first, those undone too."""
    return [schemas.correction_document(one) for one in store.all_corrections(session)]


@router.post("/corrections", status_code=201, responses={200: {"description": "A dry run"}})
def correct(
    body: schemas.CorrectionBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
    *,
    dry_run: DryRun = False,
) -> JSONResponse:
    """Leave a span out of budgets; the answer says what that does to each of them."""
    correction = body.correction(author, services.clock())
    concerned = _concerned(session, correction)
    preview = _previews(services, session, concerned[:_MOST_PREVIEWED], correction)
    if not dry_run:
        store.add_correction(session, correction)
    document = schemas.correction_document(correction) | {
        "id": None if dry_run else correction.id,
        "objectives": len(concerned),
        "preview": preview,
        "warnings": [] if concerned else [_CORRECTS_NOTHING],
    }
    return JSONResponse(document, 200 if dry_run else 201)


@router.delete("/corrections/{correction_id}")
def undo(
    correction_id: str, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Take a correction back; who did and when stays on the record."""
    undone = store.undo_correction(session, correction_id, author, services.clock())
    return schemas.correction_document(undone)


@router.get("/annotations", dependencies=[requires("slo:read")])
def list_annotations(
    services: ServicesDep,
    session: SessionDep,
    since: schemas.Instant | None = None,
    until: schemas.Instant | None = None,
    service: str | None = None,
) -> list[dict[str, Any]]:
    """Return the annotations of a span, oldest first; of the last 30 days if none is named."""
    end = until or services.clock() + timedelta(days=1)
    start = since or end - timedelta(days=31)
    found = store.annotations_between(session, start, end, service)
    return [schemas.annotation_document(one) for one in found]


@router.post("/annotations", status_code=201)
def annotate(
    body: schemas.AnnotationBody, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Mark a deployment, an incident, a change of a flag, or a note."""
    annotation = body.annotation(author, services.clock())
    store.add_annotation(session, annotation)
    return schemas.annotation_document(annotation)


@router.get("/policies", dependencies=[requires("slo:read")])
def list_policies(session: SessionDep) -> list[dict[str, Any]]:
    """Return every error budget policy, by name."""
    return [schemas.policy_document(one) for one in store.all_policies(session)]


@router.put("/policies/{name}")
def put_policy(
    name: schemas.Name,
    body: schemas.PolicyBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
) -> dict[str, Any]:
    """Decide what happens when budgets run low; in force at once."""
    put = store.put_policy(session, body.policy(name), author, services.clock())
    decides = body.service is None or bool(objectives_of(session, body.service))
    return schemas.policy_document(put) | {"warnings": [] if decides else [_DECIDES_NOTHING]}


@router.delete("/policies/{name}", dependencies=[requires("slo:write")])
def remove_policy(name: schemas.Name, session: SessionDep) -> dict[str, Any]:
    """Take a policy away: what is left, or the default, decides at once."""
    return schemas.policy_document(store.remove_policy(session, name))


@router.get("/gate", dependencies=[requires("slo:read"), ONLY_KNOWN_PARAMETERS])
def gate(
    services: ServicesDep, session: SessionDep, service: Annotated[str, Query(min_length=1)]
) -> dict[str, Any]:
    """Say whether a service may be released: go, slow or freeze, and why."""
    return read_gate(services, session, service)


@router.get("/gate/overrides", dependencies=[requires("slo:read")])
def list_overrides(session: SessionDep, service: str | None = None) -> list[dict[str, Any]]:
    """Return every override that was ever made, newest first."""
    return [schemas.override_document(one) for one in store.all_overrides(session, service)]


@router.post("/gate/overrides", status_code=201)
def override_gate(
    body: schemas.OverrideBody, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Let a service be released all the same, until an instant, for a reason."""
    override = body.override(author, services.clock())
    _objectives_of(session, override.service)
    store.add_override(session, override)
    return schemas.override_document(override)


@router.delete("/gate/overrides/{override_id}")
def undo_override(
    override_id: str, services: ServicesDep, session: SessionDep, author: Author
) -> dict[str, Any]:
    """Take an override back before it expires: budgets decide again, or an older override."""
    undone = store.undo_override(session, override_id, author, services.clock())
    return schemas.override_document(undone)


def read_gate(services: Services, session: Session, service: str) -> dict[str, Any]:
    """Return what the gate says of a service now.

    Raises:
        NotFoundError: no objective belongs to that service.
    """
    now = services.clock()
    concerned = _objectives_of(session, service)
    policy = store.policy_for(session, service)
    remaining = _remaining(services, session, concerned)
    reasons = [
        reason
        for objective, left in zip(concerned, remaining, strict=True)
        for reason in reasons_of(policy, objective.name, left)
    ]
    overrides = store.all_overrides(session, service)
    override = next((one for one in overrides if one.holds(now)), None)
    return schemas.gate_document(service, reasons, override)


def _objectives_of(session: Session, service: str) -> list[Objective]:
    """Return the objectives of a service.

    Raises:
        NotFoundError: it has none, or there is no such service.
    """
    objectives = objectives_of(session, service)
    if not objectives:
        raise NotFoundError(
            "No objective belongs to that service. `GET /api/v1/objectives` lists them."
        )
    return objectives


def _remaining(
    services: Services, session: Session, objectives: Sequence[Objective]
) -> list[Fraction | None]:
    at = whole_minute(services.clock()) + MINUTE
    corrections = store.corrections_by_objective(session, objectives)
    gaps = {
        one.name: corrected(corrections[one.name], reach(one, at))
        for one in objectives
        if corrections[one.name]
    }
    return read_remaining(services.telemetry, objectives, at, gaps)


def _concerned(session: Session, correction: Correction) -> list[Objective]:
    """Return the objectives that a correction concerns.

    Raises:
        ObjectiveNotFoundError: it names one that does not exist.
    """
    if correction.objective is not None:
        return [find_objective(session, correction.objective).objective]
    objectives = (one.objective for one in all_objectives(session))
    return [one for one in objectives if correction.concerns(one.name, one.properties)]


def _previews(
    services: Services, session: Session, objectives: Sequence[Objective], correction: Correction
) -> list[dict[str, Any]]:
    """Return what a correction would do to the budget of each of these objectives."""
    at = whole_minute(services.clock()) + MINUTE
    present = store.corrections_by_objective(session, objectives)
    before, after = (
        {one.name: corrected([*present[one.name], *more], reach(one, at)) for one in objectives}
        for more in ((), (correction,))
    )
    return [
        schemas.preview_document(
            one.name, old, new, _seconds(one, at, after) - _seconds(one, at, before)
        )
        for one, old, new in zip(
            objectives,
            read_remaining(services.telemetry, objectives, at, before),
            read_remaining(services.telemetry, objectives, at, after),
            strict=True,
        )
    ]


def _seconds(objective: Objective, at: datetime, gaps: Mapping[str, Sequence[Window]]) -> float:
    """Return how much of an objective's window so far is left out."""
    window = objective.period.window(at)
    span = Window(window.since, min(window.until, at))
    return left_out(clipped(gaps[objective.name], span)).total_seconds()
