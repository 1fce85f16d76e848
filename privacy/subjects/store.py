"""The subject index's only way to the state store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import TypeVar

from sqlalchemy import insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from candor.kernel.ids import new_id
from candor.kernel.ports import Identifier, Provenance
from privacy.audit import store as audit
from privacy.subjects.components import Pair
from privacy.subjects.tables import (
    IdentifierRow,
    SubjectGroupRow,
    SubjectLinkRow,
    SubjectPairRow,
    SubjectRow,
    SubjectTurnRow,
)

_MOST_VALUES = 1000
_T = TypeVar("_T")

LINK, UNLINK, JOIN = "link", "unlink", "join"


def take_turn(session: Session) -> int:
    """Wait until no other transaction writes to the index, and return the number of this one.

    Must be the first statement of its transaction: it takes the lock of the row on PostgreSQL and
    the write lock of the file on SQLite, so that all that is read after it is the latest.
    """
    taken = session.execute(
        update(SubjectTurnRow)
        .where(SubjectTurnRow.id == 1)
        .values(turn=SubjectTurnRow.turn + 1)
        .returning(SubjectTurnRow.turn)
        .execution_options(synchronize_session=False)
    )
    return taken.scalar_one()


def known_subjects(session: Session, keys: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Return the person of each known key, and whether the key is kept apart."""
    columns = (SubjectRow.subject_key, SubjectRow.person, SubjectRow.apart)
    known = {}
    for some in _chunks(keys):
        rows = session.execute(select(*columns).where(SubjectRow.subject_key.in_(some)))
        known.update({key: (person, apart) for key, person, apart in rows})
    return known


def known_pairs(session: Session, pairs: Iterable[Pair]) -> dict[Pair, bool]:
    """Return which pairs were ever linked, and whether they are still."""
    columns = (SubjectPairRow.low_key, SubjectPairRow.high_key)
    known = {}
    for some in _chunks(pairs):
        rows = session.execute(
            select(*columns, SubjectPairRow.in_force).where(tuple_(*columns).in_(some))
        )
        known.update({(low, high): in_force for low, high, in_force in rows})
    return known


