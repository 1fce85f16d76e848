"""The vault's only way to the state store."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from privacy.vault.owner import Owner
from privacy.vault.register import Extent, Tombstone
from privacy.vault.tables import (
    DataKeyRow,
    DestructionRow,
    EncryptionKeyRow,
    RegisterRow,
    RevealRateRow,
    TokenRow,
    TokenValueRow,
    VaultTurnRow,
)

_AT_ONCE = 500
T = TypeVar("T")


class Turn(NamedTuple):
    """How many destructions there were, and the random mark of the last."""

    number: int
    mark: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A data key as it is stored; ``wrapped`` is none once it is destroyed."""

    id: str
    owner: Owner
    encryption_key_id: str | None
    wrapped: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredEncryptionKey:
    """A generation of the key-encryption key as it is stored."""

    id: str
    generation: int
    root_id: str
    wrapped: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredValue:
    """What a token stands for, as one holder has it."""

    token: str
    subject_key: str
    key_id: str
    sealed: str


def hold_turn(session: Session) -> Turn:
    """Return the turn; until the transaction ends, nobody else writes to the vault or reveals."""
    return _changed_turn(session, {"turn": VaultTurnRow.turn})


def take_turn(session: Session, mark: str) -> Turn:
    """Begin a destruction: a new turn, seen by everybody once the transaction is committed."""
    return _changed_turn(session, {"turn": VaultTurnRow.turn + 1, "mark": mark})


