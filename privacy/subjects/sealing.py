"""How an identifier is kept: AES-256-GCM under a key of its person's pseudonym.

That key derives from the master key, so that without it nothing can be opened; what is sealed opens
under its own pseudonym and type alone, so that rows cannot be exchanged.

Source: NIST SP 800-38D, for AES-GCM with random 96-bit nonces.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_NONCE_BYTES = 12


def seal(identifier_key: bytes, subject_key: str, subject_type: str, value: str) -> bytes:
    """Return an identifier sealed."""
    nonce = os.urandom(_NONCE_BYTES)
    cipher = AESGCM(_subkey(identifier_key, subject_key))
    sealed = cipher.encrypt(nonce, value.encode(), _bound(subject_key, subject_type))
    return _VERSION + nonce + sealed


def open_sealed(
    identifier_key: bytes, subject_key: str, subject_type: str, sealed: bytes
) -> str | None:
    """Return the identifier that ``seal`` was given; none when it was moved or changed."""
    nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    if sealed[:1] != _VERSION:
        return None
    try:
        cipher = AESGCM(_subkey(identifier_key, subject_key))
        return cipher.decrypt(nonce, rest, _bound(subject_key, subject_type)).decode()
    except (InvalidTag, ValueError):
        return None


def _subkey(identifier_key: bytes, subject_key: str) -> bytes:
    return hmac.digest(identifier_key, subject_key.encode(), "sha256")


def _bound(subject_key: str, subject_type: str) -> bytes:
    return _VERSION + f"{subject_type}\n{subject_key}".encode()
