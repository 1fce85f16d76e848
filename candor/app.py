"""create_app(): the framework with its routers and problem handlers, behind the hot doors."""

from typing import Any

from fastapi import FastAPI

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
    )
    framework.include_router(operations.router)
    framework.include_router(contract_routes.router)
    framework.include_router(quarantine_routes.router)
    framework.include_router(slo_routes.router)
    framework.include_router(governance_routes.router)
    framework.include_router(alert_routes.router)
    framework.include_router(funnel_routes.router)
    framework.include_router(consent_routes.router)
    framework.include_router(pii_routes.router)
    framework.include_router(investigation_routes.router)
    framework.include_router(propagation_routes.router)
    framework.include_router(subject_routes.router)
    framework.include_router(audit_routes.router)
    framework.include_router(vault_routes.router)
    framework.include_router(person_routes.people)
    framework.include_router(person_routes.router)
    install_problem_handlers(framework)

    def documented() -> dict[str, Any]:
        if framework.openapi_schema is None:
            framework.openapi_schema = document(framework)
        return framework.openapi_schema

    framework.openapi = documented  # type: ignore[method-assign]  # FastAPI's documented way
    return framework