def _changed_turn(session: Session, values: Mapping[str, Any]) -> Turn:
    changed = (
        update(VaultTurnRow)
        .where(VaultTurnRow.id == 1)
        .values(values)
        .returning(VaultTurnRow.turn, VaultTurnRow.mark)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(changed).one()
    return Turn(row[0], row[1])


def add_destructions(session: Session, turn: Turn, tombstones: Sequence[Tombstone]) -> None:
    """Record what a turn destroyed; of one person there is one tombstone."""
    rows = [
        {
            "turn": turn.number,
            "mark": turn.mark,
            "subject_key": one.subject_key,
            "at": one.at,
            "key_ids": " ".join(one.key_ids),
        }
        for one in tombstones
    ]
    session.execute(insert(DestructionRow), rows)


def destructions_since(session: Session, number: int) -> list[tuple[Turn, Tombstone]]:
    """Return what that turn and every later one destroyed, the oldest first."""
    query = select(DestructionRow).where(DestructionRow.turn >= number)
    rows = session.scalars(query.order_by(DestructionRow.turn, DestructionRow.subject_key))
    return [
        (Turn(row.turn, row.mark), Tombstone(row.subject_key, row.at, tuple(row.key_ids.split())))
        for row in rows
    ]


def known_registers(session: Session) -> dict[str, Extent]:
    """Return how far each register went when it was last written, by id."""
    rows = session.scalars(select(RegisterRow))
    return {row.id: Extent(row.id, row.entries, row.mac) for row in rows}


def keep_register(session: Session, extent: Extent) -> None:
    """Keep how far a register goes, unless it is known to go further; the caller holds the turn."""
    known = session.get(RegisterRow, extent.register_id)
    if known is None or known.entries < extent.entries:
        session.merge(RegisterRow(id=extent.register_id, entries=extent.entries, mac=extent.mac))
        session.flush()


def has_keys(session: Session) -> bool:
    """Return whether there is, or was, a data key."""
    return session.scalar(select(exists().where(DataKeyRow.id.is_not(None)))) is True


def newest_encryption_key(session: Session) -> StoredEncryptionKey | None:
    """Return the generation under which new keys are wrapped; none before the first."""
    query = select(EncryptionKeyRow).order_by(EncryptionKeyRow.generation.desc()).limit(1)
    row = session.scalar(query)
    return None if row is None else _encryption_key(row)


def encryption_keys(session: Session) -> list[tuple[StoredEncryptionKey, int]]:
    """Return every generation, the oldest first, with how many keys it wraps."""
    counted = func.count(DataKeyRow.id)
    query = (
        select(EncryptionKeyRow, counted)
        .outerjoin(DataKeyRow, DataKeyRow.encryption_key_id == EncryptionKeyRow.id)
        .group_by(EncryptionKeyRow.id)
        .order_by(EncryptionKeyRow.generation)
    )
    return [(_encryption_key(row[0]), row[1]) for row in session.execute(query)]


def find_encryption_keys(session: Session, ids: Collection[str]) -> list[StoredEncryptionKey]:
    """Return these generations."""
    rows = session.scalars(select(EncryptionKeyRow).where(EncryptionKeyRow.id.in_(ids)))
    return [_encryption_key(row) for row in rows]


def add_encryption_key(session: Session, key: StoredEncryptionKey) -> None:
    """Store a new generation."""
    session.execute(
        insert(EncryptionKeyRow).values(
            id=key.id,
            generation=key.generation,
            root_id=key.root_id,
            wrapped=key.wrapped,
            created_at=key.created_at,
        )
    )


def delete_idle_encryption_keys(session: Session, before: int) -> int:
    """Delete the generations before that one which wrap no key, and return how many."""
    wraps = exists().where(DataKeyRow.encryption_key_id == EncryptionKeyRow.id)
    query = delete(EncryptionKeyRow).where(EncryptionKeyRow.generation < before, ~wraps)
    return _count(session, query)


def living_keys(session: Session, owners: Collection[Owner]) -> dict[Owner, StoredKey]:
    """Return the keys of these owners that are not destroyed; the check and the read are one."""
    found: dict[Owner, StoredKey] = {}
    for some in _parts(sorted(owners)):
        query = select(DataKeyRow).where(
            DataKeyRow.subject_key.in_({one.subject_key for one in some}),
            DataKeyRow.scope.in_({one.scope for one in some}),
            DataKeyRow.period.in_({one.period for one in some}),
            DataKeyRow.wrapped.is_not(None),
        )
        keys = (_key(row) for row in session.scalars(query))
        found |= {key.owner: key for key in keys if key.owner in owners}
    return found


def find_keys(session: Session, ids: Collection[str]) -> dict[str, StoredKey]:
    """Return keys by id, destroyed ones among them."""
    found: dict[str, StoredKey] = {}
    for some in _parts(sorted(ids)):
        query = select(DataKeyRow).where(DataKeyRow.id.in_(some))
        found |= {row.id: _key(row) for row in session.scalars(query)}
    return found


def living_keys_of(session: Session, subject_keys: Collection[str]) -> list[StoredKey]:
    """Return the keys of these people that are not destroyed; of nobody, those of every day."""
    found: list[StoredKey] = []
    for some in _parts(sorted(subject_keys)):
        query = select(DataKeyRow).where(
            DataKeyRow.subject_key.in_(some), DataKeyRow.wrapped.is_not(None)
        )
        found += [_key(row) for row in session.scalars(query)]
    return found


def add_keys(session: Session, keys: Sequence[StoredKey]) -> None:
    """Store new keys."""
    rows = [
        {
            "id": key.id,
            "subject_key": key.owner.subject_key,
            "scope": key.owner.scope,
            "period": key.owner.period,
            "encryption_key_id": key.encryption_key_id,
            "wrapped": key.wrapped,
            "created_at": key.created_at,
        }
        for key in keys
    ]
    session.execute(insert(DataKeyRow), rows)


def destroy_keys(session: Session, ids: Collection[str], at: datetime) -> int:
    """Destroy keys, and what only they open: values of tokens, and tokens that nobody else has.

    Returns how many values went. The digests by which tokens are found go with the tokens.
    """
    values = 0
    for some in _parts(sorted(ids)):
        held = select(TokenValueRow.token).where(TokenValueRow.key_id.in_(some)).distinct()
        tokens = list(session.scalars(held))
        gone = delete(TokenValueRow).where(TokenValueRow.key_id.in_(some))
        values += _count(session, gone)
        for part in _parts(tokens):
            is_held = exists().where(TokenValueRow.token == TokenRow.token)
            session.execute(
                delete(TokenRow)
                .where(TokenRow.token.in_(part), ~is_held)
                .execution_options(synchronize_session=False)
            )
        session.execute(
            update(DataKeyRow)
            .where(DataKeyRow.id.in_(some))
            .values(wrapped=None, encryption_key_id=None, destroyed_at=at)
            .execution_options(synchronize_session=False)
        )
    return values


def keys_wrapped_before(session: Session, generation: int, limit: int) -> list[StoredKey]:
    """Return keys that a generation before that one wraps."""
    older = select(EncryptionKeyRow.id).where(EncryptionKeyRow.generation < generation)
    query = (
        select(DataKeyRow)
        .where(DataKeyRow.encryption_key_id.in_(older), DataKeyRow.wrapped.is_not(None))
        .limit(limit)
    )
    return [_key(row) for row in session.scalars(query)]


def rewrap_keys(session: Session, newest: str, wrapped: Mapping[str, bytes]) -> None:
    """Store keys as the newest generation wraps them, by id; none that is destroyed comes back."""
    rows = [{"key_id": key_id, "anew": one} for key_id, one in wrapped.items()]
    query = (
        update(DataKeyRow)
        .where(DataKeyRow.id == bindparam("key_id"), DataKeyRow.wrapped.is_not(None))
        .values(wrapped=bindparam("anew"), encryption_key_id=newest)
    )
    if rows:
        session.connection().execute(query, rows)


def count_keys(session: Session) -> tuple[int, int]:
    """Return how many data keys there are, and how many of them are destroyed."""
    living = func.count(DataKeyRow.wrapped)
    everything, alive = session.execute(select(func.count(), living).select_from(DataKeyRow)).one()
    return everything, everything - alive


def count_tokens(session: Session) -> dict[str, int]:
    """Return how many tokens each scope has."""
    query = select(TokenRow.scope, func.count()).group_by(TokenRow.scope).order_by(TokenRow.scope)
    return {row[0]: row[1] for row in session.execute(query)}


def find_tokens(
    session: Session, lookups: Collection[bytes], subject_keys: Collection[str]
) -> dict[bytes, tuple[str, set[str]]]:
    """Return by digest the token of each value, and who of these people has it already."""
    found: dict[bytes, tuple[str, set[str]]] = {}
    for some in _parts(sorted(lookups)):
        for people in _parts(sorted(subject_keys)):
            query = (
                select(TokenRow.lookup, TokenRow.token, TokenValueRow.subject_key)
                .outerjoin(
                    TokenValueRow,
                    (TokenValueRow.token == TokenRow.token) & TokenValueRow.subject_key.in_(people),
                )
                .where(TokenRow.lookup.in_(some))
            )
            for lookup, token, holder in session.execute(query):
                _, holders = found.setdefault(lookup, (token, set()))
                if holder is not None:
                    holders.add(holder)
    return found


def add_tokens(session: Session, tokens: Mapping[bytes, str], scope: str, at: datetime) -> None:
    """Store new tokens by the digests of their values."""
    rows = [
        {"token": token, "lookup": lookup, "scope": scope, "created_at": at}
        for lookup, token in tokens.items()
    ]
    if rows:
        session.execute(insert(TokenRow), rows)


def add_values(session: Session, values: Sequence[StoredValue]) -> None:
    """Store what tokens stand for."""
    rows = [
        {
            "token": one.token,
            "subject_key": one.subject_key,
            "key_id": one.key_id,
            "sealed": one.sealed,
        }
        for one in values
    ]
    if rows:
        session.execute(insert(TokenValueRow), rows)


def find_values(session: Session, tokens: Collection[str]) -> dict[str, list[StoredValue]]:
    """Return by token its value as every holder has it."""
    found: dict[str, list[StoredValue]] = {}
    for some in _parts(sorted(tokens)):
        query = select(TokenValueRow).where(TokenValueRow.token.in_(some))
        for row in session.scalars(query.order_by(TokenValueRow.subject_key)):
            value = StoredValue(row.token, row.subject_key, row.key_id, row.sealed)
            found.setdefault(row.token, []).append(value)
    return found


def reveals_due(session: Session, name: str) -> datetime | None:
    """Return until when a key has used its allowance; none if it never revealed anything."""
    return session.scalar(select(RevealRateRow.due).where(RevealRateRow.name == name))


def keep_reveals_due(session: Session, name: str, due: datetime) -> None:
    """Keep until when a key has used its allowance."""
    session.merge(RevealRateRow(name=name, due=due))
    session.flush()


def _parts(members: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(members), _AT_ONCE):
        yield members[start : start + _AT_ONCE]


def _count(session: Session, query: Any) -> int:  # noqa: ANN401 - a DELETE of any table
    result = session.execute(query.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]  # what a DELETE returns has it


def _encryption_key(row: EncryptionKeyRow) -> StoredEncryptionKey:
    return StoredEncryptionKey(row.id, row.generation, row.root_id, row.wrapped, row.created_at)


def _key(row: DataKeyRow) -> StoredKey:
    owner = Owner(row.subject_key, row.scope, row.period)
    return StoredKey(row.id, owner, row.encryption_key_id, row.wrapped, row.created_at)
