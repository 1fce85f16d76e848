"""The other system, over HTTP: one person at a time, no faster than it allows.

A fault is told by its kind alone, and no address is: it may name the person.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
from jsonpointer import JsonPointerException, resolve_pointer

from candor.kernel.errors import UnavailableError
from privacy.reconciliation.connector import SUBJECT, Connector, Reading, Request, Theirs
from privacy.reconciliation.template import filled, filled_path, filled_pointer

Sleep = Callable[[float], None]
_SECONDS = 20.0
_TRIES = 4
_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 120.0
_MOST_TIME = 64
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Found:
    """What the other system believes of a person, in its own word, and what that was read from."""

    theirs: Theirs
    word: str
    digest: str
    changed_at: str | None
    remembered: Mapping[str, Any]


class UnreadableError(UnavailableError):
    """The other system answers with what its description does not know."""


class Remote:
    """Asks one system, and tells it of withdrawals."""

    def __init__(self, connector: Connector, client: httpx.Client, sleep: Sleep) -> None:
        self._connector = connector
        self._client = client
        self._sleep = sleep
        self._next_at = 0.0

    def state_of(self, identifier: str) -> Found:
        """Return what the system believes of a person.

        Raises:
            UnavailableError: it does not answer, or not as its description says.
        """
        reading = self._connector.reading
        values = self._values(identifier)
        answer = self._send(reading.request, values)
        digest = sha256(answer.content).hexdigest()
        if answer.status_code in reading.absent:
            return Found("absent", f"status {answer.status_code}", digest, None, {})
        if not answer.is_success:
            raise UnavailableError(f"It answers with status {answer.status_code}.")
        try:
            document = answer.json()
        except ValueError:
            raise UnreadableError("It answers with something else than JSON.") from None
        theirs, word = _state(reading, document, values)
        changed_at = _at(document, reading.changed_at, values) if reading.changed_at else None
        remembered = {
            name: _at(document, pointer, values, None) for name, pointer in reading.remember.items()
        }
        told = changed_at[:_MOST_TIME] if isinstance(changed_at, str) else None
        return Found(theirs, word, digest, told, remembered)

    def withdraw(self, identifier: str, remembered: Mapping[str, Any]) -> None:
        """Write a withdrawal there.

        Raises:
            UnavailableError: it does not take it.
        """
        values = self._values(identifier) | dict(remembered)
        answer = self._send(self._connector.writing, values)
        if not answer.is_success:
            raise UnavailableError(f"It answers with status {answer.status_code}.")

    def _values(self, identifier: str) -> dict[str, Any]:
        return {**self._connector.variables, SUBJECT: identifier}

    def _send(self, request: Request, values: Mapping[str, Any]) -> httpx.Response:
        """Return the answer, after some tries where it says that it has none now."""
        connector = self._connector
        headers = filled(dict(connector.headers), values)
        body = None if request.body is None else json.dumps(filled(request.body, values)).encode()
        if body is not None:
            headers = {"content-type": "application/json"} | headers
        for tries_left in reversed(range(_TRIES)):
            self._keep_pace()
            try:
                answer = self._client.request(
                    request.method,
                    connector.base.rstrip("/") + filled_path(request.path, values),
                    params=filled(dict(request.query), values) or None,
                    content=body,
                    headers=headers,
                )
            except httpx.HTTPError as error:
                if not tries_left:
                    raise UnavailableError(
                        f"It does not answer ({type(error).__name__})."
                    ) from None
                self._sleep(_PAUSE_SECONDS)
                continue
            if answer.status_code not in {429, 502, 503, 504} or not tries_left:
                return answer
            self._sleep(_pause_of(answer))
        raise AssertionError  # the last try returned or raised

    def _keep_pace(self) -> None:
        now = time.monotonic()
        if now < self._next_at:
            self._sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + self._connector.pause / timedelta(seconds=1)


@contextmanager
def open_remote(connector: Connector, sleep: Sleep = time.sleep) -> Iterator[Remote]:
    """Give the way to another system."""
    with httpx.Client(timeout=_SECONDS) as client:
        yield Remote(connector, client, sleep)


def _state(reading: Reading, document: Any, values: Mapping[str, Any]) -> tuple[Theirs, str]:  # noqa: ANN401 - a JSON document
    if reading.exists is not None and _at(document, reading.exists, values) is _MISSING:
        return "absent", "not there"
    value = _at(document, reading.state, values)
    if reading.contains is not None:
        wanted = filled(reading.contains, values)
        entries = [] if value is None or value is _MISSING else value
        if not isinstance(entries, list):
            raise UnreadableError("The state is no list.")
        word = "listed" if wanted in map(str, entries) else "unlisted"
    else:
        word = _word(value)
    theirs = reading.states.get(word)
    if theirs is None:
        raise UnreadableError("The state is a value that the description does not name.")
    return theirs, word


def _word(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a value as a description names it: ``missing``, ``true``, ``null`` or its text."""
    if value is _MISSING:
        return "missing"
    return value if isinstance(value, str) else json.dumps(value)


def _at(
    document: Any,  # noqa: ANN401 - a JSON document
    pointer: str,
    values: Mapping[str, Any],
    default: Any = _MISSING,  # noqa: ANN401 - any JSON value
) -> Any:  # noqa: ANN401 - as above
    try:
        return resolve_pointer(document, filled_pointer(pointer, values), default)
    except JsonPointerException:  # it leads into a list by a name
        return default


def _pause_of(answer: httpx.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return min(float(told), _LONGEST_PAUSE_SECONDS) if told.isdigit() else _PAUSE_SECONDS
