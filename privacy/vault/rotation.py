"""A new key-encryption key takes over; what is sealed under the keys of people is not touched."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from privacy.audit.store import Entry, append
from privacy.vault import store
from privacy.vault.data_keys import DataKeys
from privacy.vault.encryption_keys import EncryptionKey

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: the new generation, its root, keys moved to it, generations deleted."""

    encryption_key_id: str
    root_id: str
    rewrapped: int
    deleted: int


def rotate(
    keys: DataKeys,
    engine: Engine,
    clock: Clock,
    *,
    by: str,
    advance: Callable[[int], None] = lambda _: None,
) -> Rotation:
    """Make a new generation under the last root, move every key of a person to it, 500 at a time.

    Older generations are deleted when they wrap nothing any more, and their roots are needed no
    longer; until then both open. Whoever is interrupted runs it again. Destroyed keys stay so.

    Raises:
        UnavailableError: the store or a root cannot be had; what was moved stays moved.
    """
    with session_of(engine) as session:
        store.hold_turn(session)
        newest = keys.encryption.add(session, clock())
        told = {"by": by, "key": newest.id, "root": keys.encryption.root_id}
        append(session, [Entry("vault.rotate", clock(), told)])
    moved = 0
    while count := _move_some(keys, engine, newest):
        moved += count
        advance(count)
    with session_of(engine) as session:
        store.hold_turn(session)
        deleted = store.delete_idle_encryption_keys(session, newest.generation)
    return Rotation(newest.id, keys.encryption.root_id, moved, deleted)


def _move_some(keys: DataKeys, engine: Engine, newest: EncryptionKey) -> int:
    """Wrap some keys anew in one transaction, and return how many."""
    with session_of(engine) as session:
        store.hold_turn(session)
        waiting = store.keys_wrapped_before(session, newest.generation, _AT_ONCE)
        store.rewrap_keys(session, newest.id, keys.rewrapped(session, waiting, newest))
        return len(waiting)
