"""What protects the keys that protect the keys of people: a key in a file, or a key service.

A root wraps key-encryption keys, of which there are a handful; so it is asked once in a while and
never by the way of an event. ``place`` is what a wrapped key is bound to; it holds no secret.
"""

import hmac
from collections.abc import Mapping
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.vault.sealing import Cipher

_ID_DIGITS = 16


class Root(Protocol):
    """Wraps and unwraps key-encryption keys."""

    @property
    def id(self) -> str:
        """The name by which a wrapped key says who can unwrap it."""

    def wrap(self, secret: bytearray, place: Mapping[str, str]) -> bytes:
        """Return a key as it may be stored.

        Raises:
            UnavailableError: it cannot be done now.
        """

    def unwrap(self, wrapped: bytes, place: Mapping[str, str]) -> bytearray | None:
        """Return what was wrapped; none when it was wrapped by another, or for another place.

        Raises:
            UnavailableError: it cannot be done now.
        """


class FileRoot:
    """A root whose key is derived from a secret of 32 bytes, which lies in a file."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = Cipher(bytearray(derived(secret, b"candor vault root v1")))
        told = hmac.digest(derived(secret, b"candor vault root id v1"), b"id", "sha256")
        self.id = f"file:{told.hex()[:_ID_DIGITS]}"

    def wrap(self, secret: bytearray, place: Mapping[str, str]) -> bytes:
        """Return a key as it may be stored."""
        return self._cipher.wrap(secret, _bound(place))

    def unwrap(self, wrapped: bytes, place: Mapping[str, str]) -> bytearray | None:
        """Return what was wrapped; none when it was wrapped by another, or for another place."""
        return self._cipher.unwrapped(wrapped, _bound(place))


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose. Source: RFC 5869 with SHA-256 and no salt."""
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret)


def _bound(place: Mapping[str, str]) -> bytes:
    return "\n".join(f"{name}={value}" for name, value in sorted(place.items())).encode()
