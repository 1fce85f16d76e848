"""Corrections leave out exactly the minutes that they name, by the wall clock where they recur."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from slo.correction import Correction, check_correction, corrected, without
from slo.window import MINUTE, Window

MONDAY = datetime(2026, 10, 19, 0, 0, tzinfo=UTC)
MONTH = Window(MONDAY - timedelta(days=14), MONDAY + timedelta(days=16))


def correction(**fields: Any) -> Correction:  # noqa: ANN401 - any field
    defaults: dict[str, Any] = {
        "id": "c",
        "objective": "checkout",
        "selector": {},
        "since": MONDAY,
        "until": MONDAY + timedelta(hours=2),
        "rrule": None,
        "zone": "UTC",
        "category": "maintenance",
        "reason": "new database",
        "author": "ops",
        "created_at": MONDAY,
    }
    return Correction(**(defaults | fields))


def test_a_single_span_is_left_out_and_clipped_to_the_window() -> None:
    window = Window(MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=5))
    assert corrected([correction()], window) == [
        Window(MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=2))
    ]


def test_a_minute_that_a_correction_touches_is_left_out_as_a_whole() -> None:
    ragged = correction(since=MONDAY + timedelta(seconds=30), until=MONDAY + timedelta(seconds=61))
    assert corrected([ragged], MONTH) == [Window(MONDAY, MONDAY + 2 * MINUTE)]


def test_one_that_was_undone_leaves_nothing_out() -> None:
    assert corrected([correction(undone_at=MONDAY)], MONTH) == []


def test_overlapping_spans_are_merged() -> None:
    later = correction(since=MONDAY + timedelta(hours=1), until=MONDAY + timedelta(hours=3))
    assert corrected([later, correction()], MONTH) == [Window(MONDAY, MONDAY + timedelta(hours=3))]


def test_a_recurrence_follows_the_wall_clock_over_the_end_of_summer_time() -> None:
    nightly = correction(
        since=datetime(2026, 10, 24, 20, 0, tzinfo=UTC),  # 22:00 in Berlin, summer time
        until=datetime(2026, 10, 24, 21, 0, tzinfo=UTC),
        rrule="FREQ=DAILY;COUNT=3",
        zone="Europe/Berlin",
    )
    starts = [span.since for span in corrected([nightly], MONTH)]
    assert [start.hour for start in starts] == [20, 21, 21]


def test_an_occurrence_that_began_before_the_window_still_counts() -> None:
    weekly = correction(rrule="FREQ=WEEKLY;BYDAY=MO")
    inside = Window(
        MONDAY + timedelta(days=7, hours=1), MONDAY + timedelta(days=7, hours=1, minutes=30)
    )
    assert corrected([weekly], inside) == [inside]


def test_an_end_in_utc_ends_a_recurrence_of_a_zone() -> None:
    nightly = correction(
        since=datetime(2026, 10, 19, 20, 0, tzinfo=UTC),
        until=datetime(2026, 10, 19, 21, 0, tzinfo=UTC),
        rrule="FREQ=DAILY;UNTIL=20261021T200000Z",
        zone="Europe/Berlin",
    )
    assert len(corrected([nightly], MONTH)) == 3


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"selector": {"service": "x"}}, "objective"),
        ({"objective": None}, "objective"),
        ({"until": MONDAY}, "until"),
        ({"reason": " "}, "reason"),
        ({"rrule": "FREQ=SOMETIMES"}, "rrule"),
        ({"rrule": "DTSTART:20200101T000000Z"}, "rrule"),
        ({"rrule": "nonsense"}, "rrule"),
        ({"rrule": "EXRULE:FREQ=DAILY"}, "rrule"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "rrule"),
        ({"rrule": "FREQ=DAILY;INTERVAL=-1"}, "rrule"),
        ({"rrule": "FREQ=DAILY;COUNT=0"}, "rrule"),
        ({"rrule": "FREQ=HOURLY;BYHOUR=99"}, "rrule"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule"),
        ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000Z"}, "rrule"),
        ({"rrule": "FREQ=MINUTELY;INTERVAL=5"}, "rrule"),
        ({"rrule": "freq=secondly"}, "rrule"),
        ({"rrule": "FREQ=HOURLY;BYMINUTE=0,15,30,45"}, "rrule"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_correction(correction(**fields))
    assert caught.value.path == path


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY",
        "RRULE:FREQ=DAILY;INTERVAL=2;COUNT=30",
        "freq=weekly;byday=sa,su",
        "FREQ=MONTHLY;BYDAY=-1FR",
        "FREQ=DAILY;UNTIL=20270101T000000Z",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
    ],
)
def test_a_recurrence_that_happens_now_and_then_is_taken(rule: str) -> None:
    check_correction(correction(rrule=rule))


def test_an_hour_that_the_clock_shows_twice_is_corrected_to_its_end() -> None:
    # 25 October 2026, Dublin: 02:00 becomes 01:00 again at 01:00 UTC; 01:30 is first 00:30 UTC.
    nightly = correction(
        since=datetime(2026, 10, 20, 0, 30, tzinfo=UTC),
        until=datetime(2026, 10, 20, 3, 30, tzinfo=UTC),
        rrule="FREQ=DAILY",
        zone="Europe/Dublin",
    )
    night = datetime(2026, 10, 25, tzinfo=UTC)
    until_second_quarter = Window(night, night + timedelta(hours=1, minutes=15))
    assert corrected([nightly], until_second_quarter) == [
        Window(night + timedelta(minutes=30), until_second_quarter.until)
    ]


def test_a_recurrence_that_floods_the_window_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        corrected([correction(rrule="FREQ=MINUTELY")], MONTH)
    assert caught.value.path == "rrule"


def test_a_selector_finds_any_value_of_a_label() -> None:
    by_team = correction(objective=None, selector={"team": "pay"})
    assert by_team.concerns("a", {"service": ("api",), "team": ("shop", "pay")})
    assert not by_team.concerns("a", {"service": ("api",), "team": ("payments",)})


def test_a_selector_asks_for_the_service() -> None:
    by_service = correction(objective=None, selector={"service": "api"})
    assert by_service.concerns("a", {"service": ("api",)})
    assert not by_service.concerns("a", {"service": ("web",)})
    assert correction().concerns("checkout", {}) is True
    assert correction().concerns("other", {}) is False


minutes = st.integers(0, 600)


@given(st.lists(st.tuples(minutes, st.integers(1, 90)), max_size=8), minutes, st.integers(1, 300))
def test_gaps_and_the_rest_cover_the_window_once(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    window = Window(MONDAY + start * MINUTE, MONDAY + (start + length) * MINUTE)
    corrections = [
        correction(since=MONDAY + at * MINUTE, until=MONDAY + (at + long) * MINUTE)
        for at, long in spans
    ]
    gaps = corrected(corrections, window)
    rest = without(window, gaps)
    left_out = {
        minute
        for minute in range(start, start + length)
        if any(at <= minute < at + long for at, long in spans)
    }

    def covered(parts: list[Window]) -> list[int]:
        return [
            minute
            for part in parts
            for minute in range((part.since - MONDAY) // MINUTE, (part.until - MONDAY) // MINUTE)
        ]

    assert covered(gaps) == sorted(left_out)
    assert sorted(covered(gaps) + covered(rest)) == list(range(start, start + length))
