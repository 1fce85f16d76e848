"""Re-scans as the state store keeps them: waiting, running, done or failed."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from candor.kernel.errors import InvalidInputError, NotFoundError
from candor.kernel.ids import new_id
from privacy.audit.store import Entry, append
from privacy.pii.rescan_places import STORED, TABLES
from privacy.pii.rescan_report import Wanted
from privacy.pii.tables import PiiFindingRow, PiiRescanRow

_MOST_REASON = 500


def request_rescan(
    session: Session, wanted: Wanted, *, reason: str, author: str, at: datetime
) -> dict[str, Any]:
    """Store what is wanted and return it; one that rewrites is written down in the audit log.

    Raises:
        InvalidInputError: it names a table that is not looked into, a window without any time, or
            wants to rewrite by a sample, or without a reason.
    """
    known = [one.name for one in TABLES]
    if unknown := sorted(set(wanted.tables) - set(known)):
        raise InvalidInputError(
            f"{', '.join(unknown)} is no table of telemetry. Tables are {', '.join(known)}.",
            path="tables",
        )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidInputError("The window ends before it begins.", path="until")
    if wanted.applies and wanted.sample is not None:
        raise InvalidInputError("A policy is applied to all rows, not to a sample.", path="sample")
    if wanted.applies and not reason:
        raise InvalidInputError("Say for which reason rows are rewritten.", path="reason")
    rescan_id = new_id(at)
    if wanted.applies:
        append(session, [_entry("pii_rescan", rescan_id, at, author, reason, wanted.document())])
    session.add(
        PiiRescanRow(
            id=rescan_id,
            requested_at=at,
            requested_by=author,
            reason=reason[:_MOST_REASON],
            definition=json.dumps(wanted.document()),
            state="waiting",
            attempts=0,
            progress="null",
            report="[]",
            fault="",
            changed_at=at,
        )
    )
    session.flush()
    return find_rescan(session, rescan_id)


def find_rescan(session: Session, rescan_id: str) -> dict[str, Any]:
    """Return a re-scan with what it found so far.

    Raises:
        NotFoundError: there is none of that id.
    """
    row = session.get(PiiRescanRow, rescan_id, populate_existing=True)
    if row is None:
        raise NotFoundError("No re-scan bears that id.")
    return _document(row)


def list_rescans(session: Session, limit: int) -> list[dict[str, Any]]:
    """Return re-scans, the latest first."""
    query = select(PiiRescanRow).order_by(PiiRescanRow.id.desc()).limit(limit)
    return [_document(row) for row in session.scalars(query)]


def take_rescan(session: Session, at: datetime) -> dict[str, Any] | None:
    """Return the oldest re-scan that is not finished, as running; none when all are."""
    oldest = (
        select(PiiRescanRow.id)
        .where(PiiRescanRow.state.in_(("waiting", "running")))
        .order_by(PiiRescanRow.id)
        .limit(1)
    )
    rescan_id = session.scalar(oldest)
    if rescan_id is None:
        return None
    _change(session, rescan_id, state="running", attempts=PiiRescanRow.attempts + 1, changed_at=at)
    return find_rescan(session, rescan_id)


def note_progress(
    session: Session, rescan_id: str, progress: Mapping[str, Any], at: datetime
) -> None:
    """Keep how far a re-scan has come."""
    _change(session, rescan_id, progress=json.dumps(progress), changed_at=at)


def note_tables(
    session: Session, rescan_id: str, tables: Sequence[Mapping[str, Any]], at: datetime
) -> None:
    """Keep the tables that a re-scan is done with: it does not begin with them again."""
    _change(session, rescan_id, report=json.dumps(tables), changed_at=at)


def finish_rescan(session: Session, rescan_id: str, at: datetime, fault: str = "") -> None:
    """Say that a re-scan is done, or for which fault it failed; what was rewritten is audited."""
    state = "failed" if fault else "done"
    row = find_rescan(session, rescan_id)
    if row["apply"]:
        told = {
            "state": state,
            "rewritten": {one["table"]: one["rewritten"] for one in row["tables"]},
        }
        entry = _entry("pii_rescanned", rescan_id, at, row["requested_by"], row["reason"], told)
        append(session, [entry])
    _change(session, rescan_id, state=state, fault=fault, changed_at=at)


def judged_places(
    session: Session,
) -> tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]:
    """Return the fields and entities that people called personal data, and those found by mistake.

    A mistake at one door stands for stored rows too, of which nobody knows the sender, unless the
    same is found at another door and not judged so.
    """
    rows = session.execute(
        select(PiiFindingRow.path, PiiFindingRow.entity, PiiFindingRow.state, PiiFindingRow.source)
    ).all()
    accepted = {(path, entity) for path, entity, state, _ in rows if state == "accepted"}
    mistakes = {(path, entity) for path, entity, state, _ in rows if state == "false_positive"}
    doubtful = {
        (path, entity)
        for path, entity, state, source in rows
        if state != "false_positive" and not source.startswith(STORED)
    }
    return frozenset(accepted), frozenset(mistakes - doubtful - accepted)


def _entry(  # noqa: PLR0913, PLR0917 - each is a particular of the entry
    kind: str, rescan_id: str, at: datetime, by: str, reason: str, told: Mapping[str, Any]
) -> Entry:
    return Entry(kind, at, {"id": rescan_id, "by": by, "reason": reason, **told})


def _change(session: Session, rescan_id: str, **values: Any) -> None:  # noqa: ANN401 - columns
    session.execute(
        update(PiiRescanRow)
        .where(PiiRescanRow.id == rescan_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


def _document(row: PiiRescanRow) -> dict[str, Any]:
    wanted = json.loads(row.definition)
    return {
        "id": row.id,
        "state": row.state,
        "requested_at": row.requested_at,
        "requested_by": row.requested_by,
        "reason": row.reason,
        "wanted": wanted,
        "apply": wanted["apply"],
        "attempts": row.attempts,
        "progress": json.loads(row.progress),
        "fault": row.fault,
        "changed_at": row.changed_at,
        "tables": json.loads(row.report),
    }
