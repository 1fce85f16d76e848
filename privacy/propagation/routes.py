"""Subscribers under /api/v1/consent/subscribers."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from candor.kernel.database import session_of
from candor.kernel.http import DoorRequest, ServicesDep, SessionDep, acting, requires
from candor.kernel.services import Services
from privacy.propagation import register, schemas, store
from privacy.propagation.looking import apply_text, described, given_up
from privacy.propagation.position import position_of
from privacy.propagation.sealing import USE

router = APIRouter(prefix="/api/v1/consent/subscribers", tags=["consent"])

Author = Annotated[str, acting("admin")]
DryRun = Annotated[bool, Query(description="Show what would change, and keep nothing")]
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
After = Annotated[
    str, Query(description="The position of the last one before", pattern=schemas.POSITION)
]


@router.get("", dependencies=[requires("consent:read")])
def list_subscribers(session: SessionDep) -> list[dict[str, Any]]:
    """Return every subscriber and how far it is."""
    return [described(session, name) for name in store.positions(session)]


@router.get("/{name}", dependencies=[requires("consent:read")])
def show_subscriber(name: Name, session: SessionDep) -> dict[str, Any]:
    """Return one subscriber and how far it is; never its secrets."""
    return described(session, name)


@router.put("/{name}", responses={201: {"description": "It is new"}})
def put_subscriber(  # noqa: PLR0913 - path, body and dependencies of one request
    name: Name,
    body: schemas.SubscriberBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
    *,
    dry_run: DryRun = False,
) -> JSONResponse:
    """Put a subscriber; secrets that are left out stay as they are."""
    key, now = services.secrets.sealing_key(USE), services.clock()
    wanted = [body.wanted(name)]
    (change,) = register.put_all(session, key, wanted, now, author, dry_run=dry_run)
    status = 201 if change.is_new and not dry_run else 200
    return JSONResponse(schemas.change_document(change), status)


@router.delete("/{name}", status_code=204)
def remove_subscriber(
    name: Name, services: ServicesDep, session: SessionDep, author: Author
) -> None:
    """Forget a subscriber, with what waited for it and what was given up."""
    register.remove(session, name, services.clock(), author)


@router.post("/apply")
async def apply(request: Request, author: Author, *, dry_run: DryRun = False) -> JSONResponse:
    """Put the subscribers of a YAML document, all or none, and say what changes."""
    services: Services = request.app.state.services
    door = DoorRequest(request.scope, request.receive)
    body = await door.body(services.settings.limits.body_bytes)

    def put() -> dict[str, Any]:
        with session_of(services.engine) as session:
            key, now = services.secrets.sealing_key(USE), services.clock()
            return apply_text(session, key, body, now, author, dry_run=dry_run)

    return JSONResponse(await run_in_threadpool(put))


@router.post("/{name}/replay", status_code=202)
def replay(
    name: Name,
    body: schemas.ReplayBody,
    services: ServicesDep,
    session: SessionDep,
    author: Author,
) -> dict[str, Any]:
    """Tell a subscriber again: everything from a position on, or what was given up."""
    now = services.clock()
    if body.position == "dead_letters":
        register.revive(session, name, now, author)
    else:
        register.replay(session, name, position_of(body.position), now, author)
    session.flush()
    return described(session, name)


@router.get("/{name}/dead-letters", dependencies=[requires("consent:read")])
def list_dead_letters(
    name: Name, session: SessionDep, after: After | None = None
) -> list[dict[str, Any]]:
    """Return what was given up, at most a thousand, in the order of the ledger."""
    return given_up(session, name, after)
