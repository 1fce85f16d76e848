"""How a value is sealed under a key, and what a sealed text and a token look like.

``enc1.KEY.DATA``: the version, the id of the key (16 characters) and nonce, ciphertext and tag in
base64 for addresses, unpadded and canonical. The key seals one installation, person, use and field
with the value, so a text that is moved or changed opens nowhere. A text tells how long its value
is, and nothing else.

Nonces are random, 96 bits. NIST SP 800-38D, section 8.3, allows 2**32 of them under one key, after
which two are the same with a probability of 2**-32. The key of a person reaches that after 13 years
of ten values a second, without a pause; a key of nobody is used for one UTC day, which has room for
49,000 values a second.
"""

import os
import re
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TOKEN_PREFIX = "tok_"  # noqa: S105 - how tokens begin, no secret
TEXT_PREFIX = "enc1."
_TAG_BYTES = 16
_KEY_ID_BYTES = 12
_TOKEN_BYTES = 16
_TO_ADDRESS = bytes.maketrans(b"+/", b"-_")
_FROM_ADDRESS = bytes.maketrans(b"-_", b"+/")
_TEXT = re.compile(r"enc1\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]{38,})")
_TOKEN = re.compile(r"tok_[A-Za-z0-9_-]{22}")


class Cipher:
    """An open key: AES-256-GCM. Nobody sees its bytes, and they are overwritten when it is let go.

    That is the best that can be done here: what the library and the interpreter copied before is
    theirs. The bytes live as long as the cipher, so that none is ever used after them.
    """

    __slots__ = ("__weakref__", "_aead", "_secret", "encrypt")

    def __init__(self, secret: bytearray) -> None:
        self._secret = secret
        self._aead = AESGCM(secret)
        self.encrypt = self._aead.encrypt
        """Return ciphertext and tag of nonce, plain and bound bytes, all of which open it again."""

    def __del__(self) -> None:
        """Overwrite the key."""
        secret: bytearray | None = getattr(self, "_secret", None)
        if secret is not None:
            secret[:] = bytes(len(secret))

    def decrypt(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes | None:
        """Return what was encrypted; none when a bit of anything differs."""
        try:
            return self._aead.decrypt(nonce, sealed, bound)
        except (InvalidTag, ValueError):
            return None

    def wrap(self, key: "bytes | bytearray", bound: bytes) -> bytes:
        """Return another key as it may be stored."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, bound)

    def unwrap(self, wrapped: bytes, bound: bytes) -> "Cipher | None":
        """Return the key that was wrapped; none when it was wrapped by another, or elsewhere."""
        secret = self.unwrapped(wrapped, bound)
        return None if secret is None else Cipher(secret)

    def unwrapped(self, wrapped: bytes, bound: bytes) -> bytearray | None:
        """Return the bytes of the key that was wrapped, for whoever wraps them anew."""
        secret = bytearray(KEY_BYTES)
        try:
            self._aead.decrypt_into(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], bound, secret)
        except (InvalidTag, ValueError):
            return None
        return secret


class DataKey:
    """An open key of one owner, which seals texts and tokens' values."""

    __slots__ = ("_bound", "_cipher", "_head", "id", "subject_key")

    def __init__(self, key_id: str, subject_key: str, installation: bytes, cipher: Cipher) -> None:
        self.id = key_id
        self.subject_key = subject_key
        self._cipher = cipher
        self._head = f"{TEXT_PREFIX}{key_id}."
        self._bound = _bound(installation, key_id, subject_key)

    def seal(self, nonce: bytes, field: str, value: str) -> str:
        """Return the text of a value in a field. No nonce may come twice."""
        return self._head + self._sealed(nonce, _place(field), value)

    def open(self, text: str, field: str) -> str | None:
        """Return the value of a text that stands in this field; none when it was not put there."""
        parsed = parse_text(text)
        if parsed is None or parsed.key_id != self.id:
            return None
        return self._opened(parsed.sealed, _place(field))

    def seal_for_token(self, nonce: bytes, token: str, value: str) -> str:
        """Return what is stored of the value for which a token stands."""
        return self._sealed(nonce, b"t" + token.encode(), value)

    def open_for_token(self, sealed: str, token: str) -> str | None:
        """Return the value for which the token stands; none when it was another's."""
        raw = _from_base64(sealed)
        return None if raw is None else self._opened(raw, b"t" + token.encode())

    def _sealed(self, nonce: bytes, place: bytes, value: str) -> str:
        plain = value.encode("utf-8", "surrogatepass")
        return _base64(nonce + self._cipher.encrypt(nonce, plain, self._bound + place))

    def _opened(self, raw: bytes, place: bytes) -> str | None:
        bound = self._bound + place
        plain = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound)
        return None if plain is None else plain.decode("utf-8", "surrogatepass")


class SealedText(NamedTuple):
    """What a sealed text says: which key opens it, and nonce, ciphertext and tag."""

    key_id: str
    sealed: bytes


def parse_text(text: str) -> SealedText | None:
    """Return what a sealed text says; none when it is none, or is spelt in another way."""
    found = _TEXT.fullmatch(text)
    if found is None:
        return None
    raw = _from_base64(found[2])
    return None if raw is None else SealedText(found[1], raw)


def is_token(text: str) -> bool:
    """Whether a text looks like a token."""
    return _TOKEN.fullmatch(text) is not None


def new_token() -> str:
    """Return a token that nobody can guess, and that says nothing: 128 random bits."""
    return TOKEN_PREFIX + _base64(os.urandom(_TOKEN_BYTES))


def new_key_id() -> str:
    """Return the id of a new key: 96 random bits as 16 characters."""
    return _base64(os.urandom(_KEY_ID_BYTES))


def new_secret() -> bytearray:
    """Return a new random key."""
    return bytearray(os.urandom(KEY_BYTES))


def key_bound(installation: bytes, key_id: str, subject_key: str) -> bytes:
    """Return what a wrapped data key is bound to: it opens for this owner and id alone."""
    return b"key\0" + _bound(installation, key_id, subject_key)


def _bound(installation: bytes, key_id: str, subject_key: str) -> bytes:
    """Return the part that all texts of a key are bound to; what follows it has no ambiguity."""
    parts = (b"candor vault\0\x01", installation, key_id.encode(), subject_key.encode())
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


@lru_cache(maxsize=4096)
def _place(field: str) -> bytes:
    return b"f" + field.encode("utf-8", "surrogatepass")


def _base64(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).translate(_TO_ADDRESS, b"=").decode()


def _from_base64(text: str) -> bytes | None:
    """Return the bytes of unpadded base64; none when another text would mean the same."""
    padded = text.encode("ascii", "replace").translate(_FROM_ADDRESS) + b"=" * (-len(text) % 4)
    try:
        raw = a2b_base64(padded, strict_mode=True)
    except ValueError:
        return None
    is_whole = len(raw) >= NONCE_BYTES + _TAG_BYTES and _base64(raw) == text
    return raw if is_whole else None
