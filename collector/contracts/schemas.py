"""What the contract endpoints take and answer."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from candor.kernel.errors import InvalidInputError
from candor.kernel.field_ports import ACTIONS
from collector.contracts.compatibility import MODES, Mode, Report, compare
from collector.contracts.compilation import compile_schema, is_too_deep
from collector.contracts.contract import Contract, SchemaVer, WithoutConsent, check_name
from collector.contracts.governance import missing_items
from collector.contracts.store import Registered, all_contracts

_MOST_DEPTH = 60
Sentence = Annotated[str, Field(max_length=2000)]
Rule = Sentence | list[Sentence] | dict[str, Any] | None


class Treatment(BaseModel):
    """What kind of value stands at a path, and what is to be done with it."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, Field(alias="class", max_length=100)]
    action: Annotated[str, Field(max_length=100)] | None = None


class ContractBody(BaseModel):
    """A version to register."""

    model_config = ConfigDict(extra="forbid")

    definition: Annotated[dict[str, Any], Field(alias="schema")]
    owner: Annotated[str, Field(max_length=200)] = ""
    purposes: list[Annotated[str, Field(max_length=200)]] = []
    dedupe_key: Rule = None
    reentry: Rule = None
    failure_path: Rule = None
    paths: dict[str, Treatment] = {}
    without_consent: WithoutConsent = "refuse"

    def contract(self, name: str, version: str) -> Contract:
        """Return the contract that it describes.

        Raises:
            InvalidInputError: a name, version, path, class or action is none, or it is nested too
                deeply.
        """
        _check_actions(self.paths)
        rules = [self.definition, self.dedupe_key, self.reentry, self.failure_path]
        if is_too_deep(rules, _MOST_DEPTH):
            raise InvalidInputError("The contract is nested too deeply. Flatten it.")
        try:
            json.dumps(rules, allow_nan=False, ensure_ascii=False).encode()
        except ValueError:
            raise InvalidInputError("The contract holds a number or text that is none.") from None
        return Contract(
            name=name,
            version=SchemaVer.parse(version),
            schema=self.definition,
            owner=self.owner,
            purposes=tuple(self.purposes),
            dedupe_key=self.dedupe_key,
            reentry=self.reentry,
            failure_path=self.failure_path,
            paths={
                pointer: treatment.model_dump(by_alias=True, exclude_none=True)
                for pointer, treatment in self.paths.items()
            },
            without_consent=self.without_consent,
        )


def _check_actions(paths: Mapping[str, Treatment]) -> None:
    for pointer, treatment in paths.items():
        if treatment.action not in {None, *ACTIONS}:
            raise InvalidInputError(
                f"The action of a path is one of {', '.join(ACTIONS)}.",
                path=f"paths.{pointer}.action",
            )


class CompatibilityBody(BaseModel):
    """A schema to compare with what is registered."""

    model_config = ConfigDict(extra="forbid")

    version: str | None = None
    definition: Annotated[dict[str, Any], Field(alias="schema")]
    mode: Mode | Literal["none"] = "full"


def compared(session: Session, name: str, body: CompatibilityBody) -> Report:
    """Return how a schema stands to the registered versions below its own.

    Raises:
        InvalidInputError: the name, version or schema is none.
    """
    check_name(name)
    compile_schema(body.definition)
    limit = SchemaVer.parse(body.version) if body.version is not None else None
    earlier = [
        (one.contract.version, one.contract.schema)
        for one in all_contracts(session, name)
        if limit is None or one.contract.version < limit
    ]
    mode = body.mode if body.mode in MODES else "full"
    report = compare(body.definition, earlier, mode)
    return report if body.mode in MODES else Report((), report.suggested)


def contract_document(registered: Registered) -> dict[str, Any]:
    """Return a contract, and which lines of the checklist it leaves open."""
    contract = registered.contract
    document = {"name": contract.name, "version": str(contract.version)} | contract.definition()
    return document | {
        "missing": [item.key for item in missing_items(document)],
        "registered_at": registered.registered_at.isoformat(),
    }


def report_document(report: Report) -> dict[str, Any]:
    """Return what a comparison found."""
    return {
        "compatible": report.is_compatible,
        "breaks": [
            {
                "path": one.path,
                "rule": one.rule,
                "message": one.message,
                "direction": one.direction,
                "against": str(one.against),
            }
            for one in report.breaks
        ],
        "suggested_version": str(report.suggested),
    }
