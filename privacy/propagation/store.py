"""Reads and writes of subscribers, their cursors, who waits, and dead letters."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from candor.kernel.errors import NotFoundError
from privacy.consent.store import current_turn, events_after
from privacy.propagation.lane import DeadLetter, Waiting
from privacy.propagation.position import Position, end_of
from privacy.propagation.sealing import open_sealed, seal
from privacy.propagation.subscriber import Subscriber, subscriber_of
from privacy.propagation.tables import DeadLetterRow, SubscriberRow, WaitingRow


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a subscriber is served, and since when it takes nothing, if so."""

    position: Position
    failures: int
    next_at: datetime
    outcome: str


def find(session: Session, key: bytes, name: str) -> tuple[Subscriber, Progress] | None:
    """Return a subscriber and how far it is; none when nobody bears that name."""
    row = session.get(SubscriberRow, name)
    if row is None:
        return None
    secrets = open_sealed(key, name, row.sealed)
    subscriber = subscriber_of(name, json.loads(row.definition), secrets)
    position = Position(row.turn, row.number)
    return subscriber, Progress(position, row.failures, row.next_at, row.outcome)


def positions(session: Session) -> dict[str, Position]:
    """Return how far every subscriber is, by name."""
    row = SubscriberRow
    rows = session.execute(select(row.name, row.turn, row.number).order_by(row.name))
    return {name: Position(turn, number) for name, turn, number in rows}


def known(session: Session, name: str) -> tuple[dict[str, Any], Progress]:
    """Return how a subscriber is defined and how far it is; its secrets need not open for that.

    Raises:
        NotFoundError: nobody bears that name.
    """
    row = session.get(SubscriberRow, name)
    if row is None:
        raise NotFoundError("No subscriber bears that name. List them with GET.")
    position = Position(row.turn, row.number)
    progress = Progress(position, row.failures, row.next_at, row.outcome)
    return json.loads(row.definition), progress


def put(  # noqa: PLR0913, PLR0917 - the subscriber, where it starts, and all that is stamped on it
    session: Session,
    key: bytes,
    subscriber: Subscriber,
    start: Position | None,
    at: datetime,
    by: str,
) -> None:
    """Store a subscriber; a new one starts at the end of the ledger unless ``start`` is given."""
    row = session.get(SubscriberRow, subscriber.name)
    if row is None:
        begins = start or end_of(current_turn(session).number)
        row = SubscriberRow(name=subscriber.name, turn=begins.turn, number=begins.number)
        session.add(row)
    row.definition = json.dumps(subscriber.definition(), sort_keys=True)
    row.sealed = seal(key, subscriber.name, subscriber.secrets())
    row.failures, row.next_at, row.outcome = 0, at, ""
    row.applied_at, row.applied_by = at, by


def remove(session: Session, name: str) -> None:
    """Forget a subscriber with all that waited for it."""
    for table in (WaitingRow, DeadLetterRow):
        session.execute(delete(table).where(table.subscriber == name))
    session.execute(delete(SubscriberRow).where(SubscriberRow.name == name))


def advance(session: Session, name: str, before: Position, progress: Progress) -> bool:
    """Write how far a subscriber is, unless somebody moved it meanwhile; whether it was written."""
    moved = session.connection().execute(
        update(SubscriberRow)
        .where(
            SubscriberRow.name == name,
            SubscriberRow.turn == before.turn,
            SubscriberRow.number == before.number,
        )
        .values(
            turn=progress.position.turn,
            number=progress.position.number,
            failures=progress.failures,
            next_at=progress.next_at,
            outcome=progress.outcome,
        )
    )
    return bool(moved.rowcount)


def hold(session: Session, name: str) -> None:
    """Let nobody write how far a subscriber is until the transaction ends."""
    session.get_one(SubscriberRow, name, with_for_update=True, populate_existing=True)


def note(session: Session, name: str, outcome: str) -> None:
    """Say why a subscriber cannot be served at all."""
    session.execute(
        update(SubscriberRow).where(SubscriberRow.name == name).values(outcome=outcome[:200])
    )


def move(session: Session, name: str, position: Position, at: datetime) -> None:
    """Let a subscriber be told again from a place on, with what waited or was given up there.

    A place that it was not told of yet changes nothing: nothing is ever passed over.
    """
    row = session.get_one(SubscriberRow, name, with_for_update=True, populate_existing=True)
    row.failures, row.next_at, row.outcome = 0, at, ""
    before = position.preceding
    if before >= (row.turn, row.number):
        return
    row.turn, row.number = before
    for table in (WaitingRow, DeadLetterRow):
        place = tuple_(table.turn, table.number)
        session.execute(delete(table).where(table.subscriber == name, place >= tuple(position)))