def known_groups(session: Session, joined: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which of these (subject key, group key) are on record."""
    columns = (SubjectGroupRow.subject_key, SubjectGroupRow.group_key)
    known: set[tuple[str, str]] = set()
    for some in _chunks(joined):
        rows = session.execute(select(*columns).where(tuple_(*columns).in_(some)))
        known.update((subject, group) for subject, group in rows)
    return known


def add_subjects(session: Session, subjects: Iterable[tuple[Identifier, str]]) -> None:
    """Store identifiers that were unknown, each with its person."""
    _add(
        session,
        SubjectRow,
        (
            {"subject_key": one.subject_key, "type": one.type, "person": person, "apart": False}
            for one, person in subjects
        ),
    )


def add_pairs(session: Session, pairs: Iterable[Pair]) -> None:
    """Store pairs that were unknown; they are in force."""
    rows = ({"low_key": low, "high_key": high, "in_force": True} for low, high in pairs)
    _add(session, SubjectPairRow, rows)


def add_groups(session: Session, joined: Iterable[tuple[str, str]]) -> None:
    """Store memberships that were unknown."""
    rows = ({"subject_key": subject, "group_key": group} for subject, group in joined)
    _add(session, SubjectGroupRow, rows)


def turn_pair(session: Session, pair: Pair, *, in_force: bool) -> None:
    """Say of a known pair whether it holds."""
    low, high = pair
    session.execute(
        update(SubjectPairRow)
        .where(SubjectPairRow.low_key == low, SubjectPairRow.high_key == high)
        .values(in_force=in_force)
    )


def set_apart(session: Session, key: str, *, apart: bool) -> None:
    """Say of a known identifier whether telemetry may link it."""
    session.execute(update(SubjectRow).where(SubjectRow.subject_key == key).values(apart=apart))


def rename_persons(session: Session, names: Mapping[str, str]) -> None:
    """Give everyone of one person another's name, for each (old, new)."""
    for old, new in names.items():
        session.execute(update(SubjectRow).where(SubjectRow.person == old).values(person=new))


def place_subjects(session: Session, persons: Mapping[str, str]) -> None:
    """Say of each known key whose it is."""
    for key, person in persons.items():
        session.execute(
            update(SubjectRow).where(SubjectRow.subject_key == key).values(person=person)
        )


def members(session: Session, person: str) -> list[Identifier]:
    """Return the identifiers of a person, by key."""
    rows = session.execute(
        select(SubjectRow.type, SubjectRow.subject_key)
        .where(SubjectRow.person == person)
        .order_by(SubjectRow.subject_key)
    )
    return [Identifier(type_, key) for type_, key in rows]


def siblings(session: Session, key: str) -> list[Identifier]:
    """Return the identifiers of the person that a key is of, by key; none for an unknown key."""
    other = aliased(SubjectRow)
    rows = session.execute(
        select(other.type, other.subject_key)
        .join(SubjectRow, SubjectRow.person == other.person)
        .where(SubjectRow.subject_key == key)
        .order_by(other.subject_key)
    )
    return [Identifier(type_, one) for type_, one in rows]


def pairs_of(session: Session, keys: Iterable[str]) -> list[Pair]:
    """Return the pairs in force that have one of these keys, each once."""
    columns = (SubjectPairRow.low_key, SubjectPairRow.high_key)
    found: dict[Pair, None] = {}
    for some in _chunks(keys):
        rows = session.execute(
            select(*columns)
            .where(
                SubjectPairRow.in_force,
                or_(SubjectPairRow.low_key.in_(some), SubjectPairRow.high_key.in_(some)),
            )
            .order_by(*columns)
        )
        found |= dict.fromkeys((low, high) for low, high in rows)
    return list(found)


def write_record(
    session: Session,
    turn: int,
    action: str,
    told: Iterable[tuple[Identifier, Identifier | None, Provenance]],
) -> None:
    """Append acts to the record; what a person decided goes into the audit log too."""
    told = list(told)
    audit.append(session, [_entry(action, *one) for one in told if one[2].decided])
    _add(
        session,
        SubjectLinkRow,
        (
            {
                "id": new_id(provenance.received_at),
                "turn": turn,
                "action": action,
                "subject_type": one.type,
                "subject_key": one.subject_key,
                "other_type": other.type if other else None,
                "other_key": other.subject_key if other else None,
                "source": provenance.source,
                "door": provenance.door,
                "call": provenance.call,
                "at": provenance.at,
                "received_at": provenance.received_at,
            }
            for one, other, provenance in told
        ),
    )


def _entry(
    action: str, one: Identifier, other: Identifier | None, provenance: Provenance
) -> audit.Entry:
    particulars = {
        "subject_key": one.subject_key,
        "other_key": other.subject_key if other else None,
        "source": provenance.source,
    }
    return audit.Entry(f"subject.{action}", provenance.received_at, particulars)


def read_record(session: Session, keys: Sequence[str]) -> list[SubjectLinkRow]:
    """Return the acts that name one of these keys, oldest first."""
    found: dict[str, SubjectLinkRow] = {}
    for some in _chunks(keys):
        rows = session.scalars(
            select(SubjectLinkRow).where(
                or_(SubjectLinkRow.subject_key.in_(some), SubjectLinkRow.other_key.in_(some))
            )
        )
        found |= {row.id: row for row in rows}
    return sorted(found.values(), key=lambda row: (row.turn, row.id))


def whole_record(session: Session) -> Iterator[SubjectLinkRow]:
    """Yield every linking and unlinking, oldest first, without holding them all."""
    yield from session.scalars(
        select(SubjectLinkRow)
        .where(SubjectLinkRow.action != JOIN)
        .order_by(SubjectLinkRow.turn, SubjectLinkRow.id)
        .execution_options(yield_per=_MOST_VALUES)
    )


def kept_apart(session: Session) -> list[Identifier]:
    """Return the identifiers that telemetry may not link, by key."""
    rows = session.execute(
        select(SubjectRow.type, SubjectRow.subject_key)
        .where(SubjectRow.apart)
        .order_by(SubjectRow.subject_key)
    )
    return [Identifier(type_, key) for type_, key in rows]


def add_identifiers(
    session: Session, sealed: Iterable[tuple[str, str, bytes]], at: datetime
) -> None:
    """Store sealed identifiers, each with its key and type; those that are stored stay."""
    values = [
        {"subject_key": key, "type": type_, "sealed": one, "kept_at": at}
        for key, type_, one in sealed
    ]
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    insert_into = sqlite.insert if is_sqlite else postgresql.insert
    if values:
        session.execute(insert_into(IdentifierRow).on_conflict_do_nothing(), values)


def identifiers(session: Session, keys: Sequence[str]) -> list[tuple[str, str, bytes]]:
    """Return the key, type and sealed form of what is stored of these keys, by key."""
    columns = (IdentifierRow.subject_key, IdentifierRow.type, IdentifierRow.sealed)
    found: list[tuple[str, str, bytes]] = []
    for some in _chunks(keys):
        rows = session.execute(select(*columns).where(IdentifierRow.subject_key.in_(some)))
        found += [(key, type_, sealed) for key, type_, sealed in rows]
    return sorted(found)


def _add(session: Session, table: type, rows: Iterable[Mapping[str, object]]) -> None:
    values = list(rows)
    if values:
        session.execute(insert(table), values)


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    stream = iter(values)
    while some := list(islice(stream, _MOST_VALUES)):
        yield some
