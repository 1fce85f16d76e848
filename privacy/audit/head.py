"""Signed tree heads: what the log was at an instant, in words that nobody can take back."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_KEY_ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Head:
    """The size and root of the log at an instant, signed; hashes and signature as bytes."""

    tree_size: int
    root_hash: bytes
    signed_at: datetime
    signature: bytes
    key_id: str

    @property
    def statement(self) -> bytes:
        """The bytes that are signed."""
        return _statement(self.tree_size, self.root_hash, self.signed_at)


def sign(tree_size: int, root_hash: bytes, at: datetime, seed: bytes) -> Head:
    """Return the head of the log at an instant. ``seed`` is the private key: 32 bytes.

    Source: RFC 8032, Ed25519.
    """
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signature = key.sign(_statement(tree_size, root_hash, at))
    return Head(tree_size, root_hash, at, signature, key_id(public_key(seed)))


def is_genuine(head: Head, public: bytes) -> bool:
    """Whether a head was signed by the holder of the key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(head.signature, head.statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key(seed: bytes) -> bytes:
    """Return the public key of a private one: 32 bytes that may be told to everybody."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def key_id(public: bytes) -> str:
    """Return the short name of a public key: 16 hexadecimal digits of its SHA-256."""
    return sha256(public).hexdigest()[:_KEY_ID_DIGITS]


def _statement(tree_size: int, root_hash: bytes, at: datetime) -> bytes:
    instant = at.astimezone(UTC).isoformat()
    return f"candor audit head v1\n{tree_size}\n{root_hash.hex()}\n{instant}\n".encode()
