from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from slo.period import CalendarPeriod, RollingPeriod, calendar_period, parse_period
from slo.window import Window

ZONES = ("UTC", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
INSTANTS = st.datetimes(datetime(1975, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the bounds are naive
STARTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)).map(  # noqa: DTZ001 - local times
    lambda at: at.replace(microsecond=0)
)
PERIODS = st.builds(
    CalendarPeriod, st.integers(1, 14), st.sampled_from("hdwMQY"), st.sampled_from(ZONES), STARTS
)


def day(zone: str, year: int, month: int, number: int) -> Window:
    noon = datetime(year, month, number, 12, tzinfo=ZoneInfo(zone))
    return calendar_period("1d", zone).window(noon.astimezone(UTC))


def month(zone: str, year: int, number: int) -> Window:
    middle = datetime(year, number, 15, tzinfo=ZoneInfo(zone))
    return calendar_period("1M", zone).window(middle.astimezone(UTC))


@given(PERIODS, INSTANTS)
def test_a_calendar_window_holds_the_last_instant_before_its_end(
    period: CalendarPeriod, at: datetime
) -> None:
    window = period.window(at)
    assert window.since < at <= window.until


@given(PERIODS, INSTANTS)
def test_calendar_windows_follow_one_another_without_gap_or_overlap(
    period: CalendarPeriod, at: datetime
) -> None:
    window = period.window(at)
    after = period.window(window.until + timedelta(microseconds=1))
    assert after.since == window.until
    assert period.window(window.until) == window
    assert period.window(window.since).until == window.since


@given(PERIODS, INSTANTS)
def test_a_period_is_as_long_as_its_name_says_to_within_a_clock_change_and_short_months(
    period: CalendarPeriod, at: datetime
) -> None:
    length = period.window(at).length
    slack = timedelta(hours=3) + timedelta(days=3 * period.count if period.unit in "MQY" else 0)
    assert abs(length - period.nominal) <= slack


@given(st.sampled_from(ZONES), INSTANTS)
def test_a_day_begins_at_midnight_of_its_zone(zone: str, at: datetime) -> None:
    since = calendar_period("1d", zone).window(at).since.astimezone(ZoneInfo(zone))
    assert (since.hour, since.minute, since.second) == (0, 0, 0)


@pytest.mark.parametrize(
    ("zone", "date", "hours"),
    [
        ("Europe/Dublin", (2026, 3, 29), 23),
        ("Europe/Dublin", (2026, 10, 25), 25),
        ("Europe/Dublin", (2026, 6, 1), 24),
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
        ("UTC", (2026, 3, 29), 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(
    zone: str, date: tuple[int, int, int], hours: float
) -> None:
    assert day(zone, *date).length == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "year", "number", "hours"),
    [
        ("UTC", 2026, 2, 28 * 24),
        ("UTC", 2028, 2, 29 * 24),
        ("UTC", 2100, 2, 28 * 24),
        ("UTC", 2026, 4, 30 * 24),
        ("Europe/Dublin", 2026, 3, 31 * 24 - 1),
        ("Europe/Dublin", 2026, 10, 31 * 24 + 1),
    ],
)
def test_a_month_has_its_own_days_and_hours(zone: str, year: int, number: int, hours: int) -> None:
    window = month(zone, year, number)
    assert window.length == timedelta(hours=hours)
    assert window.since == datetime(year, number, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_period_that_begins_on_the_31st_ends_on_the_last_day_of_a_shorter_month() -> None:
    period = calendar_period("1M", "UTC", "2026-01-31 00:00:00")
    window = period.window(datetime(2026, 2, 10, tzinfo=UTC))
    assert (window.since, window.until) == (
        datetime(2026, 1, 31, tzinfo=UTC),
        datetime(2026, 2, 28, tzinfo=UTC),
    )
    assert period.window(datetime(2026, 3, 1, tzinfo=UTC)).until.day == 31


def test_quarters_years_and_weeks_are_those_of_the_calendar() -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    begins = {one: calendar_period(one, "UTC").window(at).since for one in ("1Q", "1Y", "1w")}
    assert begins == {
        "1Q": datetime(2026, 10, 1, tzinfo=UTC),
        "1Y": datetime(2026, 1, 1, tzinfo=UTC),
        "1w": datetime(2026, 11, 16, tzinfo=UTC),
    }


def test_the_instant_at_which_a_month_begins_still_answers_with_the_month_before() -> None:
    november = datetime(2026, 11, 1, tzinfo=UTC)
    assert calendar_period("1M", "UTC").window(november).until == november


def test_a_period_is_read_and_written_alike() -> None:
    for text in ("7d", "28d", "1M@Europe/Dublin", "1Q@UTC"):
        assert parse_period(text).text == text
    assert parse_period("7d") == RollingPeriod(timedelta(days=7))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "1M@",
        "1M@Nowhere",
        "1M@../etc",
        "1M@Europe/",
        "M@UTC",
        "7d@",
        "1M@utc\0",
        "999999Y",
        "999999Y@UTC",
    ],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_period(text)


@pytest.mark.parametrize(
    "start",
    ["2026-01-01", "2026-13-01 00:00:00", "soon", "2026-01-01T00:00:00", "0001-01-01 00:00:00"],
)
def test_a_start_is_a_local_time(start: str) -> None:
    with pytest.raises(InvalidInputError):
        calendar_period("1M", "UTC", start)
