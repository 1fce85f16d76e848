"""The contract endpoints under /api/v1."""

from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Request, Response

from candor.kernel.database import session_of
from candor.kernel.http import ServicesDep, SessionDep, requires
from collector.contracts.contract import SchemaVer, check_name
from collector.contracts.register import ContractRegister
from collector.contracts.schemas import (
    CompatibilityBody,
    ContractBody,
    compared,
    contract_document,
    report_document,
)
from collector.contracts.store import all_contracts, find_contract, register

router = APIRouter(prefix="/api/v1", tags=["contracts"])
_CREATED, _SAME = 201, 200


class _RunningCollector(Protocol):
    @property
    def contracts(self) -> ContractRegister: ...


def _contracts_of(request: Request) -> ContractRegister:
    collector: _RunningCollector = request.app.state.collector
    return collector.contracts


@router.get("/contracts", dependencies=[requires("ingest")])
def list_contracts(session: SessionDep, name: str | None = None) -> list[dict[str, Any]]:
    """Return every version of every contract, or of one, by name and version."""
    if name is not None:
        check_name(name)
    return [contract_document(one) for one in all_contracts(session, name)]


@router.get("/contracts/{name}/{version}", dependencies=[requires("ingest")])
def show_contract(name: str, version: str, session: SessionDep) -> dict[str, Any]:
    """Return one version of a contract."""
    check_name(name)
    return contract_document(find_contract(session, name, SchemaVer.parse(version)))


@router.put("/contracts/{name}/{version}", dependencies=[requires("admin")], status_code=_CREATED)
def register_contract(  # noqa: PLR0913, PLR0917 - the parts of the request, and what it needs
    name: str,
    version: str,
    body: ContractBody,
    response: Response,
    services: ServicesDep,
    contracts: Annotated[ContractRegister, Depends(_contracts_of)],
) -> dict[str, Any]:
    """Register a version: 201 when it is new, 200 when it is there already, 409 when it differs."""
    contract = body.contract(name, version)
    with session_of(services.engine) as session:
        is_new = register(session, contract, services.clock())
        document = contract_document(find_contract(session, name, contract.version))
    contracts.refresh()
    response.status_code = _CREATED if is_new else _SAME
    return document


@router.post("/contracts/{name}/compatibility", dependencies=[requires("ingest")])
def check_compatibility(name: str, body: CompatibilityBody, session: SessionDep) -> dict[str, Any]:
    """Compare a schema with what is registered under that name; registers nothing."""
    return report_document(compared(session, name, body))
