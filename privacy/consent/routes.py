"""Consent under /api/v1: purposes, notices, the ledger, and what was decided."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, ValidationError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError, MalformedError, NotFoundError
from candor.kernel.http import DoorRequest, ServicesDep, SessionDep, acting, requires
from candor.kernel.ids import made_at
from candor.kernel.services import Services
from candor.kernel.sql import statement
from privacy.consent import schemas, store
from privacy.consent.assembly import Consent
from privacy.consent.decision import Question
from privacy.consent.importing import lines_of, read_rows
from privacy.consent.ledger import ImportReport
from privacy.consent.overview import current_consents
from privacy.consent.register import put_all, serve_notice
from privacy.consent.replay import decision_again, standings_of
from privacy.subjects.history import linked_at

router = APIRouter(prefix="/api/v1", tags=["consent"])

Author = Annotated[str, acting("consent:write")]
DryRun = Annotated[bool, Query(description="Show what would change, and keep nothing")]
SubjectType = Annotated[str, Query(alias="type", pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
SubjectValue = Annotated[str, Query(alias="value", pattern=r"\S", max_length=320)]
AsOf = Annotated[AwareDatetime | None, Query(description="What was on record at that instant")]
_MOST_ROWS = 50_000
_UNTIMED = datetime(1970, 1, 1, tzinfo=UTC)
_AROUND = timedelta(seconds=2)


def consent_of(request: Request) -> Consent:
    """Return the consent of the application that this request reached."""
    consent: Consent = request.app.state.consent
    return consent


ConsentDep = Annotated[Consent, Depends(consent_of)]


@router.get("/purposes", dependencies=[requires("consent:read")])
def list_purposes(session: SessionDep, consent: ConsentDep) -> list[dict[str, Any]]:
    """Return every purpose as it stands, by key."""
    purposes = consent.policies.policy(store.current_turn(session).policy).purposes
    return [schemas.purpose_document(purposes[key]) for key in sorted(purposes)]


@router.get("/purposes/{key}", dependencies=[requires("consent:read")])
def show_purpose(key: str, session: SessionDep, consent: ConsentDep) -> dict[str, Any]:
    """Return one purpose as it stands."""
    purpose = consent.policies.policy(store.current_turn(session).policy).purposes.get(key)
    if purpose is None:
        raise NotFoundError("No purpose bears that key.")
    return schemas.purpose_document(purpose)


@router.put("/purposes/{key}", responses={201: {"description": "It is new"}})
def put_purpose(  # noqa: PLR0913 - path, body and dependencies of one request
    key: str,
    body: schemas.PurposeBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
    *,
    dry_run: DryRun = False,
) -> JSONResponse:
    """Put a purpose; ``stale_for`` says for what earlier consent no longer holds."""
    purpose = body.purpose(key)
    (change,) = put_all(session, [purpose], services.clock(), author, dry_run=dry_run)
    document = schemas.purpose_document(purpose) | schemas.change_document(change)
    return JSONResponse(document, 201 if change.is_new and not dry_run else 200)


@router.post("/purposes/apply")
async def apply(request: Request, author: Author, *, dry_run: DryRun = False) -> JSONResponse:
    """Put the purposes and notices of a YAML document, all or none, and say what changes."""
    services: Services = request.app.state.services
    body = await _body(request, services)
    document = await run_in_threadpool(apply_text, services, body, author, dry_run=dry_run)
    return JSONResponse(document)


@router.get("/notices", dependencies=[requires("consent:read")])
def list_notices(session: SessionDep, consent: ConsentDep) -> list[dict[str, Any]]:
    """Return every notice, by key and version, without its texts."""
    notices = consent.policies.policy(store.current_turn(session).policy).notices
    told = [schemas.notice_document(notices[one]) for one in sorted(notices)]
    return [{name: one[name] for name in one if name != "texts"} for one in told]


@router.get("/notices/{key}/{version}", dependencies=[requires("consent:read")])
def show_notice(key: str, version: str, session: SessionDep) -> dict[str, Any]:
    """Return a notice with its texts: it counts as served, and never changes from now on."""
    return schemas.notice_document(serve_notice(session, key, version))


@router.put("/notices/{key}/{version}", responses={201: {"description": "It is new"}})
def put_notice(  # noqa: PLR0913, PLR0917 - path, body and dependencies of one request
    key: str,
    version: str,
    body: schemas.NoticeBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
) -> JSONResponse:
    """Put a version of a notice; one that was served or relied upon never changes."""
    notice = body.notice(key, version)
    (change,) = put_all(session, [notice], services.clock(), author)
    document = schemas.notice_document(notice) | schemas.change_document(change)
    return JSONResponse(document, 201 if change.is_new else 200)


@router.post("/consent/events", status_code=201)
def record(  # noqa: PLR0913, PLR0917 - body, header and dependencies of one request
    body: schemas.ActBody,
    services: ServicesDep,
    session: SessionDep,
    consent: ConsentDep,
    author: Author,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> Response:
    """Append an act of consent to the ledger; the same key with the same act appends it once."""
    now = services.clock()
    act = body.act(services.secrets, now)
    if idempotency_key is None:
        event = consent.ledger.record(session, act, now, author)
        return JSONResponse(schemas.event_document(event), 201)
    told = consent.ledger.record_once(
        session,
        act,
        now,
        author,
        idempotency_key,
        lambda event: json.dumps(schemas.event_document(event)),
        body.act(services.secrets, _UNTIMED),
    )
    return Response(told, 201, media_type="application/json")


@router.post("/consent/events/import")
async def bring_in(request: Request, author: Author, *, dry_run: DryRun = False) -> JSONResponse:
    """Append many acts, one JSON object a line; each that is refused is named by its row."""
    services: Services = request.app.state.services
    rows = lines_of(await _body(request, services))
    if len(rows) > _MOST_ROWS:
        raise InvalidInputError(f"An import has at most {_MOST_ROWS} rows. Send several.")
    consent = consent_of(request)
    document = await run_in_threadpool(
        import_rows, services, consent, rows, author, dry_run=dry_run
    )
    return JSONResponse(document)


@router.get("/subjects/consents", dependencies=[requires("consent:read")])
def show_consents(  # noqa: PLR0913, PLR0917 - parameters and dependencies of one request
    services: ServicesDep,
    session: SessionDep,
    consent: ConsentDep,
    subject_type: SubjectType,
    value: SubjectValue,
    as_of: AsOf = None,
) -> list[dict[str, Any]]:
    """Return what a person allows by purpose and channel; nothing for somebody unknown."""
    key = services.secrets.subject_key(subject_type, value)
    return consents_of(session, consent, key, as_of or services.clock())


@router.get("/subjects/history", dependencies=[requires("consent:read")])
def show_history(
    services: ServicesDep, session: SessionDep, subject_type: SubjectType, value: SubjectValue
) -> list[dict[str, Any]]:
    """Return every act of a person, whichever identifier it was done with, newest last."""
    key = services.secrets.subject_key(subject_type, value)
    return history_of(session, key, services.clock())


@router.get("/decisions/{decision_id}", dependencies=[requires("consent:read")])
def explain(
    decision_id: str, services: ServicesDep, session: SessionDep, consent: ConsentDep
) -> dict[str, Any]:
    """Return a decision from the log, and the same made again from the ledger."""
    try:
        moment = made_at(decision_id)
    except ValueError:
        raise NotFoundError("No decision bears that id.") from None
    logged = _find(services, decision_id, moment)
    if logged is None:
        consent.log.flush()
        logged = _find(services, decision_id, moment)
    if logged is None:
        raise NotFoundError("No decision bears that id.")
    again = None
    if logged["subject_key"] and logged["as_of"] is None:
        question = Question(
            logged["purpose"],
            logged["channel"],
            logged["stage"],
            tuple(logged["jurisdictions"]),
            logged["recipient"] or None,
            bool(logged["gpc"]),
        )
        keys = [logged["subject_key"], *logged["identifiers"]]
        turn, now = logged["ledger_turn"], logged["at"]
        again = decision_again(session, consent.policies, keys, question, turn, now)
    return _explanation(logged, schemas.decision_document(again) if again else None)


def import_rows(
    services: Services, consent: Consent, rows: list[Any], by: str, *, dry_run: bool
) -> dict[str, Any]:
    """Append the acts of rows in one transaction, and return the report as a document."""
    report, now = ImportReport(), services.clock()
    acts = read_rows(rows, report, services.secrets, now)
    with session_of(services.engine) as session:
        consent.ledger.bring_in(session, acts, report, at=now, by=by, dry_run=dry_run)
    return schemas.report_document(report, dry_run=dry_run)


def apply_text(services: Services, text: bytes, by: str, *, dry_run: bool) -> dict[str, Any]:
    """Put the purposes and notices of a YAML document, and return what changes.

    Raises:
        MalformedError: it is no YAML.
        InvalidInputError: it holds something else than purposes and notices; the place is named.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The document is no YAML that can be read.") from None
    try:
        body = schemas.ApplyBody.model_validate(document)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        path = ".".join(str(part) for part in fault["loc"]) or None
        raise InvalidInputError(f"Not as it must be: {fault['type']}.", path=path) from None
    with session_of(services.engine) as session:
        changes = put_all(session, body.subjects(), services.clock(), by, dry_run=dry_run)
    return {"dry_run": dry_run, "changes": [schemas.change_document(one) for one in changes]}


