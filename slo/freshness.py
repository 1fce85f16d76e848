"""How fresh telemetry is: one minute after another, whether something came lately enough.

A minute is fresh when a matching event bears a time of the ``limit`` that ends with it. It counts
from the first such event on; a source that was silent for thirty days before is not known any more,
and its minutes are not measured rather than stale.
"""

from dataclasses import replace
from datetime import timedelta

from candor.kernel.telemetry_store import TelemetryStore
from slo.budget import EventCounts, Slice
from slo.store import Question, count, count_by_minute
from slo.window import MINUTE, Window, whole_minute

_KNOWN_FOR = timedelta(days=30)
_FRESH, _STALE = EventCounts(1, 1), EventCounts(0, 1)


def read_minutes(telemetry: TelemetryStore, question: Question) -> list[Slice]:
    """Return the counts of each minute of a window that holds something valid, in order.

    Of an indicator of freshness, what is valid are the minutes themselves.

    Cost: one query; two for freshness.
    """
    indicator, window = question.indicator, question.window
    if indicator.freshness is None:
        return count_by_minute(telemetry, question)
    limit, plain = indicator.freshness, replace(indicator, freshness=None)
    since = whole_minute(window.since)
    if since >= window.until:
        return []
    reached = Window(since - limit, window.until)
    came = [one.minute for one in count_by_minute(telemetry, Question(plain, reached))]
    earlier = Question(plain, Window(reached.since - _KNOWN_FOR, reached.since))
    last = reached.since - MINUTE if count(telemetry, [earlier])[0].valid else None
    minutes, position = [], 0
    minute = since
    while minute < window.until:
        while position < len(came) and came[position] <= minute:
            last = came[position]
            position += 1
        if last is not None:
            is_fresh = last >= minute + MINUTE - limit
            minutes.append(Slice(minute, _FRESH if is_fresh else _STALE))
        minute += MINUTE
    return minutes
