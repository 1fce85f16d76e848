"""Consent under /api/v1: purposes, notices, the ledger, and what was decided."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError, NotFoundError
from candor.kernel.http import DoorRequest, ServicesDep, SessionDep, acting, requires
from candor.kernel.services import Services
from privacy.consent import schemas, store
from privacy.consent.assembly import Consent
from privacy.consent.importing import apply_text, import_rows, lines_of
from privacy.consent.ledger import Recorded
from privacy.consent.linking import check_scope, links_document
from privacy.consent.looking import consents_of, explanation, history_of
from privacy.consent.register import put_all, serve_notice
from privacy.subjects.originals import keep_originals

router = APIRouter(prefix="/api/v1", tags=["consent"])

Author = Annotated[str, acting("consent:write")]
DryRun = Annotated[bool, Query(description="Show what would change, and keep nothing")]
SubjectType = Annotated[str, Query(alias="type", pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
SubjectValue = Annotated[str, Query(alias="value", pattern=r"\S", max_length=320)]
AsOf = Annotated[AwareDatetime | None, Query(description="What was on record at that instant")]
IdempotencyKey = Annotated[str | None, Header(max_length=255)]
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
    document = schemas.change_document(change) | schemas.purpose_document(purpose)
    return JSONResponse(document, 201 if change.is_new and not dry_run else 200)


@router.post("/purposes/apply")
async def apply(request: Request, author: Author, *, dry_run: DryRun = False) -> JSONResponse:
    """Put the purposes and notices of a YAML document, all or none, and say what changes."""
    services: Services = request.app.state.services
    body = await _body(request, services)

    def put() -> dict[str, Any]:
        with session_of(services.engine) as session:
            return apply_text(session, body, services.clock(), author, dry_run=dry_run)

    return JSONResponse(await run_in_threadpool(put))


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
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Append an act of consent to the ledger; the same key with the same act appends it once."""
    return _appended(body, services, session, consent, author, idempotency_key)


@router.post("/consent/opt-outs", status_code=201)
def take_opt_out(  # noqa: PLR0913, PLR0917 - body, header and dependencies of one request
    body: schemas.OptOutBody,
    services: ServicesDep,
    session: SessionDep,
    consent: ConsentDep,
    author: Author,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Append what a person told somebody of the staff; it counts from the next send on.

    Who took it and where it can be looked up must be said; the person is asked for nothing.
    """
    return _appended(body, services, session, consent, author, idempotency_key)


@router.post("/consent/links")
def make_links(
    body: schemas.LinksBody,
    services: ServicesDep,
    session: SessionDep,
    consent: ConsentDep,
    author: Author,
) -> dict[str, Any]:
    """Make the links that a message to a person carries, and its headers for unsubscribing.

    Whoever holds a link is taken for the person, so send it to nobody else. Links to unsubscribe
    never end; those to preferences do. Mail programs take the headers only with an https address.
    """
    del author
    policy = consent.policies.policy(store.current_turn(session).policy)
    link = body.link(services.secrets)
    check_scope(policy, link.purpose, link.channel)
    settings = services.settings  # never what the request calls us: that is anybody's to say
    base = (settings.public_url or f"http://{settings.host}:{settings.port}").rstrip("/")
    until = services.clock() + services.settings.links.preferences
    return links_document(link, services.secrets.link_key, base, until)


@router.post("/consent/events/import")
async def bring_in(request: Request, author: Author, *, dry_run: DryRun = False) -> JSONResponse:
    """Append many acts, one JSON object a line; each that is refused is named by its row."""
    services: Services = request.app.state.services
    rows = lines_of(await _body(request, services))
    if len(rows) > _MOST_ROWS:
        raise InvalidInputError(f"An import has at most {_MOST_ROWS} rows. Send several.")
    ledger, now = consent_of(request).ledger, services.clock()

    def append() -> dict[str, Any]:
        with session_of(services.engine) as session:
            return import_rows(
                session, ledger, rows, services.secrets, at=now, by=author, dry_run=dry_run
            )

    return JSONResponse(await run_in_threadpool(append))


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
    return consents_of(session, consent.policies, key, as_of or services.clock())


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
    return explanation(services.telemetry, consent.log, session, consent.policies, decision_id)


def _appended(  # noqa: PLR0913, PLR0917 - as the routes
    body: schemas.ActBody | schemas.OptOutBody,
    services: Services,
    session: Session,
    consent: Consent,
    author: str,
    idempotency_key: str | None,
) -> Response:
    """Append an act and answer with its receipt; a key that came with it before appends nothing."""
    now = services.clock()
    act = body.act(services.secrets, now)

    def told(recorded: Recorded) -> str:
        receipt = consent.issuer.of_recorded(session, recorded)
        return json.dumps(schemas.recorded_document(recorded, receipt))

    if idempotency_key is None:
        text = told(consent.ledger.record(session, act, now, author))
    else:
        untimed = body.act(services.secrets, _UNTIMED)
        text = consent.ledger.record_once(session, act, now, author, idempotency_key, told, untimed)
    keep_originals(session, services.secrets, [(body.subject.type, body.subject.value)], now)
    headers = {"location": f"/api/v1/receipts/{json.loads(text)['id']}"}
    return Response(text, 201, headers, media_type="application/json")


async def _body(request: Request, services: Services) -> bytes:
    door = DoorRequest(request.scope, request.receive)
    return await door.body(services.settings.limits.body_bytes)
