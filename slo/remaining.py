"""What is left of many budgets at once, for whoever asks nothing else of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fractions import Fraction

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import ErrorBudget, EventCounts
from slo.budgeting import EPOCH
from slo.correction import without
from slo.evaluation import read_budget
from slo.objective import Objective
from slo.store import Question, count
from slo.window import Window


def read_remaining(
    telemetry: TelemetryStore,
    objectives: Sequence[Objective],
    at: datetime,
    gaps: Mapping[str, Sequence[Window]],
) -> list[Fraction | None]:
    """Return what ``read_budget`` says remains of each objective's budget; ``gaps`` by their names.

    Cost: a few queries for all whose SLI is a ratio of events; that of ``read_budget`` for each
    other, and for those that answer with an earlier verdict while there is no data.
    """
    together = [one for one in objectives if _is_ratio(one)]
    windows = {one.name: _window(one, at, gaps.get(one.name, ())) for one in together}
    questions = [
        Question(one.indicator, window) for one in together for window in windows[one.name]
    ]
    answers = iter(count(telemetry, questions) if questions else ())
    counted = {
        one.name: _left(one, at, [next(answers) for _ in windows[one.name]]) for one in together
    }
    return [
        counted[one.name]
        if one.name in counted
        else read_budget(telemetry, one, at, gaps=gaps.get(one.name, ())).budget.remaining
        for one in objectives
    ]


def _is_ratio(objective: Objective) -> bool:
    """Whether the events of its own window are all that its budget depends on."""
    is_patient = objective.parts[0].delay is None and objective.no_data != "freeze"
    return objective.counts_events and is_patient


def _window(objective: Objective, at: datetime, gaps: Sequence[Window]) -> list[Window]:
    """Return what of its window is over and counts; no telemetry is older than the epoch."""
    whole = objective.period.window(at)
    span = Window(max(EPOCH, whole.since), max(EPOCH, min(at, whole.until)))
    return without(span, gaps)


def _left(objective: Objective, at: datetime, counts: Sequence[EventCounts]) -> Fraction | None:
    events = EventCounts(sum(one.good for one in counts), sum(one.valid for one in counts))
    if events.valid < objective.minimum_events:
        return None
    return ErrorBudget(objective.target, objective.period.window(at), events.sli).remaining
