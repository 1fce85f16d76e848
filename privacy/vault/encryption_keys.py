"""The keys that wrap the keys of people: generations in the state store, each wrapped by a root."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from candor.kernel.errors import UnavailableError
from privacy.vault import store
from privacy.vault.cache import BoundedCache
from privacy.vault.roots import Root
from privacy.vault.sealing import Cipher, new_key_id, new_secret


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """An open generation."""

    id: str
    generation: int
    cipher: Cipher


class EncryptionKeys:
    """Opens generations, by whichever root wrapped them; the last of the roots wraps new ones."""

    def __init__(
        self, roots: Sequence[Root], installation: bytes, opened: BoundedCache[str, Cipher]
    ) -> None:
        self._roots = {root.id: root for root in roots}
        self._root = roots[-1]
        self._installation = installation.hex()
        self._opened = opened

    @property
    def root_id(self) -> str:
        """The root that wraps new generations."""
        return self._root.id

    def knows(self, root_id: str) -> bool:
        """Whether this process has that root."""
        return root_id in self._roots

    def newest(self, session: Session, at: datetime) -> EncryptionKey:
        """Return the generation that wraps new keys, made if it is the first.

        The caller holds the turn.

        Raises:
            UnavailableError: its root does not open it.
        """
        stored = store.newest_encryption_key(session)
        if stored is None:
            return self.add(session, at)
        return EncryptionKey(stored.id, stored.generation, self._cipher(stored))

    def add(self, session: Session, at: datetime) -> EncryptionKey:
        """Make a new generation under the last root; the caller holds the turn."""
        newest = store.newest_encryption_key(session)
        generation = 1 if newest is None else newest.generation + 1
        key_id, secret = new_key_id(), new_secret()
        wrapped = self._root.wrap(secret, self._place(key_id))
        stored = store.StoredEncryptionKey(key_id, generation, self._root.id, wrapped, at)
        store.add_encryption_key(session, stored)
        return EncryptionKey(key_id, generation, Cipher(secret))

    def open(self, session: Session, ids: Collection[str]) -> dict[str, Cipher]:
        """Return these generations, open.

        Raises:
            UnavailableError: a root is not there, or does not open what it should have wrapped.
        """
        found = self._opened.find(ids)
        missing = set(ids) - found.keys()
        if missing:
            stored = store.find_encryption_keys(session, missing)
            found |= {one.id: self._cipher(one) for one in stored}
        return found

    def _cipher(self, stored: store.StoredEncryptionKey) -> Cipher:
        known = self._opened.find([stored.id]).get(stored.id)
        if known is not None:
            return known
        root = self._roots.get(stored.root_id)
        if root is None:
            raise UnavailableError(
                f"Keys of the vault are protected by {stored.root_id}, which this process does not"
                " have. Name its file in CANDOR_VAULT__KEY_FILES, or set CANDOR_VAULT__KMS_KEY."
            )
        secret = root.unwrap(stored.wrapped, self._place(stored.id))
        if secret is None:
            raise UnavailableError(
                f"{root.id} does not open the vault's key {stored.id}. Is this the master key of"
                " this installation?"
            )
        cipher = Cipher(secret)
        self._opened.remember({stored.id: cipher})
        return cipher

    def _place(self, key_id: str) -> dict[str, str]:
        return {"candor:installation": self._installation, "candor:key": key_id}
