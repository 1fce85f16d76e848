"""A journey event in the form in which it is stored, and the batch that a door makes of a request.

Fields stand in the order of the table's columns. What is absent is the empty string, as in the
table; numbers that are absent are ``None``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import msgspec

from candor.kernel.ports import Link, Refusal

Outcome = Literal["ok", "error", "rejected", "abandoned", "duplicate", "held", "resumed"]


class Event(msgspec.Struct, array_like=True, gc=False):
    """One stored event. ``subject_key`` is a pseudonym; ``attributes`` are values as JSON text."""

    id: str
    door: str
    name: str
    schema: str
    time: datetime
    received_at: datetime
    journey: str = ""
    instance: str = ""
    step: str = ""
    outcome: str = ""
    channel: str = ""
    service: str = ""
    duration_ms: float | None = None
    subject_key: str = ""
    subject_type: str = ""
    error_code: str = ""
    experiment: str = ""
    variant: str = ""
    amount: float | None = None
    currency: str = ""
    attributes: dict[str, msgspec.Raw] = {}

    @property
    def identity(self) -> str:
        """What makes two deliveries the same event: its door and the id that its sender gave."""
        return f"{self.door}:{self.id}"


COLUMNS: tuple[str, ...] = Event.__struct_fields__


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused event of a request: its position there, its id if it had one, and why."""

    index: int
    id: str | None
    refusal: Refusal


@dataclass(slots=True)
class Batch:
    """The events of one request, and those that its door could not read.

    ``indices[n]`` is the position of ``events[n]`` in the request, ``items[i]`` what was sent at
    position ``i``, and ``source`` who sent it. ``items`` are views of the request's body: they live
    as long as the request is decoded and judged, and no longer. ``links`` are what the request says
    about who is who, each with the position that said it.
    """

    door: str
    events: list[Event]
    indices: Sequence[int]
    rejections: list[Rejection] = field(default_factory=list)
    items: Sequence[bytes | msgspec.Raw] = ()
    source: str = ""
    links: list[tuple[int, Link]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of the events of one request; every one is in exactly one of the numbers.

    ``warnings`` name what was accepted, but not as the journey event that it was meant to be too.
    """

    accepted: int
    deduplicated: int
    quarantined: int
    rejections: Sequence[Rejection]
    warnings: Sequence[Rejection] = ()
