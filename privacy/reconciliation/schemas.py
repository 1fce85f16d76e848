"""A connector as a file describes it, and what a run found."""

from datetime import timedelta
from typing import Annotated, Any, Literal

import yaml
from jsonpointer import JsonPointer, JsonPointerException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from candor.kernel.errors import InvalidInputError, MalformedError
from candor.kernel.input_faults import invalid_input
from privacy.reconciliation.connector import Connector, Reading, Request, Theirs
from privacy.reconciliation.run import Report

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def _pointer(text: str) -> str:
    try:
        JsonPointer(text)
    except JsonPointerException:
        raise ValueError("no JSON pointer") from None
    return text


Pointer = Annotated[str, Field(max_length=500), AfterValidator(_pointer)]
State = Annotated[str, Field(max_length=100)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$")]


class Body(BaseModel):
    """What every part of a description keeps to."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class RequestBody(Body):
    """A request."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Annotated[str, Field(pattern="^/", max_length=2000)]
    query: dict[str, str] = {}
    body: Any = None

    def request(self) -> Request:
        """Return the request."""
        return Request(self.method, self.path, self.query, self.body)


class ReadBody(Body):
    """How the state is read."""

    request: RequestBody
    state: Pointer
    states: Annotated[dict[State, Theirs], Field(min_length=1)]
    contains: str | None = None
    exists: Pointer | None = None
    absent: list[Annotated[int, Field(ge=400, le=499)]] = [404]
    changed_at: Pointer | None = None
    remember: dict[Name, Pointer] = {}

    @field_validator("states", mode="before")
    @classmethod
    def _words(cls, states: object) -> object:
        """Take the booleans and numbers that YAML reads for the words that JSON has for them."""
        if not isinstance(states, dict):
            return states
        return {_json_word(name): meaning for name, meaning in states.items()}


class WriteBody(Body):
    """How a withdrawal is written."""

    request: RequestBody


class RateBody(Body):
    """So many requests in a time."""

    requests: Annotated[int, Field(ge=1)]
    per: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[smh]$")] = "1s"

    def pause(self) -> timedelta:
        """Return the time from one request to the next."""
        seconds = int(self.per[:-1]) * _SECONDS[self.per[-1]]
        return timedelta(seconds=seconds) / self.requests


class ConnectorBody(Body):
    """A connector."""

    connector: Word
    base: Annotated[str, Field(pattern="^https?://", max_length=2000)]
    subject: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    purpose: Word
    channel: Word
    recipient: Word | None = None
    jurisdictions: list[Word] = []
    unproven: Literal["withdraw", "report"] = "withdraw"
    variables: dict[Name, str | int] = {}
    headers: dict[str, str] = {}
    rate: RateBody | None = None
    read: ReadBody
    write: WriteBody

    def made(self) -> Connector:
        """Return the connector.

        Raises:
            InvalidInputError: it mentions a name that nothing gives.
        """
        read = self.read
        reading = Reading(
            read.request.request(),
            read.state,
            read.states,
            read.contains,
            read.exists,
            tuple(read.absent),
            read.changed_at,
            read.remember,
        )
        return Connector(
            self.connector,
            self.base,
            self.subject,
            self.purpose,
            self.channel,
            reading,
            self.write.request.request(),
            self.headers,
            {name: str(value) for name, value in self.variables.items()},
            self.recipient,
            tuple(self.jurisdictions),
            self.unproven,
            self.rate.pause() if self.rate else timedelta(0),
        )


def read_connector(text: bytes, environment: dict[str, str]) -> Connector:
    """Return the connector that a YAML document describes; ``{env: NAME}`` is taken from there.

    Raises:
        MalformedError: it is no YAML.
        InvalidInputError: it describes none, or a variable is not set; the place is named.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The document is no YAML that can be read.") from None
    try:
        return ConnectorBody.model_validate(_with_environment(document, environment)).made()
    except ValidationError as error:
        raise invalid_input(error) from None


def _with_environment(value: Any, environment: dict[str, str]) -> Any:  # noqa: ANN401 - any YAML value
    if isinstance(value, dict):
        if set(value) == {"env"}:
            name = str(value["env"])
            if not environment.get(name):
                raise InvalidInputError(f"The variable {name} is not set.", path=name)
            return environment[name]
        return {name: _with_environment(one, environment) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_environment(one, environment) for one in value]
    return value


def _json_word(name: object) -> str:
    if isinstance(name, bool):
        return "true" if name else "false"
    return "null" if name is None else str(name)


def report_document(report: Report) -> dict[str, Any]:
    """Return what a run found and did; persons are pseudonyms."""
    return {
        "connector": report.connector,
        "dry_run": report.dry_run,
        "started_at": report.started_at.isoformat(),
        "compared": sum(report.findings.values()),
        "findings": dict(report.findings),
        "done": dict(report.done),
        "faults": dict(report.faults),
        "drift": [
            {
                "subject_key": one.subject_key,
                "finding": one.finding,
                "ours": one.ours,
                "theirs": one.theirs,
                "done": one.done,
            }
            for one in report.named
        ],
    }
