"""Where a budget went, and what it is for each value of a field: one objective, many values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from candor.kernel.errors import InvalidInputError
from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts
from slo.correction import without
from slo.evaluation import BudgetReading, read_budget
from slo.indicator import Condition, text_field_fault
from slo.objective import Objective
from slo.period import Period
from slo.store import count_by_value
from slo.window import EPOCH, Window

MOST_VALUES = 20
_MINUTES = (
    "Freshness counts minutes, which no value of a field brings. Ask for its budget by value."
)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a question about a budget is about: an instant, a period, and what is left out.

    Without a period it is the objective's own.
    """

    at: datetime
    period: Period | None = None
    gaps: Sequence[Window] = ()


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one value of a field adds: its events, and its shares of the bad ones and the budget.

    ``share_of_bad`` is none where nothing is bad; ``consumed`` is the share of the whole budget
    that its bad events used, none where nothing is valid. The values of a field add up to what the
    objective consumed, where it counts events and is no journey.
    """

    value: str | None
    counts: EventCounts
    share_of_bad: Fraction | None
    consumed: Fraction | None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Contributions, the greatest first, and what the values beyond them have together."""

    window: Window
    total: EventCounts
    contributions: tuple[Contribution, ...]
    others: Contribution | None
    other_values: int


def read_contributions(
    telemetry: TelemetryStore, objective: Objective, by: str, asking: Asking
) -> Breakdown:
    """Return which values of a field the bad events of a window come from.

    Events are counted, whatever the budgeting method; of a composite, those of all its parts. The
    bad events of a part use the budget by its weight; those of a journey's steps by their number.

    Cost: one query for each part.

    Raises:
        InvalidInputError: a part's signal has no such text field, or it counts minutes.
    """
    parts = _counts_by_value(telemetry, objective, by, asking)
    counts = _merged([own for _, own in parts])
    ordered = sorted(counts, key=lambda value: (-counts[value].bad, -counts[value].valid, value))
    whole = _total(counts.values())
    if objective.combination == "journey":
        parts = [(Fraction(1), counts)]

    def contribution(value: str | None, values: Sequence[str]) -> Contribution:
        own = _total(counts[one] for one in values)
        share = Fraction(own.bad, whole.bad) if whole.bad else None
        return Contribution(value, own, share, _consumed(parts, values, objective))

    rest = ordered[MOST_VALUES:]
    return Breakdown(
        _window(objective, asking),
        whole,
        tuple(contribution(value, [value]) for value in ordered[:MOST_VALUES]),
        contribution(None, rest) if rest else None,
        len(rest),
    )


def read_values(
    telemetry: TelemetryStore, objective: Objective, by: str, asking: Asking
) -> tuple[list[tuple[str, BudgetReading]], int]:
    """Return the budget of each value of a field, as if it were an objective of its own.

    The values with the most valid events, by value, and how many more there are. Each is counted
    by the objective's own method.

    Cost: that of ``read_contributions``, and of one budget for each value.
    """
    parts = _counts_by_value(telemetry, objective, by, asking, even_freshness=True)
    counts = _merged([own for _, own in parts])
    largest = sorted(counts, key=lambda value: (-counts[value].valid, value))[:MOST_VALUES]
    readings = [
        (
            value,
            read_budget(
                telemetry, only(objective, by, value), asking.at, asking.period, asking.gaps
            ),
        )
        for value in sorted(largest)
    ]
    return readings, len(counts) - len(largest)


def only(objective: Objective, by: str, value: str) -> Objective:
    """Return an objective that counts only what has this value in a field."""
    condition = Condition(by, "any", (value,))
    parts = tuple(
        replace(part, indicator=replace(part.indicator, valid=(*part.indicator.valid, condition)))
        for part in objective.parts
    )
    return replace(objective, parts=parts)


def _counts_by_value(
    telemetry: TelemetryStore,
    objective: Objective,
    by: str,
    asking: Asking,
    *,
    even_freshness: bool = False,
) -> list[tuple[Fraction, dict[str, EventCounts]]]:
    """Return the weight of each part and its events in the window so far, by value."""
    window, at = _window(objective, asking), asking.at
    span = Window(max(EPOCH, window.since), max(EPOCH, min(window.until, at)))
    windows = without(span, asking.gaps)
    parts: list[tuple[Fraction, dict[str, EventCounts]]] = []
    for part in objective.parts:
        fault = text_field_fault(by, part.indicator.signal)
        if fault is not None:
            raise InvalidInputError(fault, path="by")
        if not windows:
            continue
        if part.indicator.freshness is not None and not even_freshness:
            raise InvalidInputError(_MINUTES, path="by")
        indicator = replace(part.indicator, freshness=None)
        parts.append((part.weight, count_by_value(telemetry, indicator, windows, by)))
    return parts


def _window(objective: Objective, asking: Asking) -> Window:
    return (asking.period or objective.period).window(asking.at)


def _consumed(
    parts: Sequence[tuple[Fraction, Mapping[str, EventCounts]]],
    values: Sequence[str],
    objective: Objective,
) -> Fraction | None:
    """Return the share of the budget that the bad events of some values used."""
    measured = [
        (weight, counts, valid)
        for weight, counts in parts
        if (valid := _total(counts.values()).valid)
    ]
    if not measured:
        return None
    nothing = EventCounts(0, 0)
    bad, weights = Fraction(0), Fraction(0)
    for weight, counts, valid in measured:
        weights += weight
        bad += weight * Fraction(sum(counts.get(one, nothing).bad for one in values), valid)
    return bad / weights / (1 - Fraction(objective.target))


def _merged(parts: Sequence[Mapping[str, EventCounts]]) -> dict[str, EventCounts]:
    nothing = EventCounts(0, 0)
    return {
        value: _total(counts.get(value, nothing) for counts in parts)
        for value in dict.fromkeys(value for counts in parts for value in counts)
    }


def _total(counts: Iterable[EventCounts]) -> EventCounts:
    each = list(counts)
    return EventCounts(sum(one.good for one in each), sum(one.valid for one in each))
