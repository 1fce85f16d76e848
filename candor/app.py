"""create_app(): the framework with its routers and problem handlers, behind the hot doors."""

from functools import cache
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute

from candor import operations
from candor.documentation import document
from candor.kernel.http import Dispatcher
from candor.kernel.problems import install_problem_handlers
from candor.wiring import Installation
from collector import routes as collector_routes
from collector.contracts import routes as contract_routes
from collector.quarantine import routes as quarantine_routes
from dashboards import routes as person_routes
from privacy.audit import routes as audit_routes
from privacy.consent import doors as consent_doors
from privacy.consent import routes as consent_routes
from privacy.investigation import routes as investigation_routes
from privacy.pii import routes as pii_routes
from privacy.propagation import routes as propagation_routes
from privacy.subjects import routes as subject_routes
from privacy.vault import routes as vault_routes
from slo import routes as slo_routes
from slo.alerts import routes as alert_routes
from slo.governance import routes as governance_routes
from slo.journeys import routes as funnel_routes

_ROUTERS = (
    operations.router,
    contract_routes.router,
    quarantine_routes.router,
    slo_routes.router,
    governance_routes.router,
    alert_routes.router,
    funnel_routes.router,
    consent_routes.router,
    pii_routes.router,
    investigation_routes.router,
    propagation_routes.router,
    subject_routes.router,
    audit_routes.router,
    vault_routes.router,
    person_routes.people,
    person_routes.router,
)


def create_app(installation: Installation) -> Dispatcher:
    """Return the ASGI application of an open installation."""
    framework = create_framework()
    framework.state.services = installation.services
    framework.state.collector = installation.collector
    framework.state.consent = installation.consent
    framework.state.pii = installation.pii
    framework.state.desk = installation.desk
    doors = {
        **collector_routes.doors(installation.services, installation.collector),
        **consent_doors.doors(installation.services, installation.consent),
    }
    return Dispatcher(doors, framework, installation.services.tracer)


def create_framework() -> FastAPI:
    """Return the part that FastAPI owns; it documents the hot doors too."""
    framework = FastAPI(
        title="Candor",
        version="0.1.0",
        summary="The control plane between customer journeys and the promises made about them.",
        docs_url=None,
        redoc_url=None,
        routes=list(_routes()),
    )
    install_problem_handlers(framework)

    def documented() -> dict[str, Any]:
        if framework.openapi_schema is None:
            framework.openapi_schema = document(framework)
        return framework.openapi_schema

    framework.openapi = documented  # type: ignore[method-assign]  # FastAPI's documented way
    return framework


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Return the routes of every package.

    The framework works them out when they are first asked for; all applications of a process share
    what it found.
    """
    gathered = FastAPI(openapi_url=None)
    for router in _ROUTERS:
        gathered.include_router(router)
    return tuple(gathered.routes)
