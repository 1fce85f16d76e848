"""The collector's only way to the telemetry store."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec

from candor.kernel.ports import OtlpSignal
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector.dedupe import Identity
from collector.event import COLUMNS, Event

_ENCODER = msgspec.json.Encoder()
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


def recent_identities(telemetry: TelemetryStore, since: datetime) -> Iterator[Sequence[Identity]]:
    """Yield the identities of every event, span and OTLP request received at or after ``since``."""

    def column(name: str) -> Sequence[str]:
        columns = telemetry.columns(statement("collector", name), {"since": since})
        return columns[0] if columns else ()

    yield column("select_recent_identities")
    yield [bytes.fromhex(ids) for ids in column("select_recent_span_identities")]
    yield column("select_recent_request_identities")


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it. Source: Protocol Buffers, "Encoding"."""
    result = bytearray()
    while number >= _ONE_BYTE:
        result.append(number & (_ONE_BYTE - 1) | _ONE_BYTE)
        number >>= 7
    result.append(number)
    return bytes(result)


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
