"""The quarantine endpoints under /api/v1; all for ``admin`` alone: what is kept may be personal."""

from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request

from candor.kernel.errors import NotFoundError
from candor.kernel.http import DoorRequest, ServicesDep, SessionDep, requires
from candor.kernel.logging import log
from candor.kernel.ports import REFUSAL_CODES
from candor.kernel.services import Services
from collector.intake import Intake
from collector.linking import Linker
from collector.quarantine.keeping import Quarantine
from collector.quarantine.replay import Replay, open_entry
from collector.quarantine.schemas import (
    ReplayBody,
    entry_document,
    first_instant,
    payload_document,
    reason,
)
from collector.quarantine.store import count_entries, find_entries, list_entries, replayed_at
from collector.receivers.native import receipt_document

router = APIRouter(prefix="/api/v1", tags=["quarantine"])
_SCOPE = "admin"


class RunningCollector(Protocol):
    """What the endpoints need of a running collector."""

    @property
    def intake(self) -> Intake:
        """The pipeline that every door feeds."""

    @property
    def linker(self) -> Linker:
        """Takes what events say about persons to the subject index."""

    @property
    def quarantine(self) -> Quarantine:
        """What keeps refused events."""

    def flush(self) -> None:
        """Return when everything refused before this call can be found."""


def _collector_of(request: Request) -> RunningCollector:
    collector: RunningCollector = request.app.state.collector
    return collector


CollectorDep = Annotated[RunningCollector, Depends(_collector_of)]
Since = Annotated[
    datetime | None, Query(description="The first instant; all that is kept if absent")
]
Limit = Annotated[int, Query(ge=1, le=1000)]
Code = Annotated[
    str, Query(max_length=40, description=f"{', '.join(REFUSAL_CODES)}; all if absent")
]


@router.get("/quarantine", dependencies=[requires(_SCOPE)])
def list_quarantine(  # noqa: PLR0913, PLR0917 - the parts of the request, and what it needs
    services: ServicesDep,
    session: SessionDep,
    collector: CollectorDep,
    code: Code = "",
    since: Since = None,
    limit: Limit = 100,
) -> list[dict[str, Any]]:
    """Return what was refused, newest first, without what was sent."""
    code = reason(code)
    collector.flush()
    entries = list_entries(
        services.telemetry,
        code=code,
        since=_since(services, since),
        now=services.clock(),
        limit=limit,
    )
    replayed = replayed_at(session, [entry.id for entry in entries])
    return [entry_document(entry, replayed.get(entry.id)) for entry in entries]


@router.get("/quarantine/counts", dependencies=[requires(_SCOPE)])
def count_quarantine(
    services: ServicesDep, collector: CollectorDep, since: Since = None
) -> dict[str, int]:
    """Return how many events are kept for each reason."""
    collector.flush()
    return count_entries(services.telemetry, _since(services, since), services.clock())


@router.get("/quarantine/{entry_id}", dependencies=[requires(_SCOPE)])
def show_quarantine(
    entry_id: str,
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    collector: CollectorDep,
) -> dict[str, Any]:
    """Return one refused event with what was sent; that somebody looked is logged."""
    collector.flush()
    entry = find_entries(services.telemetry, [entry_id], services.clock()).get(entry_id)
    if entry is None:
        raise NotFoundError("No event is kept under that id, or not any more.")
    payload = open_entry(session, collector.quarantine.cabinet, entry)
    log().info("quarantined payload shown", entry=entry.id, key=_key_name(request, services))
    replayed = replayed_at(session, [entry.id]).get(entry.id)
    return entry_document(entry, replayed) | payload_document(entry, payload)


@router.post("/quarantine/replay", dependencies=[requires(_SCOPE)])
def replay_quarantine(
    body: ReplayBody, services: ServicesDep, collector: CollectorDep
) -> dict[str, Any]:
    """Send refused events again, mended if so asked; none is ever sent twice."""
    collector.flush()
    replay = Replay(
        services, collector.intake, collector.linker.submit, collector.quarantine.cabinet
    )
    return receipt_document(replay.run(body.ids, body.mending()))


def _since(services: Services, since: datetime | None) -> datetime:
    return first_instant(since, services.clock(), services.settings.quarantine)


def _key_name(request: Request, services: Services) -> str:
    if services.settings.auth.mode == "open":
        return "open"
    key = DoorRequest(request.scope, request.receive).bearer()
    return services.keys.holder(key, _SCOPE).name
