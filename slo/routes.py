"""The objective endpoints under /api/v1."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from candor.kernel.errors import InvalidInputError, MalformedError, UnsupportedTypeError
from candor.kernel.http import DoorRequest, ServicesDep, SessionDep, requires
from candor.kernel.services import Services
from slo.correction import corrected
from slo.errors import InvalidDocumentsError
from slo.evaluation import read_budget, read_burn, read_timeline
from slo.governance.store import corrections_of
from slo.objective import Objective
from slo.openslo import finding_document, has_errors, read_openslo
from slo.register import all_objectives, apply_objectives, find_objective
from slo.schemas import budget_document, burn_document, objective_document, timeline_document
from slo.window import MINUTE, Window, parse_duration, rolling, whole_minute

router = APIRouter(prefix="/api/v1", tags=["objectives"])

_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "application/json"})
_REQUEST = "request"


async def yaml_text(request: Request, services: ServicesDep) -> str:
    """Return the body of a request that holds YAML.

    Raises:
        UnsupportedTypeError: it says to be something else.
        MalformedError: it is not UTF-8.
    """
    door = DoorRequest(request.scope, request.receive)
    if door.media_type not in _YAML_TYPES:
        raise UnsupportedTypeError("Send OpenSLO documents as application/yaml.")
    body = await door.body(services.settings.limits.body_bytes)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise MalformedError("The documents must be UTF-8.") from None


YamlText = Annotated[str, Depends(yaml_text)]
At = Annotated[
    datetime | None, Query(description="End of the window; of the present minute if absent")
]
Length = Annotated[str | None, Query(alias="window", description="30d; the objective's if absent")]


@router.post("/objectives/apply", dependencies=[requires("slo:write")])
def apply(services: ServicesDep, session: SessionDep, text: YamlText) -> dict[str, Any]:
    """Apply OpenSLO documents: all of them, or none when one has an error."""
    objectives, placed = read_openslo({_REQUEST: text})
    findings = [finding_document(name, finding) for name, finding in placed]
    if has_errors(placed):
        raise InvalidDocumentsError(findings)
    difference = apply_objectives(session, objectives, services.clock())
    return {
        "created": difference.created,
        "changed": difference.changed,
        "unchanged": difference.unchanged,
        "removed": [],
        "findings": findings,
    }


@router.get("/objectives", dependencies=[requires("slo:read")])
def list_objectives(session: SessionDep) -> list[dict[str, Any]]:
    """Return every objective, by name."""
    return [objective_document(registered) for registered in all_objectives(session)]


@router.get("/objectives/{name}", dependencies=[requires("slo:read")])
def show_objective(name: str, session: SessionDep) -> dict[str, Any]:
    """Return one objective."""
    return objective_document(find_objective(session, name))


@router.get("/objectives/{name}/budget", dependencies=[requires("slo:read")])
def show_budget(
    name: str, services: ServicesDep, session: SessionDep, at: At = None, length: Length = None
) -> dict[str, Any]:
    """Return the error budget of an objective, in its own window or another."""
    objective = find_objective(session, name).objective
    window = _window(objective, services, at, length)
    gaps = corrected(corrections_of(session, objective), window)
    return budget_document(objective, read_budget(services.telemetry, objective, window, gaps))


@router.get("/objectives/{name}/burn", dependencies=[requires("slo:read")])
def show_burn(
    name: str, services: ServicesDep, session: SessionDep, at: At = None
) -> dict[str, Any]:
    """Return the burn rates of an objective, tier by tier."""
    objective = find_objective(session, name).objective
    until = _instant(services, at)
    gaps = corrected(corrections_of(session, objective), rolling(objective.window, until))
    states = read_burn(services.telemetry, [objective], until, {name: gaps})
    return burn_document(objective, states[0])


@router.get("/objectives/{name}/timeline", dependencies=[requires("slo:read")])
def show_timeline(
    name: str, services: ServicesDep, session: SessionDep, at: At = None, length: Length = None
) -> dict[str, Any]:
    """Return how the budget of a window was spent over time."""
    objective = find_objective(session, name).objective
    window = _window(objective, services, at, length)
    gaps = corrected(corrections_of(session, objective), window)
    points = read_timeline(services.telemetry, objective, window, gaps)
    return timeline_document(objective, points)


def _window(
    objective: Objective, services: Services, at: datetime | None, length: str | None
) -> Window:
    span = parse_duration(length) if length is not None else objective.window
    return rolling(span, _instant(services, at))


def _instant(services: Services, at: datetime | None) -> datetime:
    """Return the instant asked for, or the end of the present minute.

    Whole minutes are answered from the rollup, and the present minute's events count already.
    """
    if at is None:
        return whole_minute(services.clock()) + MINUTE
    if at.tzinfo is None:
        raise InvalidInputError("An instant needs its zone: 2026-11-22T09:00:00Z.", path="at")
    return at.astimezone(UTC)
