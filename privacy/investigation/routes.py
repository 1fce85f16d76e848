"""Investigations under /api/v1/consent: the reach of invalid consent, and replays of the log."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from candor.kernel.http import ServicesDep, requires
from candor.kernel.services import Services
from privacy.consent.assembly import Consent
from privacy.investigation import schemas
from privacy.investigation.blast_radius import Evidence, affected_persons, blast_radius
from privacy.investigation.drift import replay

router = APIRouter(
    prefix="/api/v1/consent", tags=["consent"], dependencies=[requires("consent:read")]
)
_LINES = "application/x-ndjson"


@router.post("/blast-radius")
def measure(request: Request, body: schemas.DoubtBody, services: ServicesDep) -> dict[str, Any]:
    """Return how many uses relied on consents that are found invalid, by what they were for."""
    doubt, span = body.doubt(), body.span(services.clock())
    return schemas.radius_document(blast_radius(_evidence(request), doubt, span), body, span)


@router.post(
    "/blast-radius/persons",
    response_class=StreamingResponse,
    responses={200: {"description": "One affected person a line", "content": {_LINES: {}}}},
)
def list_affected(
    request: Request, body: schemas.PersonsBody, services: ServicesDep
) -> StreamingResponse:
    """Stream the persons whose data was used on the strength of invalid consent, by pseudonym."""
    doubt, span = body.doubt(), body.span(services.clock())
    found = affected_persons(_evidence(request), doubt, span, body.after)

    def lines() -> Iterator[str]:
        for subject_key, tally in islice(found, body.limit):
            yield json.dumps(schemas.person_document(subject_key, tally)) + "\n"

    return StreamingResponse(lines(), media_type=_LINES)


@router.post("/replay")
def replay_log(request: Request, body: schemas.SpanBody, services: ServicesDep) -> dict[str, Any]:
    """Make logged decisions again from the ledger, and name every one that differs."""
    span = body.span(services.clock())
    return schemas.drift_document(replay(_evidence(request), span), span)


def _evidence(request: Request) -> Evidence:
    """Return the stores, with everything in the log that was decided up to now."""
    services: Services = request.app.state.services
    consent: Consent = request.app.state.consent
    consent.log.flush()
    return Evidence(services.engine, consent.policies, services.telemetry)
