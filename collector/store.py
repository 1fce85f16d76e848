"""The collector's only way to the telemetry store."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector import check
from collector.check import CheckResult
from collector.event import COLUMNS, Event
from collector.vital import VITAL_COLUMNS, Vital

_ENCODER = msgspec.json.Encoder()
_RECENT_IDENTITIES = (
    "select_recent_identities",
    "select_recent_span_identities",
    "select_recent_vital_identities",
    "select_recent_check_identities",
)


def encode_events(events: Sequence[Event]) -> bytes:
    """Return events as the spool keeps them and the engine reads them: a JSON array a line."""
    return _ENCODER.encode_lines(events)


def insert_events(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store what ``encode_events`` made, once for each token.

    The rows go through ``events_landing``, which keeps nothing and has plain strings where
    ``events`` has dictionaries: converting whole columns afterwards halves the engine's work.
    """
    telemetry.insert("events_landing", COLUMNS, payloads, "JSONCompactEachRow", token)


def insert_traces(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store OTLP trace requests, each behind its size, once for each token."""
    telemetry.insert(
        "otel_traces_landing",
        ("resource_spans",),
        payloads,
        "Protobuf",
        token,
        settings=_traces_schema(embedded=telemetry.embedded),
    )


def encode_checks(results: Sequence[CheckResult]) -> bytes:
    """Return results as the spool keeps them and the engine reads them: a JSON array a line."""
    return _ENCODER.encode_lines(results)


def insert_checks(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store what ``encode_checks`` made, once for each token.

    The table keeps one row of those with the same identity, also of two processes that ran the
    same check because the first one crashed.
    """
    telemetry.insert("checks", check.COLUMNS, payloads, "JSONCompactEachRow", token)


def encode_vitals(vitals: Sequence[Vital]) -> bytes:
    """Return vitals as the spool keeps them and the engine reads them: a JSON array a line."""
    return _ENCODER.encode_lines(vitals)


def insert_vitals(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store what ``encode_vitals`` made, once for each token.

    Numbers are read to the last bit: a delta is a part of its beacon's identity.
    """
    telemetry.insert(
        "vitals",
        VITAL_COLUMNS,
        payloads,
        "JSONCompactEachRow",
        token,
        settings={"precise_float_parsing": 1},
    )


def recent_identities(
    telemetry: TelemetryStore, since: datetime, until: datetime
) -> Iterator[Sequence[str]]:
    """Yield the identities of all that was received in ``[since, until)``, in blocks."""
    for name in _RECENT_IDENTITIES:
        text = statement("collector", name)
        for columns in telemetry.blocks(text, {"since": since, "until": until}):
            yield columns[0]


@cache
def _traces_schema(*, embedded: bool) -> dict[str, str]:
    """Return how the engine finds the schema: our file on its disk, or the text for a server.

    The embedded engine would write the text into the working directory before it reads it.
    """
    schema = files("collector").joinpath("sql", "traces.proto")
    if embedded:
        return {"format_schema": f"{schema}:Request"}
    return {
        "format_schema_source": "string",
        "format_schema": schema.read_text(encoding="utf-8"),
        "format_schema_message_name": "Request",
    }
