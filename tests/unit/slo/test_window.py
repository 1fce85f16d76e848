from datetime import timedelta

import pytest

from candor.kernel.errors import InvalidInputError
from slo.window import Window, format_duration, parse_duration, parse_span, rolling, whole_minute
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
