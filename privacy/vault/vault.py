"""The vault as the way of an event sees it: tokens and encrypted texts, a batch at once."""

import hmac
import os
import re
from collections.abc import Mapping, Sequence

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError
from candor.kernel.ports import PersonalValue
from privacy.vault import store
from privacy.vault.data_keys import DataKeys
from privacy.vault.owner import FIELDS, Owner, owner_of
from privacy.vault.sealing import NONCE_BYTES, DataKey, new_token
from privacy.vault.store import StoredValue
from privacy.vault.turns import TokenKey

_SCOPE = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_Wanted = dict[TokenKey, str]
"""Values by their digest and person."""


class StoredVault:
    """Keeps values under keys in the state store. Safe to share between threads."""

    def __init__(self, engine: Engine, keys: DataKeys, lookup_key: bytes, clock: Clock) -> None:
        self._engine = engine
        self._keys = keys
        self._lookup_key = lookup_key
        self._clock = clock

    def encrypt(self, values: Sequence[str], subject_key: str, field: str) -> list[str]:
        """Return each value encrypted under the person's own key."""
        return self.encrypt_all([PersonalValue(one, subject_key, field) for one in values])

    def encrypt_all(self, values: Sequence[PersonalValue]) -> list[str]:
        """Return each value encrypted under the key of its person, bound to its field.

        While nobody knows whose a value is, it goes under a key of the UTC day.
        """
        keys = self._keys_of({one.subject_key for one in values}, FIELDS) if values else {}
        nonces = os.urandom(NONCE_BYTES * len(values))
        return [
            keys[one.subject_key].seal(nonces[at : at + NONCE_BYTES], one.field, one.value)
            for at, one in zip(range(0, len(nonces), NONCE_BYTES), values, strict=True)
        ]

    def tokenise(self, values: Sequence[str], scope: str, subject_key: str = "") -> list[str]:
        """Return a token for each value: the same for the same value in one scope."""
        return self.tokenise_all([PersonalValue(one, subject_key) for one in values], scope)

    def tokenise_all(self, values: Sequence[PersonalValue], scope: str) -> list[str]:
        """Return a token for each value of many people.

        The value is kept once for each person who has it, so that it is lost for one and stays for
        the others, as long as there are others.

        Raises:
            InvalidInputError: the scope is no name.
        """
        digests = self._digests([one.value for one in values], scope)
        asked = [(digests[one.value], one.subject_key) for one in values]
        wanted: _Wanted = {key: one.value for key, one in zip(asked, values, strict=True)}
        turn = self._keys.turns.catch_up()
        found = self._keys.memory.tokens.find(wanted)
        missing = {key: value for key, value in wanted.items() if key not in found}
        if missing:
            with session_of(self._engine) as session:
                read = _known(store.find_tokens(session, *_asked(missing)), missing)
            self._keys.memory.learn_tokens(turn, read)
            missing = {key: value for key, value in missing.items() if key not in read}
            found |= read
        if missing:
            found |= self._add(missing, scope)
        return [found[key] for key in asked]

    def _add(self, missing: _Wanted, scope: str) -> dict[TokenKey, str]:
        """Store tokens, and values of people who are new to theirs; writers take turns."""
        at = self._clock()
        owners = {key: owner_of(key, scope, at) for key in {person for _, person in missing}}
        self._keys.prepare()
        with session_of(self._engine) as session:
            turn = store.hold_turn(session)
            keys = self._keys.held(session, set(owners.values()))
            stored = store.find_tokens(session, *_asked(missing))
            fresh = {digest: new_token() for digest, _ in missing if digest not in stored}
            store.add_tokens(session, fresh, scope, at)
            tokens = {digest: token for digest, (token, _) in stored.items()} | fresh
            known = _known(stored, missing)
            new = {key: value for key, value in missing.items() if key not in known}
            store.add_values(session, _sealed(new, tokens, owners, keys))
        found = {key: tokens[key[0]] for key in missing}
        self._keys.memory.learn_tokens(turn, found)
        return found

    def _keys_of(self, subject_keys: set[str], scope: str) -> Mapping[str, DataKey]:
        at = self._clock()
        owners = {one: owner_of(one, scope, at) for one in subject_keys}
        keys = self._keys.of(owners.values())
        return {one: keys[owner] for one, owner in owners.items()}

    def _digests(self, values: Sequence[str], scope: str) -> dict[str, bytes]:
        """Return the keyed digests of values in a scope, whose key tells nothing of another's."""
        if not _SCOPE.fullmatch(scope):
            raise InvalidInputError(
                "A scope of tokens is a lower-case name of 1 to 63 letters, digits, '_', '.' and"
                " '-', such as support.",
                path="scope",
            )
        key = hmac.digest(self._lookup_key, scope.encode(), "sha256")
        return {
            value: hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256")
            for value in set(values)
        }


def _asked(wanted: _Wanted) -> tuple[set[bytes], set[str]]:
    return {digest for digest, _ in wanted}, {person for _, person in wanted}


def _known(stored: Mapping[bytes, tuple[str, set[str]]], wanted: _Wanted) -> dict[TokenKey, str]:
    """Return the tokens of those values that their persons have already."""
    return {
        (digest, person): stored[digest][0]
        for digest, person in wanted
        if digest in stored and person in stored[digest][1]
    }


def _sealed(
    new: _Wanted,
    tokens: Mapping[bytes, str],
    owners: Mapping[str, Owner],
    keys: Mapping[Owner, DataKey],
) -> list[StoredValue]:
    rows = []
    for (digest, person), value in new.items():
        key, token = keys[owners[person]], tokens[digest]
        sealed = key.seal_for_token(os.urandom(NONCE_BYTES), token, value)
        rows.append(StoredValue(token, person, key.id, sealed))
    return rows
