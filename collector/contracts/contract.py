"""A contract: one version of an event's schema, and what was agreed about it beside the schema.

Source: SchemaVer (MODEL-REVISION-ADDITION), for the meaning of the three numbers.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from candor.kernel.errors import InvalidInputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_VERSION = re.compile(r"([1-9]\d{0,5})-(0|[1-9]\d{0,5})-(0|[1-9]\d{0,5})", re.ASCII)
_POINTER = re.compile(r"(/([^/~]|~[01])*)+")
_CLASS = re.compile(r"enum|free_text|skip|personal:[A-Z][A-Z0-9_]*")

WithoutConsent = Literal["refuse", "strip"]
"""What becomes of an event whose person does not allow its purposes: it is refused, or stripped."""
Rule = str | list[str] | dict[str, Any] | None
"""A rule as it was agreed: a sentence, names, or a structure of the owner's own."""


@dataclass(frozen=True, slots=True, order=True)
class SchemaVer:
    """A version of a schema: ADDITION keeps all events valid both ways, REVISION may not keep some,
    MODEL breaks with what came before. Versions of one contract are ordered.
    """

    model: int
    revision: int
    addition: int

    def __str__(self) -> str:
        """Return it as it is written: ``1-0-2``."""
        return f"{self.model}-{self.revision}-{self.addition}"

    @classmethod
    def parse(cls, text: str) -> "SchemaVer":
        """Return the version that ``text`` spells.

        Raises:
            InvalidInputError: it is no MODEL-REVISION-ADDITION.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            raise InvalidInputError(
                "A version reads MODEL-REVISION-ADDITION and begins at 1-0-0.", path="version"
            )
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def next_model(self) -> "SchemaVer":
        """Return the version that breaks with this one."""
        return SchemaVer(self.model + 1, 0, 0)

    def next_revision(self) -> "SchemaVer":
        """Return the version that may not keep some of this one's events."""
        return SchemaVer(self.model, self.revision + 1, 0)

    def next_addition(self) -> "SchemaVer":
        """Return the version that keeps all of this one's events."""
        return SchemaVer(self.model, self.revision, self.addition + 1)


@dataclass(frozen=True, slots=True)
class Contract:
    """One registered version; it never changes. ``schema`` describes an event in the native form.

    ``paths`` says, by JSON pointer, what kind of value stands where.
    """

    name: str
    version: SchemaVer
    schema: Mapping[str, Any]
    owner: str = ""
    purposes: tuple[str, ...] = ()
    dedupe_key: Rule = None
    reentry: Rule = None
    failure_path: Rule = None
    paths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    without_consent: WithoutConsent = "refuse"

    def __post_init__(self) -> None:
        check_name(self.name)
        for pointer, treatment in self.paths.items():
            if not _POINTER.fullmatch(pointer):
                raise InvalidInputError(
                    "A path is a JSON pointer such as /attributes/plan.", path="paths"
                )
            if not _CLASS.fullmatch(str(treatment.get("class"))):
                raise InvalidInputError(
                    "The class of a path is enum, free_text, skip or personal:ENTITY.",
                    path=f"paths.{pointer}.class",
                )

    @property
    def reference(self) -> str:
        """How an event names it: ``checkout.payment/1-0-0``."""
        return f"{self.name}/{self.version}"

    def definition(self) -> dict[str, Any]:
        """Return everything that was agreed, as a JSON object without name and version."""
        return {
            "schema": dict(self.schema),
            "owner": self.owner,
            "purposes": list(self.purposes),
            "dedupe_key": self.dedupe_key,
            "reentry": self.reentry,
            "failure_path": self.failure_path,
            "paths": {pointer: dict(treatment) for pointer, treatment in self.paths.items()},
            **({"without_consent": "strip"} if self.without_consent == "strip" else {}),
        }


def contract_of(name: str, version: SchemaVer, definition: Mapping[str, Any]) -> Contract:
    """Return the contract that ``Contract.definition`` described.

    Raises:
        InvalidInputError: a name, path or class is none.
    """
    return Contract(
        name,
        version,
        definition["schema"],
        definition["owner"],
        tuple(definition["purposes"]),
        definition["dedupe_key"],
        definition["reentry"],
        definition["failure_path"],
        definition["paths"],
        definition.get("without_consent", "refuse"),
    )


def parse_reference(text: str) -> tuple[str, SchemaVer]:
    """Return the name and version that a reference such as ``checkout.payment/1-0-0`` holds.

    Raises:
        InvalidInputError: it is none.
    """
    name, _, version = text.rpartition("/")
    check_name(name)
    return name, SchemaVer.parse(version)


def is_reference(text: str) -> bool:
    """Whether a text could name a contract; what could not is never repeated anywhere."""
    name, _, version = text.rpartition("/")
    return bool(_NAME.fullmatch(name) and _VERSION.fullmatch(version))


def check_name(name: str) -> None:
    """Return when a contract may bear that name.

    Raises:
        InvalidInputError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A contract's name has 1 to 120 letters, digits, dots, dashes or underscores.",
            path="name",
        )
