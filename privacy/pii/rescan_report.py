"""What a re-scan is asked for, and what it tells of each table: places, never a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from privacy.pii.finding import Located, field_of
from privacy.pii.transform import sample_of

_MOST_PLACES = 1000
_MOST_PATH = 300
ELSEWHERE = "*"
"""The path that stands for all others once a table has shown too many of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tables to look into (none: all), over which times, and whether to rewrite them.

    ``sample`` is about how many rows of each table are enough; without one, all are read.
    """

    tables: tuple[str, ...] = ()
    sample: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    applies: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "tables": list(self.tables),
            "sample": self.sample,
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
            "apply": self.applies,
        }


def wanted_of(document: Mapping[str, Any]) -> Wanted:
    """Return what ``Wanted.document`` described."""
    since, until = document["since"], document["until"]
    return Wanted(
        tuple(document["tables"]),
        document["sample"],
        None if since is None else datetime.fromisoformat(since),
        None if until is None else datetime.fromisoformat(until),
        document["apply"],
    )


@dataclass(slots=True)
class _Place:
    """A kind of personal data at a place: in how many rows, and what the policy does with it."""

    action: str
    sample: str
    is_declared: bool
    rows: int = 0
    last_row: tuple[int, int] = (-1, -1)


@dataclass(slots=True)
class TableTally:
    """What was found in one table so far.

    ``rows`` are those of its window, ``scanned`` those that were read, ``changing`` those that the
    policy would store otherwise, ``rewriting`` those that are about to be rewritten, and
    ``rewritten`` those that were.
    """

    table: str
    rows: int
    scanned: int = 0
    changing: int = 0
    rewriting: int = 0
    rewritten: int = 0
    unexamined: int = 0
    places: dict[tuple[str, str], _Place] = field(default_factory=dict)

    def note(
        self, row: tuple[int, int], located: Located, value: str, *, is_declared: bool
    ) -> None:
        """Count a finding; ``row`` is its page and its number there, in ascending order."""
        key = (field_of(located.path)[:_MOST_PATH], located.finding.entity)
        if key not in self.places and len(self.places) >= _MOST_PLACES:
            key = (ELSEWHERE, located.finding.entity)
        place = self.places.get(key)
        if place is None:
            shown = sample_of(value)
            place = self.places[key] = _Place(located.action, shown, is_declared)
        if place.last_row != row:
            place.rows, place.last_row = place.rows + 1, row

    def progress(self) -> dict[str, Any]:
        """Return how far it is, as a JSON object."""
        return {
            "table": self.table,
            "scanned": self.scanned,
            "rows": self.rows,
            "rewriting": self.rewriting,
        }

    def document(self) -> dict[str, Any]:
        """Return it as a JSON object, the places with most rows first."""
        ordered = sorted(self.places.items(), key=lambda one: (-one[1].rows, one[0]))
        return {
            "table": self.table,
            "rows": self.rows,
            "scanned": self.scanned,
            "changing": self.changing,
            "rewritten": self.rewritten,
            "unexamined": self.unexamined,
            "places": [
                {
                    "path": path,
                    "entity": entity,
                    "rows": one.rows,
                    "share": one.rows / self.scanned,
                    "sample": one.sample,
                    "action": one.action,
                    "declared": one.is_declared,
                }
                for (path, entity), one in ordered
            ],
        }
