"""How a refused event's bytes are sealed: AES-256-GCM under the key of its day.

A day's key is random and stored wrapped under a key that derives from the master key. When it is
destroyed, nothing that was sealed under it can be opened again, wherever copies of it lie.

Source: NIST SP 800-38D, for AES-GCM with random 96-bit nonces; section 8.3 bounds one key to 2**32
of them.
"""

import base64
import hmac
import os
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_KEY_BITS = 256
_IDENTITY_DIGITS = 32


def new_data_key() -> bytes:
    """Return a fresh key of 32 bytes."""
    return AESGCM.generate_key(_KEY_BITS)


def wrap(quarantine_key: bytes, key_id: str, data_key: bytes) -> bytes:
    """Return a day's key as it is stored."""
    return _encrypt(_subkey(quarantine_key, b"wrapping"), data_key, key_id.encode())


def unwrap(quarantine_key: bytes, key_id: str, wrapped: bytes) -> bytes | None:
    """Return the day's key that ``wrap`` was given; none under another master key or id."""
    return _decrypt(_subkey(quarantine_key, b"wrapping"), wrapped, key_id.encode())


def seal(data_key: bytes, entry_id: str, code: str, payload: bytes) -> str:
    """Return a payload sealed for one entry, as base64: it opens under its id and code alone."""
    return base64.b64encode(_encrypt(data_key, payload, _bound(entry_id, code))).decode()


def open_sealed(data_key: bytes, entry_id: str, code: str, sealed: str) -> bytes | None:
    """Return the payload that ``seal`` was given; none when it was moved or changed."""
    return _decrypt(data_key, base64.b64decode(sealed), _bound(entry_id, code))


def digest(quarantine_key: bytes, *parts: bytes) -> str:
    """Return 32 hexadecimal digits that are the same for the same parts.

    Keyed, so that nobody without the master key can try out which event it stands for.
    """
    mac = hmac.new(_subkey(quarantine_key, b"identity"), digestmod=sha256)
    for part in parts:
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.hexdigest()[:_IDENTITY_DIGITS]


def _subkey(quarantine_key: bytes, use: bytes) -> bytes:
    return hmac.digest(quarantine_key, use, "sha256")


def _bound(entry_id: str, code: str) -> bytes:
    return f"{entry_id}\n{code}".encode()


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        return None
