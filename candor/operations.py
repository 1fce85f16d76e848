"""What operators and their tools ask a running Candor: alive, ready, measured, documented."""

import asyncio
import os
from collections.abc import Callable
from html import escape
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy import text
from starlette.staticfiles import StaticFiles

from candor.kernel.database import session_of
from candor.kernel.errors import CandorError
from candor.kernel.http import ServicesDep
from candor.kernel.services import Services
from collector.assembly import Collector

router = APIRouter()
_READY_SECONDS = 2.0
_VIEWER = ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png")
_PLACES = {
    "docs": "/docs",
    "openapi": "/openapi.json",
    "live": "/livez",
    "ready": "/readyz",
    "metrics": "/metrics",
}
_TOLD = {
    "docs": "the API, to read and to try",
    "openapi": "the same for machines",
    "live": "whether the process answers",
    "ready": "whether its stores, spool and disk do",
    "metrics": "what it measures of itself, for Prometheus",
}


def collector_of(request: Request) -> Collector:
    """Return the collector of the application that this request reached."""
    collector: Collector = request.app.state.collector
    return collector


@router.get("/", include_in_schema=False)
def root(request: Request) -> Response:
    """Say what this is and where to go on, as a page or as JSON; the pages will take its place."""
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"name": "Candor"} | _PLACES)
    items = "".join(
        f'<li><a href="{path}">{path}</a> {escape(_TOLD[name])}</li>'
        for name, path in _PLACES.items()
    )
    return HTMLResponse(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Candor</title>'
        f"<h1>Candor</h1><p>It runs.</p><ul>{items}</ul></html>"
    )


@router.get("/livez", tags=["operations"])
def livez() -> dict[str, str]:
    """Say that the process answers; touches no store."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operations"])
async def readyz(
    services: ServicesDep, collector: Annotated[Collector, Depends(collector_of)]
) -> JSONResponse:
    """Ask both stores, the spool and its disk, each within two seconds; 503 names what failed."""
    checks: dict[str, Callable[[], object]] = {
        "state": lambda: _ask_state(services),
        "telemetry": lambda: services.telemetry.query("SELECT 1 AS one"),
        "spool": collector.spool.refuse_when_full,
    }
    results = await asyncio.gather(*(_outcome(check) for check in checks.values()))
    components = dict(zip(checks, results, strict=True))
    ready = all(result == "ok" for result in components.values())
    return JSONResponse(
        {"status": "ok" if ready else "unavailable", "components": components},
        200 if ready else 503,
    )


@router.get("/metrics", tags=["operations"], response_class=Response)
def metrics(services: ServicesDep) -> Response:
    """Return Candor's own measurements in the text format of Prometheus."""
    return Response(services.metrics.exposition(), media_type=services.metrics.content_type)


@router.get("/docs", include_in_schema=False)
def docs() -> HTMLResponse:
    """Show the API with its own copy of the viewer; nothing is fetched from outside."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Candor API",
        swagger_js_url="/docs/assets/swagger-ui-bundle.js",
        swagger_css_url="/docs/assets/swagger-ui.css",
        swagger_favicon_url="/docs/assets/favicon-32x32.png",
    )


class _Viewer(StaticFiles):
    """Swagger UI from the package that carries it; the Python beside it is not served."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if path in _VIEWER else ("", None)


router.mount("/docs/assets", _Viewer(packages=[("fastapi_swagger", "resources")]))


def _ask_state(services: Services) -> None:
    with session_of(services.engine) as session:
        session.execute(text("SELECT 1"))


async def _outcome(check: Callable[[], object]) -> str:
    """Return "ok", or one sentence about what is wrong."""
    try:
        await asyncio.wait_for(asyncio.to_thread(check), _READY_SECONDS)
    except CandorError as error:
        return error.detail
    except TimeoutError:
        return f"No answer within {_READY_SECONDS:g} seconds."
    return "ok"
