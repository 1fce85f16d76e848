from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.settings import TelemetryLimits
from candor.kernel.telemetry_store import (
    TelemetryStore,
    UnreadablePayloadError,
    open_telemetry_store,
    parse_address,
)


@pytest.mark.parametrize(
    ("dsn", "database", "path", "server"),
    [
        ("chdb:///.candor/telemetry", "candor", ".candor/telemetry", None),
        ("chdb:////var/lib/telemetry", "candor", "/var/lib/telemetry", None),
        ("chdb:///x?database=other", "other", "x", None),
        ("http://u:p@host:8123/db", "db", None, "http://u:p@host:8123"),
        ("https://host", "candor", None, "https://host"),
    ],
)
def test_a_dsn_says_where_the_store_is(
    dsn: str, database: str, path: str | None, server: str | None
) -> None:
    address = parse_address(dsn)
    assert (address.database, address.server) == (database, server)
    assert address.path == (None if path is None else Path(path))


def test_instants_are_aware_on_both_transports(telemetry: TelemetryStore) -> None:
    (row,) = telemetry.query("SELECT toDateTime64('2026-11-22 12:00:00.123', 3, 'UTC') AS at")
    assert row["at"] == datetime(2026, 11, 22, 12, 0, 0, 123000, tzinfo=UTC)
    assert row["at"].utcoffset() == timedelta(0)


def test_a_reader_can_change_nothing(telemetry: TelemetryStore) -> None:
    with pytest.raises(UnavailableError, match="code 164"):
        telemetry.query("INSERT INTO events (id) VALUES ('x')")


def test_values_are_bound_and_not_spliced(telemetry: TelemetryStore) -> None:
    text = "'; DROP TABLE events; --"
    assert telemetry.query("SELECT {x:String} AS x", {"x": text}) == [{"x": text}]


def test_an_engines_message_stays_inside(telemetry: TelemetryStore) -> None:
    with pytest.raises(UnavailableError) as raised:
        telemetry.query("SELECT throwIf(1, 'anna@example.org')")
    assert "anna" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_what_the_engine_cannot_read_is_told_apart(telemetry: TelemetryStore) -> None:
    with pytest.raises(UnreadablePayloadError):
        telemetry.insert("events_landing", ["time"], [b'["noon"]\n'], "JSONCompactEachRow", "t")


def test_a_query_ends_at_its_time_limit(embedded: TelemetryStore) -> None:
    hasty = TelemetryStore(embedded._address, TelemetryLimits(query_seconds=1), None)
    try:
        with pytest.raises(UnavailableError, match="time limit"):
            hasty.query("SELECT sum(sleepEachRow(0.1)) FROM numbers(100) SETTINGS max_block_size=1")
    finally:
        hasty.close()


def test_a_query_ends_at_its_memory_limit(embedded: TelemetryStore) -> None:
    limits = TelemetryLimits(query_memory_bytes=64 * 1024 * 1024)
    small = TelemetryStore(embedded._address, limits, None)
    try:
        with pytest.raises(UnavailableError, match="memory limit"):
            small.query("SELECT length(groupArray(toString(number))) FROM numbers(30000000)")
    finally:
        small.close()


def test_an_empty_answer_has_no_columns_or_empty_ones(telemetry: TelemetryStore) -> None:
    assert [list(one) for one in telemetry.columns("SELECT id FROM events")] in ([], [[]])


def test_a_second_opening_names_the_holder(embedded: TelemetryStore) -> None:
    assert embedded.embedded
    with pytest.raises(ConflictError, match="in use by process"):
        open_telemetry_store(f"chdb:///{embedded.path}", TelemetryLimits())


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        open_telemetry_store("http://127.0.0.1:1/candor", TelemetryLimits())
