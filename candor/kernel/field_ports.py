"""Ports about the fields of events: what contracts say of them, and where personal data lies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Protocol, get_args

Action = Literal["allow", "drop", "mask", "hash", "tokenise", "encrypt", "quarantine"]
ACTIONS: tuple[Action, ...] = get_args(Action)
"""What can become of personal data, from the mildest: the latest of two that meet decides."""


class ContractMarks(Protocol):
    """Tells what contracts say of the fields of their events."""

    def marks(self, schema: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the ``paths`` of a contract by JSON pointer; none for an unknown schema.

        The same object as long as nothing has changed. Raises UnavailableError when it cannot be
        told now.
        """


class DataMap(Protocol):
    """Where personal data lies, as far as anybody knows."""

    def add_field(self, source: str, path: str, entity: str, at: datetime) -> None:
        """Take note that somebody confirmed personal data in a field of a source's events."""


class NoMarks:
    """The contracts of an installation that has none."""

    def marks(self, schema: str) -> Mapping[str, Mapping[str, Any]]:
        """Return no marks."""
        del schema
        return {}


class NoDataMap:
    """The data map of an installation without one."""

    def add_field(self, source: str, path: str, entity: str, at: datetime) -> None:
        """Take no note."""
