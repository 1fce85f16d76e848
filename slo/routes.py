"""The objective endpoints under /api/v1."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from candor.kernel.errors import (
    InvalidInputError,
    MalformedError,
    UnavailableError,
    UnsupportedTypeError,
)
from candor.kernel.http import (
    ONLY_KNOWN_PARAMETERS,
    DoorRequest,
    ServicesDep,
    SessionDep,
    acting,
    requires,
)
from candor.kernel.services import Services
from slo.breakdown import Asking, read_contributions, read_values
from slo.correction import corrected
from slo.errors import InvalidDocumentsError, ObjectiveNotFoundError
from slo.evaluation import observed_volumes, reach, read_budget
from slo.governance.store import corrections_of
from slo.lookback import read_burn
from slo.metadata import parse_label
from slo.objective import Objective
from slo.openslo import DocumentSet, StoredDocument, finding_document, read_set
from slo.period import Period, parse_period
from slo.register import (
    all_objectives,
    apply_read,
    find_objective,
    revisions_of,
)
from slo.schemas import (
    budget_document,
    burn_document,
    contribution_document,
    difference_document,
    objective_document,
    revision_document,
    timeline_document,
    values_document,
)
from slo.timeline import read_timeline
from slo.window import MINUTE, whole_minute

router = APIRouter(prefix="/api/v1", tags=["objectives"])

_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "application/json"})
_REQUEST = "request"
_FIRST_YEAR, _LAST_YEAR = 1972, 2100


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
Length = Annotated[
    str | None,
    Query(alias="window", description="30d, or 1M@Europe/Dublin; the objective's own if absent"),
]
Field = Annotated[str, Query(max_length=200, description="channel, step, ..., or attributes.KEY")]
By = Annotated[
    str | None, Query(max_length=200, description="a field whose values are told one by one too")
]
DryRun = Annotated[bool, Query(description="Only say what would change")]
Strict = Annotated[bool, Query(description="The rules of OpenSLO's SDK")]
Prune = Annotated[
    str | None, Query(description="LABEL=VALUE: remove what bears it and is not in the body")
]


_WRITER = acting("slo:write")
_READING = [requires("slo:read"), ONLY_KNOWN_PARAMETERS]
Author = Annotated[str, _WRITER]


@router.post("/objectives/apply", dependencies=[_WRITER, ONLY_KNOWN_PARAMETERS])
def apply(  # noqa: PLR0913 - each is a part of the request
    services: ServicesDep,
    session: SessionDep,
    text: YamlText,
    author: Author,
    *,
    dry_run: DryRun = False,
    strict: Strict = False,
    prune: Prune = None,
) -> dict[str, Any]:
    """Apply OpenSLO documents: all of them, or none when one has an error."""
    label = parse_label(prune) if prune is not None else None

    def read(stored: Sequence[StoredDocument]) -> DocumentSet:
        def volume(objectives: Sequence[Objective]) -> list[int]:
            return _volumes(services, objectives)

        return read_set({_REQUEST: text}, stored, strict=strict, prune=label, volume=volume)

    documents, difference = apply_read(session, read, services.clock(), author, dry_run=dry_run)
    findings = [finding_document(name, finding) for name, finding in documents.findings]
    if difference is None:
        raise InvalidDocumentsError(findings)
    return difference_document(difference, findings, dry_run=dry_run)


@router.get("/objectives", dependencies=_READING)
def list_objectives(session: SessionDep) -> list[dict[str, Any]]:
    """Return every objective, by name."""
    return [objective_document(registered) for registered in all_objectives(session)]


@router.get("/objectives/{name}", dependencies=_READING)
def show_objective(name: str, session: SessionDep) -> dict[str, Any]:
    """Return one objective and its revisions, newest first."""
    revisions = [revision_document(one) for one in revisions_of(session, name)]
    return objective_document(find_objective(session, name)) | {"revisions": revisions}


@router.get("/objectives/{name}/revisions", dependencies=_READING)
def list_revisions(name: str, session: SessionDep) -> list[dict[str, Any]]:
    """Return who applied an objective when, newest first; of one that was removed, too."""
    revisions = revisions_of(session, name)
    if not revisions:
        raise ObjectiveNotFoundError
    return [revision_document(one) for one in revisions]


def asked_of(
    name: str, services: ServicesDep, session: SessionDep, at: At = None, length: Length = None
) -> tuple[Objective, Asking]:
    """Return the objective that a question names, and what the question is about."""
    objective = find_objective(session, name).objective
    period, until = _period(length), _instant(services, at)
    gaps = corrected(corrections_of(session, objective), reach(objective, until, period))
    return objective, Asking(until, period, gaps)


AskedDep = Annotated[tuple[Objective, Asking], Depends(asked_of)]


@router.get("/objectives/{name}/budget", dependencies=_READING)  # noqa: FAST003 - asked_of takes it
def show_budget(services: ServicesDep, asked: AskedDep, by: By = None) -> dict[str, Any]:
    """Return the error budget of an objective, in its own window or another.

    With ``by``, or where the objective names a field, also that of each of the field's values.
    """
    objective, asking = asked
    reading = read_budget(services.telemetry, objective, asking.at, asking.period, asking.gaps)
    document = budget_document(objective, reading)
    field = by or objective.by
    if field is None:
        return document
    values, more = read_values(services.telemetry, objective, field, asking)
    return document | values_document(objective, field, values, more)


@router.get("/objectives/{name}/contribution", dependencies=_READING)  # noqa: FAST003 - asked_of takes it
def show_contribution(services: ServicesDep, asked: AskedDep, by: Field) -> dict[str, Any]:
    """Return which values of a field the bad events of a window came from."""
    objective, asking = asked
    found = read_contributions(services.telemetry, objective, by, asking)
    return contribution_document(objective, by, found)


@router.get("/objectives/{name}/burn", dependencies=_READING)
def show_burn(
    name: str, services: ServicesDep, session: SessionDep, at: At = None
) -> dict[str, Any]:
    """Return the burn rates of an objective, tier by tier."""
    objective = find_objective(session, name).objective
    until = _instant(services, at)
    gaps = corrected(corrections_of(session, objective), reach(objective, until))
    alerts = services.settings.alerts
    states = read_burn(services.telemetry, [objective], until, {name: gaps}, alerts)
    return burn_document(objective, states[0])


@router.get("/objectives/{name}/timeline", dependencies=_READING)  # noqa: FAST003 - asked_of takes it
def show_timeline(services: ServicesDep, asked: AskedDep) -> dict[str, Any]:
    """Return how the budget of a window was spent over time."""
    objective, asking = asked
    points = read_timeline(services.telemetry, objective, asking.at, asking.period, asking.gaps)
    return timeline_document(objective, points)


def _volumes(services: Services, objectives: Sequence[Objective]) -> list[int]:
    """Return the observed volumes; all zero, which no lint minds, while no telemetry answers."""
    try:
        return observed_volumes(services.telemetry, objectives, _instant(services, None))
    except UnavailableError:
        return [0] * len(objectives)


def _period(text: str | None) -> Period | None:
    try:
        return parse_period(text) if text is not None else None
    except InvalidInputError as error:
        raise InvalidInputError(error.detail, path="window") from None


def _instant(services: Services, at: datetime | None) -> datetime:
    """Return the instant asked for, or the end of the present minute.

    Whole minutes are answered from the rollup, and the present minute's events count already.
    """
    if at is None:
        return whole_minute(services.clock()) + MINUTE
    if at.tzinfo is None:
        raise InvalidInputError("An instant needs its zone: 2026-11-22T09:00:00Z.", path="at")
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise InvalidInputError(f"Ask from {_FIRST_YEAR} to {_LAST_YEAR}.", path="at")
    return at.astimezone(UTC)
