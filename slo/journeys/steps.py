"""What happens at each step of a journey: arrivals, ways on, errors, and how late events come.

An instance *enters* a step with an event whose predecessor was at another step, so that several
events at one step are one entry, and coming back is another. Its *next* step is that of its next
event elsewhere. Events without an instance are an entry each and lead nowhere. Predecessor and
successor are looked for within the window alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from slo.window import Window


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of a journey in a window.

    The latencies are milliseconds from an event's own time to its reception, by linear
    interpolation; they are negative where a sender's clock is ahead.
    """

    step: str
    events: int
    entries: int
    instances: int
    errors: int
    p50_latency_ms: float
    p95_latency_ms: float
    p99_latency_ms: float
    next: Mapping[str, int]

    @property
    def error_rate(self) -> float:
        """The share of the step's events that are errors."""
        return self.errors / self.events


def read_steps(telemetry: TelemetryStore, journey: str, window: Window) -> list[StepReport]:
    """Return the steps of a journey, the most entered first; none when nothing is known of it."""
    rows = telemetry.query(
        statement("slo", "list_journey_steps"),
        {"journey": journey, "since": window.since, "until": window.until},
    )
    return [_report(row) for row in rows]


def _report(row: Mapping[str, Any]) -> StepReport:
    p50, p95, p99 = row["latencies_ms"]
    return StepReport(
        row["step"],
        row["events"],
        row["entries"],
        row["instances"],
        row["errors"],
        p50,
        p95,
        p99,
        dict(sorted(row["next"].items())),
    )
