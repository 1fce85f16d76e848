"""The only way of consent to the state store, but for the hot reads in ``reading``."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec
from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.orm import Session

from privacy.consent.act import Act, ConsentEvent
from privacy.consent.notice import Notice, notice_of
from privacy.consent.policy import Applied
from privacy.consent.purpose import Purpose, purpose_of
from privacy.consent.standing import Standing, Standings
from privacy.consent.tables import (
    ConsentEventRow,
    ConsentRequestRow,
    ConsentTurnRow,
    NoticeRow,
    PurposeRow,
    StandingsRow,
)

_MOST_VALUES = 1000
_T = TypeVar("_T")
_PACKER = msgspec.msgpack.Encoder()
_UNPACKER = msgspec.msgpack.Decoder(tuple[Standing, ...])


class Turn(NamedTuple):
    """The number of a transaction, and of the last one that changed the policy before it."""

    number: int
    policy: int


def take_turn(session: Session) -> Turn:
    """Wait until no other transaction writes to the ledger, and return the number of this one.

    Must be the first statement of its transaction: it takes the lock of the row on PostgreSQL and
    the write lock of the file on SQLite, so that all that is read after it is the latest.
    """
    taken = session.execute(
        update(ConsentTurnRow)
        .where(ConsentTurnRow.id == 1)
        .values(turn=ConsentTurnRow.turn + 1)
        .returning(ConsentTurnRow.turn, ConsentTurnRow.policy_turn)
        .execution_options(synchronize_session=False)
    )
    return Turn(*taken.one())


def current_turn(session: Session) -> Turn:
    """Return the number of the last transaction, and of the last that changed the policy."""
    return Turn(*session.execute(select(ConsentTurnRow.turn, ConsentTurnRow.policy_turn)).one())


def mark_policy(session: Session, turn: Turn) -> None:
    """Say that this transaction changes the policy."""
    session.execute(
        update(ConsentTurnRow).where(ConsentTurnRow.id == 1).values(policy_turn=turn.number)
    )


def read_applied(session: Session) -> list[Applied]:
    """Return every version of a purpose and every notice that was ever put."""
    applied = [
        Applied(purpose_of(row.key, json.loads(row.definition)), row.turn, row.at, row.by)
        for row in session.scalars(select(PurposeRow))
    ]
    applied += [_notice(row) for row in session.scalars(select(NoticeRow))]
    return sorted(applied, key=lambda one: (one.turn, isinstance(one.subject, Notice)))


def find_notice(session: Session, key: str, version: str) -> tuple[Applied, bool] | None:
    """Return a notice and whether it was served; none when there is no such version."""
    row = session.get(NoticeRow, (key, version))
    return None if row is None else (_notice(row), row.served)


def add_purpose(session: Session, turn: Turn, purpose: Purpose, at: datetime, by: str) -> None:
    """Store a version of a purpose."""
    text = json.dumps(purpose.definition(), sort_keys=True)
    session.add(PurposeRow(turn=turn.number, key=purpose.key, definition=text, at=at, by=by))


def put_notice(session: Session, turn: Turn, notice: Notice, at: datetime, by: str) -> None:
    """Store a notice, in the place of one of the same version that was not served."""
    row = session.get(NoticeRow, (notice.key, notice.version))
    if row is None:
        row = NoticeRow(key=notice.key, version=notice.version, served=False)
        session.add(row)
    row.definition = json.dumps(notice.definition(), sort_keys=True)
    row.turn, row.at, row.by = turn.number, at, by


def mark_served(session: Session, references: Iterable[str]) -> None:
    """Say that these notices were shown or relied upon: from now on they never change."""
    for reference in sorted(set(references)):
        key, _, version = reference.partition("/")
        session.execute(
            update(NoticeRow)
            .where(NoticeRow.key == key, NoticeRow.version == version, ~NoticeRow.served)
            .values(served=True)
        )


def add_events(
    session: Session,
    events: Sequence[ConsentEvent],
    repeat_keys: Sequence[str | None],
    audit_places: Sequence[int],
) -> None:
    """Append acts to the ledger, each with its place in the audit log."""
    if not events:
        return
    rows = [
        _columns(event) | {"repeat_key": key, "audit_index": place}
        for event, key, place in zip(events, repeat_keys, audit_places, strict=True)
    ]
    session.execute(insert(ConsentEventRow), rows)


def known_repeats(session: Session, repeat_keys: Iterable[str]) -> dict[str, str]:
    """Return the event of each repeat key that is on record."""
    known = {}
    for some in _chunks(repeat_keys):
        rows = session.execute(
            select(ConsentEventRow.repeat_key, ConsentEventRow.id).where(
                ConsentEventRow.repeat_key.in_(some)
            )
        )
        known.update({key: event for key, event in rows if key is not None})
    return known


def known_events(session: Session, ids: Iterable[str]) -> set[str]:
    """Return which of these acts are on record."""
    known: set[str] = set()
    for some in _chunks(ids):
        known |= set(
            session.scalars(select(ConsentEventRow.id).where(ConsentEventRow.id.in_(some)))
        )
    return known


def read_standings(session: Session, keys: Iterable[str]) -> dict[str, Standings]:
    """Return the standings of each of these identifiers that has any."""
    found = {}
    for some in _chunks(keys):
        rows = session.execute(
            select(StandingsRow.subject_key, StandingsRow.packed).where(
                StandingsRow.subject_key.in_(some)
            )
        )
        found.update({key: unpacked(packed) for key, packed in rows})
    return found


def write_standings(
    session: Session, turn: Turn, standings: dict[str, Standings], known: Iterable[str]
) -> None:
    """Store standings; ``known`` are the identifiers that have some already."""
    already = set(known)
    fresh = [
        {"subject_key": key, "turn": turn.number, "packed": packed(one)}
        for key, one in standings.items()
        if key not in already
    ]
    if fresh:
        session.execute(insert(StandingsRow), fresh)
    changed = [
        {"subject_key": key, "turn": turn.number, "packed": packed(one)}
        for key, one in standings.items()
        if key in already
    ]
    if changed:
        session.execute(update(StandingsRow), changed)


def read_events(
    session: Session,
    keys: Iterable[str],
    *,
    upto_turn: int | None = None,
    upto: datetime | None = None,
) -> list[ConsentEvent]:
    """Return the acts of these identifiers in the order of their recording.

    Those recorded by the turn ``upto_turn`` or the instant ``upto``, both inclusive, if given.
    """
    found: list[ConsentEvent] = []
    for some in _chunks(keys):
        wanted = select(ConsentEventRow).where(ConsentEventRow.subject_key.in_(some))
        if upto_turn is not None:
            wanted = wanted.where(ConsentEventRow.turn <= upto_turn)
        if upto is not None:
            wanted = wanted.where(ConsentEventRow.recorded_at <= upto)
        found += [_event(row) for row in session.scalars(wanted)]
    return sorted(found, key=lambda one: (one.turn, one.number))


def find_event(session: Session, event_id: str) -> tuple[ConsentEvent, int | None] | None:
    """Return an act and its place in the audit log; no place where it was not kept yet."""
    row = session.scalar(select(ConsentEventRow).where(ConsentEventRow.id == event_id))
    return None if row is None else (_event(row), row.audit_index)


def events_after(session: Session, turn: int, number: int, most: int) -> list[ConsentEvent]:
    """Return the next acts behind a place of the ledger, in the order of their recording.

    Turns are committed in order, so nothing comes later to a place that was passed.
    """
    place = tuple_(ConsentEventRow.turn, ConsentEventRow.number)
    rows = session.scalars(
        select(ConsentEventRow)
        .where(place > (turn, number))
        .order_by(ConsentEventRow.turn, ConsentEventRow.number)
        .limit(most)
    )
    return [_event(row) for row in rows]


def all_events(session: Session) -> Iterator[ConsentEvent]:
    """Yield every act in the order of its recording, without holding them all."""
    rows = session.scalars(
        select(ConsentEventRow)
        .order_by(ConsentEventRow.turn, ConsentEventRow.number)
        .execution_options(yield_per=_MOST_VALUES)
    )
    for row in rows:
        yield _event(row)


def all_standings(session: Session) -> dict[str, Standings]:
    """Return the standings of everybody; for a check that they follow from the ledger."""
    rows = session.execute(select(StandingsRow.subject_key, StandingsRow.packed))
    return {key: unpacked(packed) for key, packed in rows}


def find_request(session: Session, key_digest: str) -> tuple[str, str] | None:
    """Return the body's digest and the answer of a request on record; none when it is new."""
    row = session.get(ConsentRequestRow, key_digest)
    return None if row is None else (row.body_digest, row.answer)


