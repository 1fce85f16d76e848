from datetime import datetime, timedelta

import pytest

from candor.kernel.errors import InvalidInputError
from slo.window import (
    Window,
    format_duration,
    merged,
    parse_duration,
    parse_span,
    rolling,
    whole_hours,
    whole_minute,
)
from tests.support.stores import NOON


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("5m", timedelta(minutes=5)),
        ("1h", timedelta(hours=1)),
        ("28d", timedelta(days=28)),
        ("2w", timedelta(days=14)),
        ("1M", timedelta(days=30)),
        ("1Q", timedelta(days=90)),
        ("1Y", timedelta(days=365)),
    ],
)
def test_a_duration_is_read_as_openslo_means_it(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length == parse_span(text)


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1", "d", "1.5h", "1 d", "30s", "1y", "9999999d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0m", "00d", "0s"])
def test_zero_is_told_from_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidInputError, match="longer than zero"):
        parse_span(text)


def test_a_span_may_be_in_seconds() -> None:
    assert parse_span("900s") == timedelta(minutes=15)
    with pytest.raises(InvalidInputError):
        parse_span("0s")


def test_durations_are_written_as_people_say_them() -> None:
    lengths = [timedelta(days=30), timedelta(days=1), timedelta(minutes=5), timedelta(seconds=90)]
    assert [format_duration(length) for length in lengths] == ["30d", "24h", "5m", "90s"]


def test_a_rolling_window_is_half_open_and_ends_where_it_is_told() -> None:
    window = rolling(timedelta(hours=1), NOON)
    assert (window.until, window.length, window.minutes) == (NOON, timedelta(hours=1), 60)
    assert Window(NOON, NOON).minutes == 0
    assert whole_minute(NOON + timedelta(seconds=59)) == NOON


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("10:00", "13:00", ("10:00", "13:00")),
        ("10:01", "13:59", ("11:00", "13:00")),
        ("10:01", "11:59", None),
        ("10:20", "10:40", None),
        ("10:00", "11:00", ("10:00", "11:00")),
        ("10:00", "10:00", None),
    ],
)
def test_whole_hours_lie_in_a_window_from_edge_to_edge(
    since: str, until: str, hours: tuple[str, str] | None
) -> None:
    assert whole_hours(window(since, until)) == (hours and window(*hours))


def test_windows_that_meet_or_overlap_become_one_and_empty_ones_none() -> None:
    given = [("12:00", "13:00"), ("10:00", "11:00"), ("11:00", "11:30"), ("12:10", "12:20")]
    wanted = [("10:00", "11:30"), ("12:00", "13:00")]
    empty = ("09:00", "09:00")
    assert merged(window(*one) for one in [*given, empty]) == [window(*one) for one in wanted]


def window(since: str, until: str) -> Window:
    return Window(*(datetime.fromisoformat(f"2026-11-22T{at}:00Z") for at in (since, until)))
