"""How the state of a person is read from another system, and how a withdrawal is written there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from candor.kernel.errors import InvalidInputError
from privacy.reconciliation.template import names_in

Theirs = Literal["allows", "denies", "absent"]
"""What another system believes of a person; ``absent`` when it knows nobody, or no choice."""
SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Request:
    """A request of which the texts are filled for each person."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Reading:
    """Where in an answer the state of a person stands.

    ``state`` is a JSON pointer, ``states`` what its values mean. With ``contains`` it points to a
    list, and the values are ``listed`` and ``unlisted``. A person is absent where ``absent`` names
    the status or nothing stands at ``exists``. ``remember`` are values for the writing.
    """

    request: Request
    state: str
    states: Mapping[str, Theirs]
    contains: str | None = None
    exists: str | None = None
    absent: tuple[int, ...] = (404,)
    changed_at: str | None = None
    remember: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connector:
    """Another system, by what it is to be asked for one purpose on one channel.

    ``subject`` is the type of the identifier that it knows people by. ``unproven`` says what
    becomes of somebody whom it allows and who never said yes or no here. ``pause`` is the time from
    one request to the next.
    """

    name: str
    base: str
    subject: str
    purpose: str
    channel: str
    reading: Reading
    writing: Request
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    recipient: str | None = None
    jurisdictions: tuple[str, ...] = ()
    unproven: Literal["withdraw", "report"] = "withdraw"
    pause: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        reading, writing = self.reading, self.writing
        known = {SUBJECT, *self.variables}
        read = [reading.request.path, dict(reading.request.query), reading.request.body]
        read += [reading.state, reading.contains, reading.exists, reading.changed_at]
        read += [dict(reading.remember)]
        _check_names(read, known, "read")
        _check_names(dict(self.headers), set(self.variables), "headers")
        written = [writing.path, dict(writing.query), writing.body]
        _check_names(written, known | set(reading.remember), "write")
        if reading.contains is not None and set(reading.states) != {"listed", "unlisted"}:
            raise InvalidInputError(
                "With contains, the states are listed and unlisted.", path="read.states"
            )


def _check_names(value: Any, known: set[str], path: str) -> None:  # noqa: ANN401 - any JSON value
    unknown = names_in(value) - known
    if unknown:
        raise InvalidInputError(
            f"Nothing gives {', '.join(sorted(unknown))}. Say it under variables or remember.",
            path=path,
        )
