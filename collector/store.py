"""The collector's only way to the telemetry store."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import COLUMNS, REFUSED_COLUMNS, Event, RefusedEvent

_ENCODER = msgspec.json.Encoder()
_IDENTITIES = (
    "select_recent_identities",
    "select_recent_span_identities",
    "select_recent_refused_identities",
)


def encode_events(events: Sequence[Event]) -> bytes:
    """Return events as the spool keeps them and the engine reads them: a JSON array a line."""
    return _ENCODER.encode_lines(events)


def encode_refused(events: Sequence[RefusedEvent]) -> bytes:
    """Return refused events as the spool keeps them: a JSON array a line."""
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


def insert_refused(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store what ``encode_refused`` made, once for each token."""
    telemetry.insert("quarantine", REFUSED_COLUMNS, payloads, "JSONCompactEachRow", token)


def recent_identities(telemetry: TelemetryStore, since: datetime) -> Iterator[Sequence[str]]:
    """Yield the identities of events, of spans, and of refused events received since ``since``."""
    for name in _IDENTITIES:
        columns = telemetry.columns(statement("collector", name), {"since": since})
        yield columns[0] if columns else ()


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
