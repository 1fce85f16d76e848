"""How a subscriber's secrets are kept: sealed under a key of the installation, for its name alone.

Source: NIST SP 800-38D, for AES-GCM with random 96-bit nonces.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from candor.kernel.errors import ConflictError

USE = "consent subscribers"
_NONCE_BYTES = 12


def seal(key: bytes, name: str, secrets: Mapping[str, Any]) -> bytes:
    """Return a subscriber's secrets as they are stored."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(secrets).encode(), name.encode())


def open_sealed(key: bytes, name: str, sealed: bytes) -> dict[str, Any]:
    """Return the secrets that ``seal`` was given.

    Raises:
        ConflictError: they were sealed under another master key, or for another subscriber.
    """
    try:
        text = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError):
        raise ConflictError(
            f"The secrets of subscriber {name} open under another master key alone. Apply the"
            " subscriber again with its secret."
        ) from None
    opened: dict[str, Any] = json.loads(text)
    return opened
