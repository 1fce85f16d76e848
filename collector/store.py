"""The collector's only way to the telemetry store."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import COLUMNS, Event

_ENCODER = msgspec.json.Encoder()


def encode_events(events: Sequence[Event]) -> bytes:
    """Return events as the spool keeps them and the engine reads them: a JSON array a line."""
    return _ENCODER.encode_lines(events)


def insert_events(telemetry: TelemetryStore, payloads: Sequence[bytes], token: str) -> None:
    """Store what ``encode_events`` made, once for each token.

    The rows go through ``events_landing``, which keeps nothing and has plain strings where
    ``events`` has dictionaries: converting whole columns afterwards halves the engine's work.
    """
    telemetry.insert("events_landing", COLUMNS, payloads, "JSONCompactEachRow", token)


def recent_identities(telemetry: TelemetryStore, since: datetime) -> Sequence[str]:
    """Return the identities of every event received at or after ``since``; no order."""
    columns = telemetry.columns(
        statement("collector", "select_recent_identities"), {"since": since}
    )
    return columns[0] if columns else ()
