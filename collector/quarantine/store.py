"""The quarantine in both stores: rows in the telemetry store, marks in the state store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from collector.dedupe import Identity
from collector.event import Event
from collector.quarantine.tables import ReplayRow

_MOST_IDENTITIES = 50  # of the longest, as a parameter of one query weighs 128 KiB at most
_TRACE_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One refused event as it is kept; ``sealed`` is what was sent, and empty in a listing."""

    id: str
    received_at: datetime
    code: str
    path: str
    message: str
    door: str
    call: str
    source: str
    contract: str
    subject_key: str
    size_bytes: int
    key_id: str
    expires_at: datetime
    sealed: str = field(default="", repr=False)


def list_entries(
    telemetry: TelemetryStore, *, code: str, since: datetime, now: datetime, limit: int
) -> list[Entry]:
    """Return what was refused since then, newest first, without the payloads.

    ``code`` chooses one reason, or all when it is empty. What has expired is left out.
    """
    parameters = {"code": code, "since": since, "now": now, "limit": limit}
    rows = telemetry.query(statement("collector", "list_refused_events"), parameters)
    return [Entry(**row) for row in rows]


def count_entries(telemetry: TelemetryStore, since: datetime, now: datetime) -> dict[str, int]:
    """Return how many different events are kept for each reason that there is."""
    parameters = {"since": since, "now": now}
    rows = telemetry.query(statement("collector", "count_refused_events"), parameters)
    return {row["code"]: row["events"] for row in rows}


def find_entries(
    telemetry: TelemetryStore, ids: Sequence[str], now: datetime
) -> Mapping[str, Entry]:
    """Return what is kept under these ids, with payloads; unknown and expired are left out."""
    parameters = {"ids": list(ids), "now": now}
    rows = telemetry.query(statement("collector", "select_refused_events"), parameters)
    return {row["id"]: Entry(**row) for row in rows}


def delete_expired_entries(telemetry: TelemetryStore, now: datetime) -> None:
    """Delete what has expired; does nothing when nothing has."""
    counted = telemetry.query(statement("collector", "count_expired_events"), {"now": now})
    if counted[0]["events"]:
        telemetry.command(statement("collector", "delete_expired_events"), {"now": now})


def stored_identities(telemetry: TelemetryStore, events: Sequence[Event]) -> set[str]:
    """Return the identities of those events that the telemetry store holds already."""
    found: set[str] = set()
    for start in range(0, len(events), _MOST_IDENTITIES):
        some = events[start : start + _MOST_IDENTITIES]
        parameters = {
            "journeys": [event.journey for event in some],
            "names": [event.name for event in some],
            "times": [event.time for event in some],
            "identities": [event.identity for event in some],
        }
        rows = telemetry.query(statement("collector", "select_stored_identities"), parameters)
        found.update(row["identity"] for row in rows)
    return found


def stored_records(telemetry: TelemetryStore, identities: Sequence[Identity]) -> set[Identity]:
    """Return those identities of OTLP records that the telemetry store holds already.

    Bytes are those of spans; texts are those of requests with log records or data points.
    """
    found: set[Identity] = set()
    spans = [one for one in identities if isinstance(one, bytes)]
    requests = [one for one in identities if isinstance(one, str)]
    for ids in _parts([one.hex() for one in spans]):
        traces = [one[:_TRACE_DIGITS] for one in ids]
        rows = telemetry.query(
            statement("collector", "select_stored_span_identities"),
            {"traces": traces, "identities": list(ids)},
        )
        found.update(bytes.fromhex(row["identity"]) for row in rows)
    for ids in _parts(requests):
        rows = telemetry.query(
            statement("collector", "select_stored_request_identities"), {"identities": list(ids)}
        )
        found.update(row["identity"] for row in rows)
    return found


def _parts(identities: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(identities), _MOST_IDENTITIES):
        yield identities[start : start + _MOST_IDENTITIES]


def replayed_at(session: Session, ids: Sequence[str]) -> dict[str, datetime]:
    """Return when each of these was replayed; those that were not are left out."""
    rows = session.scalars(select(ReplayRow).where(ReplayRow.id.in_(ids)))
    return {row.id: row.replayed_at for row in rows}


def mark_replayed(session: Session, entries: Sequence[Entry], at: datetime) -> None:
    """Mark entries; who marks one of them at the same time waits for the end of this transaction.

    Raises:
        IntegrityError: one is marked already; ``session_of`` makes a conflict of it.
    """
    for entry in sorted(entries, key=lambda one: one.id):
        session.add(ReplayRow(id=entry.id, replayed_at=at, expires_at=entry.expires_at))
    session.flush()


def unmark_replayed(session: Session, ids: Collection[str]) -> None:
    """Take the marks of entries back that were refused again."""
    if ids:
        session.execute(delete(ReplayRow).where(ReplayRow.id.in_(ids)))


def delete_expired_marks(session: Session, now: datetime) -> None:
    """Forget the replays of what has expired."""
    session.execute(delete(ReplayRow).where(ReplayRow.expires_at <= now))
