"""How the vault stands: generations, roots and counts; nothing is opened."""

from typing import Any

from sqlalchemy.orm import Session

from privacy.vault import store
from privacy.vault.encryption_keys import EncryptionKeys
from privacy.vault.register import Register


def standing_of(session: Session, encryption: EncryptionKeys, register: Register) -> dict[str, Any]:
    """Return the generations, oldest first, and how many keys, tokens and destructions there are.

    Raises:
        UnavailableError: the register cannot be read.
    """
    everything, destroyed = store.count_keys(session)
    return {
        "root": encryption.root_id,
        "encryption_keys": [
            {
                "id": key.id,
                "generation": key.generation,
                "root": key.root_id,
                "is_known": encryption.knows(key.root_id),
                "created_at": key.created_at.isoformat(),
                "keys": wrapped,
            }
            for key, wrapped in store.encryption_keys(session)
        ],
        "keys": everything - destroyed,
        "destroyed_keys": destroyed,
        "tokens": store.count_tokens(session),
        "register_entries": len(register.read()),
    }
