"""What objectives count, as counters on ``/metrics``: the exported rules are made from them.

They start at zero with the process, as counters do. Every replica counts the same events, which a
ratio of sums does not mind. An erasure makes counts fall; a counter stands still until they are
passed again, because a fall would read as a new start. An objective that counts something else from
now on goes on from where it was.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.services import Services
from slo.budget import EventCounts
from slo.indicator import Indicator
from slo.objective import Objective
from slo.register import all_objectives
from slo.rules import BAD_EVENTS, VALID_EVENTS
from slo.store import Question, count
from slo.window import MINUTE, Window, whole_minute


class ObjectiveCounters(Collector):
    """Counts the events since the process started whenever it is scraped.

    Composites are left out, whose parts have no common count, and freshness, which counts minutes.
    """

    def __init__(self, services: Services, since: datetime) -> None:
        self._services = services
        self._since = whole_minute(since)
        self._indicators: dict[str, Indicator] = {}
        self._ahead: dict[tuple[str, str], int] = {}
        self._highest: dict[tuple[str, str], int] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return both counters; none while a store does not answer, so that a scrape goes on."""
        bad = CounterMetricFamily(
            BAD_EVENTS, "Valid events that are not good.", labels=["objective"]
        )
        valid = CounterMetricFamily(VALID_EVENTS, "Valid events.", labels=["objective"])
        try:
            for name, indicator, counted in self._counts():
                is_changed = self._indicators.get(name, indicator) != indicator
                self._indicators[name] = indicator
                for family, number in ((bad, counted.bad), (valid, counted.valid)):
                    shown = self._shown((family.name, name), number, is_changed=is_changed)
                    family.add_metric([name], shown)
        except UnavailableError:
            return
        yield bad
        yield valid

    def _shown(self, counter: tuple[str, str], number: int, *, is_changed: bool) -> int:
        """Return what a counter shows for a count: never less than before."""
        before = self._highest.get(counter, 0)
        if is_changed:
            self._ahead[counter] = before - number
        self._highest[counter] = max(before, number + self._ahead.get(counter, 0))
        return self._highest[counter]

    def _counts(self) -> list[tuple[str, Indicator, EventCounts]]:
        with session_of(self._services.engine) as session:
            objectives: list[Objective] = [
                one.objective
                for one in all_objectives(session)
                if not one.objective.is_composite and one.objective.indicator.freshness is None
            ]
        until = whole_minute(self._services.clock()) + MINUTE
        window = Window(self._since, until)
        answers = count(
            self._services.telemetry, [Question(one.indicator, window) for one in objectives]
        )
        return [
            (one.name, one.indicator, counted)
            for one, counted in zip(objectives, answers, strict=True)
        ]
