"""What objectives count, as counters on ``/metrics``: the exported rules are made from them.

They start at zero with the process, as counters do, and follow reception: an event that comes late
by up to a day counts when it comes. Every replica counts the same events, which a ratio of sums
does not mind. An erasure makes counts fall; a counter stands still until they are passed again,
because a fall would read as a new start. An objective that counts something else from now on goes
on from where it was.
"""

import threading
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.services import Services
from slo.budget import EventCounts
from slo.indicator import Indicator
from slo.register import all_objectives
from slo.rules import BAD_EVENTS, VALID_EVENTS
from slo.store import Question, count
from slo.window import HOUR, MINUTE, Window, whole_minute

_LATE = timedelta(days=1)
"""How old an event may be to count when it comes."""


class ObjectiveCounters(Collector):
    """Counts the events since the process started whenever it is scraped.

    A scrape reads the last day and up to an hour more, however old the process. Composites are left
    out, whose parts have no common count, and freshness, which counts minutes.
    """

    def __init__(self, services: Services, since: datetime) -> None:
        self._services = services
        self._since = whole_minute(since)
        self._oldest = self._since - _LATE
        self._indicators: dict[str, Indicator] = {}
        self._ahead: dict[tuple[str, str], int] = {}
        self._highest: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Leave out what is stored by now; of objectives to come, what lies before the start.

        Cost: what a scrape costs.

        Raises:
            UnavailableError: a store does not answer.
        """
        self._leave_out(self._current(), self._now())

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return both counters; none while a store does not answer, so that a scrape goes on."""
        try:
            with self._lock:  # scrapes may come at once, and each moves what the next goes on from
                families = self._families()
        except UnavailableError:
            return
        yield from families

    def _families(self) -> Collection[CounterMetricFamily]:
        families = {
            "bad": CounterMetricFamily(
                BAD_EVENTS, "Valid events that are not good.", labels=["objective"]
            ),
            "valid": CounterMetricFamily(VALID_EVENTS, "Valid events.", labels=["objective"]),
        }
        self._settle()
        current = self._current()
        new = {name: one for name, one in current.items() if name not in self._indicators}
        self._leave_out(new, self._since)
        for name, counted in self._counts(current, self._now()).items():
            is_changed = self._indicators[name] != current[name]
            self._indicators[name] = current[name]
            for counter, number in _numbers(name, counted):
                shown = self._shown(counter, number, is_changed=is_changed)
                families[counter[0]].add_metric([name], shown)
        return families.values()

    def _shown(self, counter: tuple[str, str], number: int, *, is_changed: bool) -> int:
        """Return what a counter shows for a count: never less than before."""
        before = self._highest.get(counter, 0)
        if is_changed:
            self._ahead[counter] = before - number
        self._highest[counter] = max(before, number + self._ahead[counter])
        return self._highest[counter]

    def _settle(self) -> None:
        """Keep, once an hour, what was counted of the time that is more than a day ago."""
        until = self._now() - _LATE
        if until - self._oldest < HOUR:
            return
        for name, counted in self._counts(self._indicators, until).items():
            for counter, number in _numbers(name, counted):
                self._ahead[counter] += number
        self._oldest = until

    def _leave_out(self, new: Mapping[str, Indicator], until: datetime) -> None:
        """Begin new counters at zero with what is known of the time before ``until``."""
        for name, counted in self._counts(new, until).items():
            self._indicators[name] = new[name]
            self._ahead |= {counter: -number for counter, number in _numbers(name, counted)}

    def _now(self) -> datetime:
        return whole_minute(self._services.clock()) + MINUTE

    def _current(self) -> dict[str, Indicator]:
        with session_of(self._services.engine) as session:
            return {
                one.objective.name: one.objective.indicator
                for one in all_objectives(session)
                if not one.objective.is_composite and one.objective.indicator.freshness is None
            }

    def _counts(
        self, indicators: Mapping[str, Indicator], until: datetime
    ) -> dict[str, EventCounts]:
        window = Window(self._oldest, max(self._oldest, until))
        questions = [Question(one, window) for one in indicators.values()]
        return dict(zip(indicators, count(self._services.telemetry, questions), strict=True))


def _numbers(name: str, counted: EventCounts) -> tuple[tuple[tuple[str, str], int], ...]:
    """Return what was counted for each counter of an objective."""
    return (("bad", name), counted.bad), (("valid", name), counted.valid)