def add_request(
    session: Session, key_digest: str, body_digest: str, answer: str, at: datetime
) -> None:
    """Remember what a request was answered."""
    session.add(
        ConsentRequestRow(key_digest=key_digest, body_digest=body_digest, answer=answer, at=at)
    )


def forget_requests(session: Session, before: datetime) -> None:
    """Forget what requests with a key were answered before that time."""
    session.execute(delete(ConsentRequestRow).where(ConsentRequestRow.at < before))


def packed(standings: Standings) -> bytes:
    """Return standings as they are stored."""
    return _PACKER.encode(standings)


def unpacked(stored: bytes) -> Standings:
    """Return the standings that ``packed`` stored."""
    return _UNPACKER.decode(stored)


_ACT_COLUMNS = tuple(Act.__dataclass_fields__)
_EVENT_COLUMNS = ("id", "turn", "number", "starts_at", "recorded_at", "recorded_by")


def _columns(event: ConsentEvent) -> dict[str, Any]:
    columns = {name: getattr(event, name) for name in (*_EVENT_COLUMNS, "notice_digest")}
    return columns | {name: getattr(event.act, name) for name in _ACT_COLUMNS}


def _event(row: ConsentEventRow) -> ConsentEvent:
    act = Act(**{name: getattr(row, name) for name in _ACT_COLUMNS})
    columns = {name: getattr(row, name) for name in (*_EVENT_COLUMNS, "notice_digest")}
    return ConsentEvent(act=act, **columns)


def _notice(row: NoticeRow) -> Applied:
    notice = notice_of(row.key, row.version, json.loads(row.definition))
    return Applied(notice, row.turn, row.at, row.by)


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    stream = iter(values)
    while some := list(islice(stream, _MOST_VALUES)):
        yield some
