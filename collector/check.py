"""A synthetic check: the steps of a journey as HTTP requests, and what each must answer.

Texts may hold places such as ``{{token}}``, which variables fill: those that the check declares,
and those that an earlier step saved from its response.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from candor.kernel.jobs import EPOCH

Scalar = str | int | float | bool
BodyKind = Literal["json", "form", "text"]
SaveKind = Literal["json", "header", "regex"]
Outcome = Literal["ok", "error"]
Reason = Literal[
    "",
    "status",
    "timeout",
    "connect",
    "tls",
    "save",
    "assertion:max_ms",
    "assertion:size",
    "assertion:header",
    "assertion:contains",
    "assertion:json",
]
"""Why a step failed, a closed list; ``connect`` is any exchange that broke off or never began."""

_PLACE = re.compile(r"\{\{\s*(?P<name>\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class FromEnvironment:
    """A variable whose value stands in the environment of the process, never in a file."""

    name: str


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: a JSON value, the fields of a form, or a text; with places."""

    kind: BodyKind
    content: Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request; address, headers and body have places."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body | None
    follows_redirects: bool


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be true of a response, all of it.

    Without ``status`` any below 400 will do. ``json`` has JSON pointers (RFC 6901).
    """

    status: frozenset[int]
    max_ms: float | None
    header: Mapping[str, str]
    contains: tuple[str, ...]
    json: Mapping[str, Scalar | None]


@dataclass(frozen=True, slots=True)
class Save:
    """A variable to take from a response: a JSON pointer, a header's name, or an expression."""

    name: str
    kind: SaveKind
    argument: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a journey."""

    name: str
    request: Request
    expect: Expectation
    saves: tuple[Save, ...]
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Check:
    """One journey that is walked at regular times."""

    name: str
    journey: str
    every: timedelta
    variables: Mapping[str, Scalar | FromEnvironment]
    steps: tuple[Step, ...]


class CheckResult(msgspec.Struct, array_like=True, gc=False):
    """One stored step of one run; fields stand in the order of the table's columns.

    ``time`` is when the run was due. ``ends_run`` is true of one step in each run, the one that
    failed or the last: counting these counts runs.
    """

    time: datetime
    received_at: datetime
    check: str
    journey: str
    step: str
    location: str
    outcome: Outcome
    reason: Reason
    ends_run: bool
    status: int | None
    duration_ms: float
    first_byte_ms: float | None
    connect_ms: float | None
    tls_ms: float | None

    @property
    def identity(self) -> str:
        """What makes two results the same step of the same run, whoever ran it."""
        milliseconds = (self.time - EPOCH) // timedelta(milliseconds=1)
        return f"check:{self.check}:{self.location}:{milliseconds}:{self.step}"


COLUMNS: tuple[str, ...] = CheckResult.__struct_fields__


def fill(template: Any, variables: Mapping[str, Scalar]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with its places filled, in keys too.

    A text that is nothing but one place takes the variable's own type.
    """
    if isinstance(template, Mapping):
        return {str(fill(k, variables)): fill(v, variables) for k, v in template.items()}
    if isinstance(template, list):
        return [fill(entry, variables) for entry in template]
    if not isinstance(template, str):
        return template
    if whole := _PLACE.fullmatch(template):
        return variables[whole["name"]]
    return fill_text(template, variables)


def fill_text(template: str, variables: Mapping[str, Scalar]) -> str:
    """Return a text with its places filled."""
    return _PLACE.sub(lambda place: as_text(variables[place["name"]]), template)


def places_in(template: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    """Return the names of the variables that a JSON value asks for."""
    if isinstance(template, Mapping):
        return {name for pair in template.items() for part in pair for name in places_in(part)}
    if isinstance(template, list):
        return {name for entry in template for name in places_in(entry)}
    return set(_PLACE.findall(template)) if isinstance(template, str) else set()


def as_text(value: Scalar) -> str:
    """Return a variable as it is written in JSON, a text without its quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)
