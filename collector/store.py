"""The collector's only way to the telemetry store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec

from candor.kernel.decision_ports import DecisionRecord
from candor.kernel.ports import OtlpSignal
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector import check
from collector.check import CheckResult
from collector.dedupe import Identity
from collector.event import COLUMNS, REFUSED_COLUMNS, Event, RefusedEvent
from collector.vital import VITAL_COLUMNS, Vital

_ENCODER = msgspec.json.Encoder()
_RECENT_IDENTITIES = (
    "select_recent_identities",
    "select_recent_request_identities",
    "select_recent_vital_identities",
    "select_recent_check_identities",
    "select_recent_refused_identities",
)
_ONE_BYTE = 128
_DIGEST_TAG = bytes([0xC2, 0x3E])
"""Field 1000, bytes: ``identity`` in ``otlp.proto``."""
_OTLP_COLUMNS: Mapping[OtlpSignal, Sequence[str]] = {
    "traces": ("resource_spans",),
    "logs": ("resource_logs", "identity"),
    "metrics": ("resource_metrics", "identity"),
}


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


def encode_otlp(request: bytes, digest: bytes) -> bytes:
    """Return an OTLP request as the spool keeps it and the engine reads it: behind its size.

    The size makes requests that are stored one after another tell themselves apart. The digest of
    a request whose records have no ids goes behind its bytes, as one more field of the message.
    """
    if digest:
        request += _DIGEST_TAG + varint(len(digest)) + digest
    return varint(len(request)) + request


def insert_otlp(
    signal: OtlpSignal,
    telemetry: TelemetryStore,
    payloads: Sequence[bytes | memoryview],
    token: str,
) -> None:
    """Store what ``encode_otlp`` made of requests of one signal, once for each token."""
    telemetry.insert(
        f"otel_{signal}_landing",
        _OTLP_COLUMNS[signal],
        payloads,
        "Protobuf",
        token,
        settings=_otlp_schema(signal.capitalize(), embedded=telemetry.embedded),
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
) -> Iterator[Sequence[Identity]]:
    """Yield the identities of all that was received in ``[since, until)``, in blocks."""
    for name in _RECENT_IDENTITIES:
        text = statement("collector", name)
        for columns in telemetry.blocks(text, {"since": since, "until": until}):
            yield columns[0]
    spans = statement("collector", "select_recent_span_identities")
    for columns in telemetry.blocks(spans, {"since": since, "until": until}):
        yield [bytes.fromhex(ids) for ids in columns[0]]


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it. Source: Protocol Buffers, "Encoding"."""
    result = bytearray()
    while number >= _ONE_BYTE:
        result.append(number & (_ONE_BYTE - 1) | _ONE_BYTE)
        number >>= 7
    result.append(number)
    return bytes(result)


def insert_refused(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store what ``encode_refused`` made, once for each token."""
    telemetry.insert("quarantine", REFUSED_COLUMNS, payloads, "JSONCompactEachRow", token)


def insert_decisions(
    telemetry: TelemetryStore, payloads: Sequence[bytes | memoryview], token: str
) -> None:
    """Store decisions, a ``DecisionRecord`` a line, once for each token."""
    columns = DecisionRecord.__struct_fields__
    telemetry.insert("consent_decisions", columns, payloads, "JSONCompactEachRow", token)


@cache
def _otlp_schema(message: str, *, embedded: bool) -> dict[str, str]:
    """Return how the engine finds the schema: our file on its disk, or the text for a server.

    The embedded engine would write the text into the working directory before it reads it.
    """
    schema = files("collector").joinpath("sql", "otlp.proto")
    if embedded:
        return {"format_schema": f"{schema}:{message}"}
    return {
        "format_schema_source": "string",
        "format_schema": schema.read_text(encoding="utf-8"),
        "format_schema_message_name": message,
    }
