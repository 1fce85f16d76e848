"""The funnel query as callers write it, and its answer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from candor.kernel.errors import InvalidInputError
from slo.indicator import TEXT_FIELDS, is_known_field
from slo.journeys.funnel import DEFAULT_WINDOW, Step, StepResult, Tally, Unit
from slo.journeys.steps import StepReport
from slo.journeys.store import FunnelQuery
from slo.source import filter_from
from slo.window import Window, parse_span

_MOST_STEPS = 20
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class StepBody(BaseModel):
    """One step."""

    model_config = ConfigDict(extra="forbid")

    event: Annotated[str, Field(min_length=1, max_length=200)]
    where: dict[str, Any] = {}


class FunnelBody(BaseModel):
    """A funnel query."""

    model_config = ConfigDict(extra="forbid")

    steps: Annotated[list[StepBody], Field(min_length=1, max_length=_MOST_STEPS)]
    order: Literal["ordered", "strict", "unordered"] = "ordered"
    window: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    by: Unit = "subject"
    exclude: list[dict[str, Any]] = []
    breakdown: str | None = None

    def query(self, now: datetime) -> FunnelQuery:
        """Return what is meant.

        Raises:
            InvalidInputError: it cannot be meant, or is not supported yet; the path is named.
        """
        if self.order != "ordered":
            raise InvalidInputError("Only ordered funnels are supported yet.", path="order")
        if self.exclude:
            raise InvalidInputError("Exclusions are not supported yet.", path="exclude")
        if self.breakdown is not None and not _is_text(self.breakdown):
            raise InvalidInputError("Break down by a text field of events.", path="breakdown")
        span = span_of(self.since, self.until, now)
        steps = tuple(
            Step(step.event, filter_from(step.where, f"steps[{number}].where"))
            for number, step in enumerate(self.steps)
        )
        return FunnelQuery(steps, self._window(), span, self.by, self.breakdown)

    def _window(self) -> timedelta:
        if self.window is None:
            return DEFAULT_WINDOW
        try:
            return parse_span(self.window)
        except InvalidInputError:
            raise InvalidInputError(
                "A window is a positive number and one of s m h d w, such as 14d.", path="window"
            ) from None


def funnel_document(body: FunnelBody, total: Tally, groups: Mapping[str, Tally]) -> dict[str, Any]:
    """Return the counted funnel; a breakdown only where one was asked for."""
    document: dict[str, Any] = {"steps": _steps(body, total.results())}
    if body.breakdown is not None:
        document["breakdown"] = {
            value: _steps(body, part.results()) for value, part in sorted(groups.items())
        }
    return document


def span_of(since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """Return the window that is asked for: of all time where an end is left open.

    What lies beyond all telemetry is left off.

    Raises:
        InvalidInputError: it ends before it begins.
    """
    latest = until or now + timedelta(days=1)
    span = Window(max(since or _EARLIEST, _EARLIEST), min(latest, _LATEST))
    if span.since >= span.until:
        raise InvalidInputError("until must lie after since.", path="until")
    return span


def step_document(report: StepReport) -> dict[str, Any]:
    """Return one step of a journey."""
    return {
        "step": report.step,
        "events": report.events,
        "entries": report.entries,
        "instances": report.instances,
        "errors": report.errors,
        "error_rate": report.error_rate,
        "latency_ms": {
            "p50": report.p50_latency_ms,
            "p95": report.p95_latency_ms,
            "p99": report.p99_latency_ms,
        },
        "next": report.next,
    }


def _steps(body: FunnelBody, results: Sequence[StepResult]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "event": step.event,
            "count": result.count,
            "from_previous": result.from_previous,
            "from_first": result.from_first,
            "median_seconds": result.median_seconds,
            "mean_seconds": result.mean_seconds,
        }
        for index, (step, result) in enumerate(zip(body.steps, results, strict=True))
    ]


def _is_text(name: str) -> bool:
    return name in TEXT_FIELDS or (name.startswith("attributes.") and is_known_field(name))
