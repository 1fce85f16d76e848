"""The keys of people: remembered, read, or made."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from privacy.vault import store
from privacy.vault.encryption_keys import EncryptionKey, EncryptionKeys
from privacy.vault.owner import Owner
from privacy.vault.sealing import Cipher, DataKey, key_bound, new_key_id, new_secret
from privacy.vault.store import StoredKey
from privacy.vault.turns import Memory, Turns


@dataclass(frozen=True, slots=True)
class DataKeys:
    """Gives out open keys. Safe to share between threads."""

    engine: Engine
    encryption: EncryptionKeys
    turns: Turns
    memory: Memory
    installation: bytes
    clock: Clock

    def of(self, owners: Collection[Owner]) -> Mapping[Owner, DataKey]:
        """Return a key for each owner, made for whoever has none.

        A destruction that was committed before the call counts: remembered keys are used only if
        the turn that is read first is theirs, and others are read after it.

        Cost: one read of one row when all are remembered, and one more read when some are not.

        Raises:
            UnavailableError: the store, or what protects the keys, cannot be had.
        """
        turn = self.turns.catch_up()
        found = self.memory.keys.find(owners)
        missing = set(owners) - found.keys()
        if not missing:
            return found
        read = self._read(missing)
        self.memory.learn_keys(turn, read)
        missing -= read.keys()
        return found | read | (self._make(missing) if missing else {})

    def prepare(self) -> None:
        """Open what wraps new keys, so that nobody waits for a key service while holding the turn.

        Raises:
            UnavailableError: its root does not open it.
        """
        with session_of(self.engine) as session:
            newest = store.newest_encryption_key(session)
            self.encryption.open(session, [newest.id] if newest is not None else [])

    def held(self, session: Session, owners: Collection[Owner]) -> dict[Owner, DataKey]:
        """Return a key for each owner, made for whoever has none, in the caller's transaction.

        The caller holds the turn, and has called ``prepare`` before.
        """
        found = self.open(session, store.living_keys(session, owners).values())
        missing = sorted(set(owners) - found.keys())
        if not missing:
            return found
        at = self.clock()
        newest = self.encryption.newest(session, at)
        stored = []
        for owner in missing:
            key_id, secret = new_key_id(), new_secret()
            wrapped = newest.cipher.wrap(secret, self._bound(key_id, owner))
            stored.append(StoredKey(key_id, owner, newest.id, wrapped, at))
            found[owner] = self._key(key_id, owner, Cipher(secret))
        store.add_keys(session, stored)
        return found

    def open(self, session: Session, stored: Collection[StoredKey]) -> dict[Owner, DataKey]:
        """Return keys that are not destroyed, open, by their owners.

        Raises:
            UnavailableError: one cannot be opened.
        """
        ids = {one.encryption_key_id for one in stored if one.encryption_key_id is not None}
        ciphers = self.encryption.open(session, ids)
        return {
            one.owner: self._key(one.id, one.owner, self._unwrapped(one, ciphers))
            for one in stored
            if one.wrapped is not None
        }

    def rewrapped(
        self, session: Session, stored: Collection[StoredKey], newest: EncryptionKey
    ) -> dict[str, bytes]:
        """Return keys as another generation wraps them, by id.

        Raises:
            UnavailableError: one cannot be opened.
        """
        ids = {one.encryption_key_id for one in stored if one.encryption_key_id is not None}
        ciphers = self.encryption.open(session, ids)
        rewrapped = {}
        for one in stored:
            bound = self._bound(one.id, one.owner)
            wrapper = ciphers.get(one.encryption_key_id or "")
            secret = wrapper.unwrapped(one.wrapped or b"", bound) if wrapper is not None else None
            if secret is None:
                raise _unopened(one)
            rewrapped[one.id] = newest.cipher.wrap(secret, bound)
            secret[:] = bytes(len(secret))
        return rewrapped

    def _read(self, owners: Collection[Owner]) -> dict[Owner, DataKey]:
        """Return the keys that there are.

        Keys and what wraps them are two statements, and a rotation may lie between: then it is read
        once more, holding the turn, as a rotation does.
        """
        try:
            with session_of(self.engine) as session:
                return self.open(session, store.living_keys(session, owners).values())
        except UnavailableError:
            with session_of(self.engine) as session:
                store.hold_turn(session)
                return self.open(session, store.living_keys(session, owners).values())

    def _make(self, owners: Collection[Owner]) -> dict[Owner, DataKey]:
        self.prepare()
        with session_of(self.engine) as session:
            turn = store.hold_turn(session)
            made = self.held(session, owners)
        self.memory.learn_keys(turn, made)
        return made

    def _unwrapped(self, stored: StoredKey, ciphers: Mapping[str, Cipher]) -> Cipher:
        wrapper = ciphers.get(stored.encryption_key_id or "")
        bound = self._bound(stored.id, stored.owner)
        opened = wrapper.unwrap(stored.wrapped or b"", bound) if wrapper is not None else None
        if opened is None:
            raise _unopened(stored)
        return opened

    def _bound(self, key_id: str, owner: Owner) -> bytes:
        return key_bound(self.installation, key_id, owner.subject_key)

    def _key(self, key_id: str, owner: Owner, cipher: Cipher) -> DataKey:
        return DataKey(key_id, owner.subject_key, self.installation, cipher)


def _unopened(stored: StoredKey) -> UnavailableError:
    return UnavailableError(
        f"The vault's key {stored.id} cannot be opened: it was changed in the state store, or moved"
        " to somebody else. Restore its row."
    )