def due(session: Session, name: str, at: datetime, most: int) -> list[Waiting]:
    """Return the persons who waited long enough, the longest first."""
    rows = session.scalars(
        select(WaitingRow)
        .where(WaitingRow.subscriber == name, WaitingRow.next_at <= at)
        .order_by(WaitingRow.next_at)
        .limit(most)
    )
    return [_waiting(row) for row in rows]


def waiting_places(session: Session, name: str, keys: Iterable[str]) -> dict[str, Position]:
    """Return from which place on each of these persons waits, if they do."""
    row = WaitingRow
    rows = session.execute(
        select(row.subject_key, row.turn, row.number).where(
            row.subscriber == name, row.subject_key.in_(sorted(set(keys)))
        )
    )
    return {key: Position(turn, number) for key, turn, number in rows}


def keep_waiting(session: Session, name: str, waiting: Waiting) -> None:
    """Let a person wait, from one place on."""
    row = session.get(WaitingRow, (name, waiting.subject_key))
    if row is None:
        row = WaitingRow(subscriber=name, subject_key=waiting.subject_key)
        session.add(row)
    row.turn, row.number = waiting.position
    row.attempts, row.next_at, row.outcome = waiting.attempts, waiting.next_at, waiting.outcome


def end_waiting(session: Session, name: str, subject_key: str) -> None:
    """Say that a person waits no more."""
    session.execute(
        delete(WaitingRow).where(
            WaitingRow.subscriber == name, WaitingRow.subject_key == subject_key
        )
    )


def bury(session: Session, name: str, dead: DeadLetter) -> None:
    """Keep an act that is given up; one that was given up before counts once."""
    row = session.get(DeadLetterRow, (name, *dead.position))
    if row is None:
        row = DeadLetterRow(subscriber=name, turn=dead.position.turn, number=dead.position.number)
        session.add(row)
    row.event, row.subject_key = dead.event, dead.subject_key
    row.attempts, row.outcome, row.at = dead.attempts, dead.outcome, dead.at


def dead_letters(session: Session, name: str, after: Position, most: int) -> list[DeadLetter]:
    """Return what was given up behind a place, in the order of the ledger."""
    place = tuple_(DeadLetterRow.turn, DeadLetterRow.number)
    rows = session.scalars(
        select(DeadLetterRow)
        .where(DeadLetterRow.subscriber == name, place > tuple(after))
        .order_by(DeadLetterRow.turn, DeadLetterRow.number)
        .limit(most)
    )
    return [
        DeadLetter(
            Position(row.turn, row.number),
            row.event,
            row.subject_key,
            row.attempts,
            row.outcome,
            row.at,
        )
        for row in rows
    ]


def forget_dead(session: Session, name: str, positions: Sequence[Position]) -> None:
    """Take acts from those that were given up."""
    place = tuple_(DeadLetterRow.turn, DeadLetterRow.number)
    session.execute(
        delete(DeadLetterRow).where(
            DeadLetterRow.subscriber == name, place.in_([tuple(one) for one in positions])
        )
    )


def waiting_of(session: Session, name: str, subject_key: str) -> Waiting | None:
    """Return how a person waits; none when they do not."""
    row = session.get(WaitingRow, (name, subject_key))
    return None if row is None else _waiting(row)


def counts(session: Session, name: str) -> tuple[int, int]:
    """Return how many persons wait for a subscriber, and how many acts were given up."""
    waiting = select(func.count()).where(WaitingRow.subscriber == name)
    dead = select(func.count()).where(DeadLetterRow.subscriber == name)
    return session.scalars(waiting).one(), session.scalars(dead).one()


def oldest_untold(session: Session, name: str, position: Position) -> datetime | None:
    """Return when the oldest act was recorded that a subscriber was not told; none if all were."""
    oldest = session.execute(
        select(WaitingRow.turn, WaitingRow.number)
        .where(WaitingRow.subscriber == name)
        .order_by(WaitingRow.turn, WaitingRow.number)
        .limit(1)
    ).first()
    after = min(position, Position(*oldest).preceding) if oldest else position
    events = events_after(session, *after, 1)
    return events[0].recorded_at if events else None


def _waiting(row: WaitingRow) -> Waiting:
    place = Position(row.turn, row.number)
    return Waiting(row.subject_key, place, row.attempts, row.next_at, row.outcome)
