"""How keys are destroyed, and why no restored copy of the state store brings them back."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.ports import SubjectIndex
from privacy.audit.store import Entry, append
from privacy.vault import store
from privacy.vault.register import Extent, Register, Tombstone
from privacy.vault.sealing import new_key_id
from privacy.vault.store import StoredKey, Turn

_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Destruction:
    """What was destroyed: keys by id, and how many values of tokens went with them."""

    key_ids: tuple[str, ...]
    values: int


def people_of(subjects: SubjectIndex, subject_keys: Collection[str]) -> tuple[str, ...]:
    """Return every pseudonym of the people who go by these, in order: each may have a key.

    Raises:
        InvalidInputError: nobody is named.
    """
    if not subject_keys or not all(subject_keys):
        raise InvalidInputError("Name the people whose keys to destroy.", path="subject_key")
    return tuple(sorted({linked for one in set(subject_keys) for linked in subjects.linked(one)}))


def destroy_subjects(  # noqa: PLR0913 - whose keys, and what the audit log must know
    session: Session,
    register: Register,
    subjects: SubjectIndex,
    subject_keys: Collection[str],
    *,
    at: datetime,
    by: str,
    reason: str,
) -> Destruction:
    """Destroy every key that these people have; what was sealed under them opens nowhere any more.

    A person goes by many identifiers, and each may have a key: all that the subject index links
    with those that are named are destroyed. It does not reach values sealed before anybody knew
    whose they were; those end with the key of their day.

    It is so for every process as soon as the caller's transaction is committed, and is written into
    the register before: if the transaction fails, the next start finishes it. Somebody without a
    key is noted too, so that a copy of the store in which there was one does not count. The caller
    must not have read in this transaction.

    Raises:
        InvalidInputError: nobody is named.
        UnavailableError: the register cannot be written; nothing is destroyed.
    """
    people = people_of(subjects, subject_keys)
    turn = store.take_turn(session, new_key_id())
    keys = store.living_keys_of(session, people)
    tombstones = [
        Tombstone(one, at, tuple(key.id for key in keys if key.owner.subject_key == one))
        for one in people
    ]
    store.keep_register(session, register.append(tombstones))
    return _carry_out(session, turn, tombstones, keys, Entries("vault.destroy", at, by, reason))


def destroy_day_keys(engine: Engine, register: Register, before: date, at: datetime) -> Destruction:
    """Destroy the keys of days before that one: of values of which nobody knew whose they are.

    Raises:
        UnavailableError: the store or the register cannot be used; nothing is destroyed.
    """
    with session_of(engine) as session:
        if not _day_keys(session, before):
            return Destruction((), 0)
    with session_of(engine) as session:
        turn = store.take_turn(session, new_key_id())
        keys = _day_keys(session, before)
        begin = datetime.combine(before, time(), UTC)
        tombstones = [Tombstone(_NOBODY, begin, tuple(key.id for key in keys))]
        store.keep_register(session, register.append(tombstones))
        entries = Entries("vault.destroy_day_keys", at, "privacy.destroy_day_keys", "retention")
        return _carry_out(session, turn, tombstones, keys, entries)


def _day_keys(session: Session, before: date) -> list[StoredKey]:
    living = store.living_keys_of(session, [_NOBODY])
    return [key for key in living if key.owner.period < before.isoformat()]


def finish_destructions(engine: Engine, register: Register, at: datetime) -> int:
    """Hold the state store against the register, and return how many keys had come back.

    They are destroyed again; that is how a restored copy of the store revives nobody. And what only
    the store knows is added to the register, as another machine may have destroyed it.

    Raises:
        UnavailableError: the register is missing, shorter than the store knows it, or not known to
            a store that has keys; or store or register cannot be read.
    """
    known = _checked(engine, register)
    with session_of(engine) as session:
        recorded = [one for _, one in store.destructions_since(session, 0)]
        has_revived = bool(_revived(session, known))
    already = set(known)
    extent = register.append([one for one in recorded if one not in already])
    keep_extent(engine, extent)
    if not has_revived:
        return 0
    with session_of(engine) as session:
        turn = store.take_turn(session, new_key_id())
        keys = _revived(session, known)
        if not keys:  # another process was faster
            session.rollback()
            return 0
        people = {key.owner.subject_key for key in keys}
        tombstones = [one for one in _latest(known) if one.subject_key in people]
        entries = Entries("vault.destroy_again", at, "register", "the state store was restored")
        _carry_out(session, turn, tombstones, keys, entries)
        return len(keys)


def keep_extent(engine: Engine, extent: Extent) -> None:
    """Keep in the state store how far the register goes, if that is news."""
    with session_of(engine) as session:
        if store.known_registers(session).get(extent.register_id) == extent:
            return
    with session_of(engine) as session:
        store.hold_turn(session)
        store.keep_register(session, extent)


def begin_register(engine: Engine, register: Register, at: datetime, by: str) -> Extent:
    """Make a register for a store that has keys, or take the one that is there for this store's.

    Destructions that no register has any more are those of the store alone: keys that came back
    with a restored copy are used again. So it is in the audit log.

    Raises:
        ConflictError: there is a register, and the store knows it.
        UnavailableError: the store or the register cannot be used.
    """
    register.begin()
    with session_of(engine) as session:
        turn = store.hold_turn(session)
        contents = register.contents()
        if contents is not None and contents.register_id in store.known_registers(session):
            raise ConflictError(
                "This register is known to the state store already. If it is shorter than it was,"
                " put back its newest copy; if that is lost, move the file away and try again."
            )
        extent = register.append([one for _, one in store.destructions_since(session, 0)])
        store.keep_register(session, extent)
        told = {"by": by, "register": extent.register_id, "turn": turn.number}
        append(session, [Entry("vault.new_register", at, told)])
    return extent


def _checked(engine: Engine, register: Register) -> list[Tombstone]:
    """Return what the register says, which is begun beside a store that never had a key.

    The store is read first, keys before registers: whatever is written meanwhile is in the file
    before it is in the store.
    """
    with session_of(engine) as session:
        has_keys = store.has_keys(session)
        registers = store.known_registers(session)
    if not has_keys:
        register.begin()
    contents = register.contents()
    if contents is None:
        raise register.missing()
    known = registers.get(contents.register_id)
    if known is None and has_keys:
        raise register.unusable(
            "the state store does not know it: it was restored, or this is another's. If it was"
            " made after that copy of the store, take it over with `candor vault new-register`"
        )
    if known is not None and not contents.holds(known):
        raise register.unusable(
            f"{known.entries} entries were in it, and they are not there any more"
        )
    return contents.tombstones


@dataclass(frozen=True, slots=True)
class Entries:
    """What the audit log is told of a destruction, beside whose keys they were."""

    kind: str
    at: datetime
    by: str
    reason: str

    def of(self, tombstones: Iterable[Tombstone]) -> list[Entry]:
        """Return one entry for each person."""
        return [
            Entry(
                self.kind,
                self.at,
                {
                    "subject_key": one.subject_key,
                    "keys": list(one.key_ids),
                    "by": self.by,
                    "reason": self.reason,
                },
            )
            for one in tombstones
        ]


def _carry_out(
    session: Session,
    turn: Turn,
    tombstones: list[Tombstone],
    keys: list[StoredKey],
    entries: Entries,
) -> Destruction:
    store.add_destructions(session, turn, tombstones)
    key_ids = tuple(key.id for key in keys)
    values = store.destroy_keys(session, key_ids, entries.at)
    append(session, entries.of(tombstones))
    return Destruction(key_ids, values)


def _revived(session: Session, known: list[Tombstone]) -> list[StoredKey]:
    """Return the living keys that a tombstone stands for."""
    by_subject: dict[str, list[Tombstone]] = {}
    for one in known:
        by_subject.setdefault(one.subject_key, []).append(one)
    return [
        key
        for key in store.living_keys_of(session, by_subject)
        if any(one.covers(key.id, key.created_at) for one in by_subject[key.owner.subject_key])
    ]


def _latest(known: list[Tombstone]) -> list[Tombstone]:
    """Return one tombstone for each person: the last instant, and every key."""
    merged: dict[str, Tombstone] = {}
    for one in known:
        before = merged.get(one.subject_key, one)
        key_ids = tuple(dict.fromkeys((*before.key_ids, *one.key_ids)))
        merged[one.subject_key] = Tombstone(one.subject_key, max(before.at, one.at), key_ids)
    return list(merged.values())
