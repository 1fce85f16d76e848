"""Reads the events of a funnel, unit by unit, in parts that fit into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from string import Template

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.conditions import Parameters, filter_text, text_column
from slo.journeys.funnel import ANY_EVENT, Moment, Step, Unit
from slo.window import Window

MOMENTS_PER_PART = 500_000
_UNITS: dict[Unit, str] = {"subject": "subject_key", "instance": "instance"}


@dataclass(frozen=True, slots=True)
class FunnelQuery:
    """A funnel to count: its steps in order, its window, whom it follows, and over which time."""

    steps: tuple[Step, ...]
    window: timedelta
    span: Window
    unit: Unit
    breakdown: str | None


def read_units(
    telemetry: TelemetryStore, query: FunnelQuery, moments_per_part: int = MOMENTS_PER_PART
) -> Iterator[list[Moment]]:
    """Yield the events of each unit that match any step, in order of time.

    Only matching events leave the engine, and at most about ``moments_per_part`` at a time.
    """
    parameters = Parameters()
    filled = _pieces(query, parameters)
    count = Template(statement("slo", "count_funnel_moments")).safe_substitute(filled)
    moments = int(telemetry.query(count, parameters.values)[0]["moments"])
    parts = moments // moments_per_part + 1
    text = Template(statement("slo", "list_funnel_moments")).substitute(filled)
    for part in range(parts):
        columns = telemetry.columns(text, {**parameters.values, "parts": parts, "part": part})
        rows = zip(*columns, strict=True) if columns else iter(())
        for _, events in groupby(rows, key=itemgetter(0)):
            yield [Moment(int(at), int(steps), value) for _, at, steps, value in events]


def _pieces(query: FunnelQuery, parameters: Parameters) -> dict[str, str]:
    conditions = [_step_text(step, parameters) for step in query.steps]
    since = parameters.bind(query.span.since, "DateTime64(3, 'UTC')")
    until = parameters.bind(query.span.until, "DateTime64(3, 'UTC')")
    return {
        "unit": _UNITS[query.unit],
        "steps": _mask(conditions),
        "breakdown": text_column(query.breakdown, parameters) if query.breakdown else "''",
        "within": f"time >= {since} AND time < {until}",
        "any": " OR ".join(conditions),
    }


def _mask(conditions: Sequence[str]) -> str:
    bits = (f"bitShiftLeft(toUInt32({text}), {bit})" for bit, text in enumerate(conditions))
    return " + ".join(bits)


def _step_text(step: Step, parameters: Parameters) -> str:
    named = "1" if step.event == ANY_EVENT else f"name = {parameters.bind(step.event, 'String')}"
    return f"({named} AND {filter_text(step.where, parameters)})"
