"""What an investigation reads: doubtful consents from the ledger, decisions from their log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from candor.kernel.decision_ports import DecisionRecord
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent.act import YES
from privacy.consent.replay import record_of
from privacy.consent.tables import ConsentEventRow
from privacy.investigation.doubt import Doubt

_PAGE = 2000


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open span of the decisions that are looked at."""

    since: datetime
    until: datetime


def count_doubtful(session: Session, doubt: Doubt) -> tuple[int, int]:
    """Return how many consents are doubtful, and of how many identifiers."""
    people = func.count(ConsentEventRow.subject_key.distinct())
    consents, persons = session.execute(select(func.count(), people).where(*_doubted(doubt))).one()
    return consents, persons


def doubted_keys(session: Session, doubt: Doubt, after: str, most: int) -> list[str]:
    """Return the next identifiers, in order, of which a consent is doubtful."""
    return list(
        session.scalars(
            select(ConsentEventRow.subject_key)
            .where(*_doubted(doubt), ConsentEventRow.subject_key > after)
            .distinct()
            .order_by(ConsentEventRow.subject_key)
            .limit(most)
        )
    )


def uses_of(
    telemetry: TelemetryStore, keys: Sequence[str], span: Span
) -> Iterator[list[DecisionRecord]]:
    """Yield, by pages and the oldest first, the uses that were allowed of these identifiers."""
    return _pages(telemetry, "select_uses", span, {"keys": list(keys)})


def decisions_of(telemetry: TelemetryStore, span: Span) -> Iterator[list[DecisionRecord]]:
    """Yield every decision, by pages and the oldest first."""
    return _pages(telemetry, "select_decisions", span, {})


def _pages(
    telemetry: TelemetryStore, name: str, span: Span, parameters: dict[str, Any]
) -> Iterator[list[DecisionRecord]]:
    since, last = span.since, ""
    while True:
        more = {"since": since, "after": last, "until": span.until, "most": _PAGE}
        rows = telemetry.query(statement("privacy.investigation", name), parameters | more)
        if rows:
            page = [record_of(row) for row in rows]
            since, last = page[-1].at, page[-1].id
            yield page
        if len(rows) < _PAGE:
            return


def _doubted(doubt: Doubt) -> list[ColumnElement[bool]]:
    """Return ``Doubt.covers`` as conditions."""
    row = ConsentEventRow
    conditions: list[ColumnElement[bool]] = [row.action.in_(sorted(YES))]
    if doubt.notice is not None:
        conditions.append(row.notice == doubt.notice)
    if doubt.source is not None:
        conditions.append(row.source == doubt.source)
    if doubt.actor is not None:
        conditions.append(or_(row.actor == doubt.actor, row.recorded_by == doubt.actor))
    if doubt.event is not None:
        conditions.append(row.id == doubt.event)
    return conditions
