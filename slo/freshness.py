"""How fresh telemetry is: one minute after another, whether something came lately enough.

A minute is fresh when a matching event bears a time of the ``limit`` that ends with it. It counts
from the first such event on; a source that was silent for thirty days before is not known any more,
and its minutes are not measured rather than stale.
"""

from dataclasses import replace
from datetime import timedelta

from candor.kernel.telemetry_store import TelemetryStore
from slo.conditions import Parameters
from slo.store import Question, Slicing, count, filled, slices_text
from slo.window import MINUTE, Window, seconds_at, whole_minute

_KNOWN_FOR = timedelta(days=30)
_NEVER = -1


def valid_slices_text(
    telemetry: TelemetryStore, question: Question, slicing: Slicing, parameters: Parameters
) -> str:
    """Return a SELECT of the slices of a window that hold something valid, as ``slices_text``.

    Of an indicator of freshness, what is valid are the minutes themselves.

    Cost: nothing; one query for freshness.
    """
    indicator, window = question.indicator, question.window
    if indicator.freshness is None:
        return slices_text(question, slicing, parameters)
    limit, plain = indicator.freshness, replace(indicator, freshness=None)
    since = whole_minute(window.since)
    reached = Window(since - limit, max(window.until, since))
    earlier = Question(plain, Window(reached.since - _KNOWN_FOR, reached.since))
    is_known = count(telemetry, [earlier])[0].valid > 0
    before = seconds_at(reached.since - MINUTE) if is_known else _NEVER
    return filled(
        "list_fresh_slices",
        start=slicing.start,
        outside=slicing.outside,
        came=slices_text(Question(plain, reached), Slicing(), parameters),
        limit=parameters.bind(limit // timedelta(seconds=1), "Int64"),
        since=parameters.bind(seconds_at(since), "Int64"),
        before=parameters.bind(before, "Int64"),
        never=parameters.bind(_NEVER, "Int64"),
        minutes=parameters.bind(max(0, -((since - window.until) // MINUTE)), "UInt64"),
    )
