"""The funnel endpoint under /api/v1."""

from typing import Any

from fastapi import APIRouter

from candor.kernel.http import ServicesDep, requires
from slo.journeys.funnel import tally
from slo.journeys.schemas import FunnelBody, funnel_document
from slo.journeys.store import read_units

router = APIRouter(prefix="/api/v1", tags=["journeys"])


@router.post("/funnels/query", dependencies=[requires("slo:read")])
def query_funnel(body: FunnelBody, services: ServicesDep) -> dict[str, Any]:
    """Count how far each person or instance got through ordered steps."""
    query = body.query(services.clock())
    units = read_units(services.telemetry, query)
    total, groups = tally(units, len(query.steps), query.window)
    return funnel_document(body, total, groups)
