"""What an objective counts: which events are valid, and which of them are good."""

from dataclasses import dataclass, field
from typing import Literal

Scalar = str | int | float | bool
Operator = Literal["any", "ne", "gt", "gte", "lt", "lte", "prefix", "exists"]
Comparison = Literal["gt", "gte", "lt", "lte"]
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
ATTRIBUTE_PREFIX = "attributes."


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
    not match it), or keep the threshold.
    """

    valid: Filter
    good: Filter = field(default=())
    inverted: bool = False
    threshold: Threshold | None = None


def is_known_field(name: str) -> bool:
    """Whether a filter may name this field of an event."""
    if name.startswith(ATTRIBUTE_PREFIX):
        return len(name) > len(ATTRIBUTE_PREFIX)
    return name in TEXT_FIELDS or name in NUMBER_FIELDS
