"""What an objective counts: which events are valid, and which of them are good."""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

Scalar = str | int | float | bool
Operator = Literal["any", "ne", "gt", "gte", "lt", "lte", "prefix", "exists"]
Comparison = Literal["gt", "gte", "lt", "lte"]
Signal = Literal["events", "spans", "logs", "metrics", "vitals", "checks", "prometheus"]
COMPARED: Mapping[Comparison, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
"""Whether a value compares so with a limit."""

OPERATORS: dict[str, Comparison] = {"lte": "lte", "gte": "gte", "lt": "lt", "gt": "gt"}

TEXT_FIELDS = frozenset(
    {
        "name",
        "schema",
        "journey",
        "instance",
        "step",
        "outcome",
        "channel",
        "service",
        "error_code",
        "experiment",
        "variant",
        "currency",
    }
)
NUMBER_FIELDS = frozenset({"duration_ms", "amount"})
FRESHNESS = "freshness_minutes"
"""What a threshold names to be about the age of the newest event."""

ATTRIBUTE_PREFIX = "attributes."
CHECK_TEXT_FIELDS = frozenset(
    {"check", "journey", "step", "location", "outcome", "reason", "ends_run"}
)
CHECK_NUMBER_FIELDS = frozenset({"status", "duration_ms", "first_byte_ms", "connect_ms", "tls_ms"})


@dataclass(frozen=True, slots=True)
class Fields:
    """What a filter over one signal may name; a name means the same in every signal."""

    text: frozenset[str]
    number: frozenset[str]
    has_attributes: bool = False


FIELDS: dict[Signal, Fields] = {
    "events": Fields(TEXT_FIELDS, NUMBER_FIELDS, has_attributes=True),
    "spans": Fields(
        frozenset({"name", "service", "kind", "status_code"}),
        frozenset({"duration_ms"}),
        has_attributes=True,
    ),
    "logs": Fields(
        frozenset({"name", "service", "severity"}),
        frozenset({"severity_number"}),
        has_attributes=True,
    ),
    "vitals": Fields(
        frozenset(
            {"name", "page", "device", "rating", "navigation_type", "journey", "step", "source"}
        ),
        frozenset({"value"}),
    ),
    "metrics": Fields(frozenset({"name", "service"}), frozenset({"value"}), has_attributes=True),
    "checks": Fields(CHECK_TEXT_FIELDS, CHECK_NUMBER_FIELDS),
    "prometheus": Fields(frozenset({"source", "outcome"}), frozenset()),
}
ASKABLE: tuple[Signal, ...] = ("events", "spans", "logs", "metrics", "vitals", "checks")
"""The signals that a document may name; ``prometheus`` is what was read there for it."""

ALL_NUMBER_FIELDS = frozenset[str]().union(*(fields.number for fields in FIELDS.values()))
ALL_TEXT_FIELDS = frozenset[str]().union(*(fields.text for fields in FIELDS.values()))


@dataclass(frozen=True, slots=True)
class Condition:
    """One field compared with one or more values; ``any`` means equal to one of them."""

    field: str
    operator: Operator
    values: tuple[Scalar, ...]


Filter = tuple[Condition, ...]
"""Conditions that must all hold; none at all holds for every event."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A value is good when it compares so with the limit; events without it are not valid."""

    value: str
    operator: Comparison
    limit: float


@dataclass(frozen=True, slots=True)
class Indicator:
    """Which events count.

    ``valid`` chooses the events; of these, the good ones match ``good`` (or, when ``inverted``, do
    not match it), or keep the threshold. Its events are those of ``signal``: journey events, spans,
    log records, web vitals of page views, the steps of synthetic checks, or what
    counters, gauges and histograms counted. With ``freshness`` what
    counts are minutes: a minute is good when a valid event is no older than that at its end.
    """

    valid: Filter
    good: Filter = field(default=())
    inverted: bool = False
    threshold: Threshold | None = None
    signal: Signal = "events"
    freshness: timedelta | None = None


def is_known_field(name: str, signal: Signal = "events") -> bool:
    """Whether a filter may name this field of a signal."""
    fields = FIELDS[signal]
    if name.startswith(ATTRIBUTE_PREFIX):
        return fields.has_attributes and len(name) > len(ATTRIBUTE_PREFIX)
    return name in fields.text or name in fields.number


def text_field_fault(name: str, signal: Signal) -> str | None:
    """Return why the values of a field cannot tell the events of a signal apart; none if they can.

    A text can, a number cannot.
    """
    fields = FIELDS[signal]
    if name in fields.text or (is_known_field(name, signal) and name not in fields.number):
        return None
    known = sorted(fields.text) + ["attributes.KEY"] * fields.has_attributes
    return f"{signal.capitalize()} can be told apart by {', '.join(known)}."
