"""Ports about decisions of consent: what is kept of each, and where."""

from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol

import msgspec

from candor.kernel.errors import UnavailableError


class DecisionRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One decision as the log keeps it, in the order of its table's columns; pseudonyms only.

    ``identifiers`` are the person's other subject keys that were considered. ``ledger_turn`` is the
    last transaction of the ledger that was seen, so that the decision can be made again.
    """

    id: str
    at: datetime
    subject_key: str
    identifiers: tuple[str, ...]
    purpose: str
    channel: str
    stage: str
    jurisdictions: tuple[str, ...]
    recipient: str
    gpc: bool
    allow: bool
    reason: str
    rule: str
    evidence: str
    notice: str
    valid_until: datetime | None
    obligations: tuple[str, ...]
    ledger_turn: int
    as_of: datetime | None
    entry_decision: str
    caller: str


class DecisionLog(Protocol):
    """Keeps every decision. What it has taken survives this process."""

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        """Return the fate of rows (a ``DecisionRecord`` as JSON a line): done when on the disk.

        The future fails with UnavailableError when they could not be written; none of them is
        kept then.
        """

    def flush(self) -> None:
        """Return when all that was appended can be queried.

        Raises:
            UnavailableError: that took too long.
        """


class NoDecisionLog:
    """The log of a process without a disk for one: it takes nothing, so nothing is allowed."""

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        """Return a fate that failed."""
        del rows, count
        fate: Future[Any] = Future()
        fate.set_exception(UnavailableError("This process keeps no log of decisions."))
        return fate

    def flush(self) -> None:
        """Return: there is nothing to wait for."""