def consents_of(
    session: Session, consent: Consent, subject_key: str, moment: datetime
) -> list[dict[str, Any]]:
    """Return what a person allowed at an instant, as documents."""
    events = store.read_events(session, linked_at(session, subject_key, moment), upto=moment)
    policy = consent.policies.history(store.current_turn(session).policy).at(moment)
    by_id = {event.id: event for event in events}
    found = current_consents(policy, standings_of(events), by_id, moment)
    return [schemas.consent_document(one) for one in found]


def history_of(session: Session, subject_key: str, moment: datetime) -> list[dict[str, Any]]:
    """Return the acts of a person by the time of the act, newest last, as documents."""
    events = store.read_events(session, linked_at(session, subject_key, moment))
    events.sort(key=lambda event: (event.act.at, event.turn, event.number))
    return [schemas.event_document(event) for event in events]


async def _body(request: Request, services: Services) -> bytes:
    door = DoorRequest(request.scope, request.receive)
    return await door.body(services.settings.limits.body_bytes)


def _find(services: Services, decision_id: str, moment: datetime) -> dict[str, Any] | None:
    around = {"id": decision_id, "since": moment - _AROUND, "until": moment + _AROUND}
    rows = services.telemetry.query(statement("privacy.consent", "select_decision"), around)
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
    return told | {"replay": again, "agrees": agrees}
