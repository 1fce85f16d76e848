"""The endpoints of funnels and journeys under /api/v1."""

from typing import Any

from fastapi import APIRouter
from pydantic import AwareDatetime

from candor.kernel.http import ServicesDep, requires
from slo.journeys.funnel import tally
from slo.journeys.schemas import FunnelBody, funnel_document, span_of, step_document
from slo.journeys.steps import read_steps
from slo.journeys.store import read_units

router = APIRouter(prefix="/api/v1", tags=["journeys"])


@router.post("/funnels/query", dependencies=[requires("slo:read")])
def query_funnel(body: FunnelBody, services: ServicesDep) -> dict[str, Any]:
    """Count how far each person or instance got through ordered steps."""
    query = body.query(services.clock())
    units = read_units(services.telemetry, query)
    total, groups = tally(units, len(query.steps), query.window)
    return funnel_document(body, total, groups)


@router.get("/journeys/{name}/steps", dependencies=[requires("slo:read")])
def list_steps(
    name: str,
    services: ServicesDep,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
) -> list[dict[str, Any]]:
    """Return entries, ways on, errors and event latency of each step, the most entered first."""
    span = span_of(since, until, services.clock())
    return [step_document(report) for report in read_steps(services.telemetry, name, span)]
