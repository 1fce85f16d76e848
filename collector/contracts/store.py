"""Contracts in the state store: registered once, read by name and version."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, NotFoundError
from collector.contracts.compilation import compile_schema
from collector.contracts.contract import Contract, SchemaVer, contract_of
from collector.contracts.tables import ContractRow


@dataclass(frozen=True, slots=True)
class Registered:
    """A contract and when it was registered."""

    contract: Contract
    registered_at: datetime


def register(session: Session, contract: Contract, at: datetime) -> bool:
    """Store a version and return whether it is new; the same once more changes nothing.

    Raises:
        ConflictError: that version is registered with other content.
        InvalidInputError: its schema cannot be used.
    """
    row = session.get(ContractRow, (contract.name, str(contract.version)))
    if row is None:
        compile_schema(contract.schema)
        row = ContractRow(
            name=contract.name,
            version=str(contract.version),
            definition=contract.definition(),
            registered_at=at,
        )
        session.add(row)
        session.flush()
        return True
    if row.definition != contract.definition():
        raise ConflictError(
            f"{contract.reference} is registered with other content, and a version never changes."
            " Register a new version."
        )
    return False


def find_contract(session: Session, name: str, version: SchemaVer) -> Registered:
    """Return one version of a contract.

    Raises:
        NotFoundError: it is not registered.
    """
    row = session.get(ContractRow, (name, str(version)))
    if row is None:
        raise NotFoundError("No such version is registered. `candor contract list` shows all.")
    return _registered(row)


def all_contracts(session: Session, name: str | None = None) -> list[Registered]:
    """Return every version of every contract, or of one, by name and version."""
    chosen = select(ContractRow)
    if name is not None:
        chosen = chosen.where(ContractRow.name == name)
    found = [_registered(row) for row in session.scalars(chosen)]
    return sorted(found, key=lambda one: (one.contract.name, one.contract.version))


def references(session: Session) -> list[tuple[str, str]]:
    """Return the name and version of everything that is registered."""
    rows = session.execute(select(ContractRow.name, ContractRow.version))
    return [(name, version) for name, version in rows]


def _registered(row: ContractRow) -> Registered:
    contract = contract_of(row.name, SchemaVer.parse(row.version), row.definition)
    return Registered(contract, row.registered_at)
