"""Random windows over random events: what the rollups of minutes and of hours count together."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.budget import EventCounts
from slo.indicator import Condition, Indicator, Threshold
from slo.store import Question, count, count_by_value
from slo.window import HOUR, MINUTE, Window, merged
from tests.support.stores import forget_events

START = datetime(2026, 10, 31, 20, tzinfo=UTC)
"""Some hours before a month ends, and with it a partition."""
LONGEST = 40 * 60
VALID = (Condition("journey", "any", ("checkout",)),)
RATIO = Indicator(VALID, (Condition("outcome", "any", ("ok",)),))
LATENCY = Indicator(VALID, threshold=Threshold("duration_ms", "lte", 100.0))

Sent = tuple[float, str, str]
SENT = st.lists(
    st.tuples(
        st.floats(0, LONGEST - 0.01),
        st.sampled_from(("ok", "error")),
        st.sampled_from(("web", "app")),
    ),
    max_size=60,
)
WINDOWS = st.lists(
    st.tuples(st.integers(0, LONGEST), st.integers(0, LONGEST)).map(sorted),
    min_size=1,
    max_size=6,
)


@given(sent=SENT, spans=WINDOWS)
@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_event_is_counted_once_in_every_window_that_holds_it(
    embedded_telemetry: TelemetryStore, sent: list[Sent], spans: list[list[int]]
) -> None:
    fill(embedded_telemetry, sent)
    windows = [Window(*(START + edge * MINUTE for edge in span)) for span in spans]
    asked = [Question(one, window) for one in (RATIO, LATENCY) for window in windows]
    by_hand = [counted(sent, [window]) for window in windows]
    assert count(embedded_telemetry, asked) == by_hand * 2
    apart = merged(windows)
    for indicator in (RATIO, LATENCY):
        told = count_by_value(embedded_telemetry, indicator, apart, "channel") if apart else {}
        for channel in ("web", "app"):
            own = counted([one for one in sent if one[2] == channel], apart)
            assert told.get(channel, EventCounts(0, 0)) == own


def test_windows_may_be_as_many_as_corrections_leave_in_a_year(
    embedded_telemetry: TelemetryStore,
) -> None:
    starts = [START - 4 * number * HOUR for number in range(2200, 0, -1)]
    events = [
        Event(
            f"{number}-{edge}",
            *("native", "x", "", at + edge * MINUTE, START, "checkout"),
            channel="web",
        )
        for number, at in enumerate(starts[::10])
        for edge in (9, 10, 179, 180)
    ]
    insert_events(embedded_telemetry, [encode_events(events)], "all")
    windows = [Window(at + 10 * MINUTE, at + 180 * MINUTE) for at in starts]
    told = count_by_value(embedded_telemetry, RATIO, windows, "channel")
    assert told == {"web": EventCounts(0, 440)}


def counted(sent: Sequence[Sent], windows: Sequence[Window]) -> EventCounts:
    held = [
        outcome
        for minute, outcome, _ in sent
        if any(one.since <= START + minute * MINUTE < one.until for one in windows)
    ]
    return EventCounts(held.count("ok"), len(held))


def fill(telemetry: TelemetryStore, sent: Sequence[Sent]) -> None:
    """Store events in two segments; those that went well were quick."""
    forget_events(telemetry)
    for half in (0, 1):
        events = [
            Event(
                f"{half}-{number}",
                *("native", "x", "", START + minute * MINUTE, START, "checkout"),
                outcome=outcome,
                channel=channel,
                duration_ms={"ok": 90.0, "error": 110.0}[outcome],
            )
            for number, (minute, outcome, channel) in enumerate(sent[half::2])
        ]
        if events:
            insert_events(telemetry, [encode_events(events)], f"half {half}")
