"""The master key and what is derived from it.

One 32-byte master key in a file that only its owner may read. Every other key comes from it by
HKDF-SHA-256 with a purpose of its own, so that none can be turned into another.
"""

import hmac
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from candor.kernel.disk import sync_folder
from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.identifiers import canonical_identifier

MASTER_KEY_BYTES = 32
_SHA256_BLOCK_BYTES = 64
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys of one installation; nothing of them is ever printed.

    ``phone_region`` is the country of numbers that name none.
    """

    pepper: bytes = field(repr=False)
    key_pepper: bytes = field(repr=False)
    quarantine_key: bytes = field(repr=False)
    audit_seed: bytes = field(repr=False)
    identifier_key: bytes = field(repr=False)
    vault_key: bytes = field(repr=False)
    link_key: bytes = field(repr=False)
    phone_region: str | None = field(default=None, kw_only=True)
    _subject_mac: "Mac" = field(init=False, repr=False, compare=False)
    _known: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_subject_mac", Mac(self.pepper))

    def subject_key(self, subject_type: str, value: str) -> str:
        """Return the pseudonym of a person: 64 hexadecimal digits, the same for the same person.

        HMAC-SHA-256 over ``type:canonical value`` with the secret pepper. Without the pepper it
        can neither be turned back nor be recomputed.

        Source: RFC 2104; GDPR, article 4(5), for what makes it a pseudonym.
        """
        if subject_type == "phone" or (subject_type == "email" and not value.isascii()):
            return self._remembered_key(subject_type, value)
        canonical = canonical_identifier(subject_type, value)
        return self._subject_mac.hexdigest(f"{subject_type}:{canonical}".encode())

    def _remembered_key(self, subject_type: str, value: str) -> str:
        """Return the pseudonym of what is costly to canonicalise, of the last ones from memory.

        Only pseudonyms are kept there, never a spelling.
        """
        spelling = self._subject_mac.hexdigest(f"\0{subject_type}:{value}".encode())
        key = self._known.get(spelling)
        if key is None:
            canonical = canonical_identifier(subject_type, value, self.phone_region)
            key = self._subject_mac.hexdigest(f"{subject_type}:{canonical}".encode())
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[spelling] = key
        return key

    def key_hash(self, key: str) -> str:
        """Return what is stored of an API key: 64 hexadecimal digits."""
        return hmac.digest(self.key_pepper, key.encode(), "sha256").hex()

    def sealing_key(self, use: str) -> bytes:
        """Return the 32 bytes that seal what the state store keeps secret for one use."""
        return hmac.digest(self.quarantine_key, f"sealing of {use}".encode(), "sha256")


class Mac:
    """HMAC-SHA-256 under one key, with the key's part computed once.

    The ingest path keys every event; starting from a copy costs a third of ``hmac.digest``.

    Source: RFC 2104, section 4, for keeping the two inner states.
    """

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_SHA256_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigest(self, message: bytes) -> str:
        """Return the authentication code as 64 hexadecimal digits."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


def read_key_file(path: Path) -> bytes:
    """Return the 32 bytes of a key file beside the master key's.

    Raises:
        UnavailableError: it cannot be read.
        InvalidInputError: it is not 32 bytes long, or others may read it.
    """
    try:
        return _read_key(path)
    except OSError as error:
        raise UnavailableError(
            f"The key file {path} cannot be used ({error.strerror}). Put 32 random bytes there,"
            " readable by this user alone (mode 0600)."
        ) from None


def open_secrets(
    master_key_file: Path, *, may_create: bool, phone_region: str | None = None
) -> Secrets:
    """Return the secrets that derive from the master key in ``master_key_file``.

    An embedded installation makes the file (mode 0600) at its first start; a server refuses to
    invent a key that its siblings would not know.

    Raises:
        UnavailableError: the file is missing and may not be made, or cannot be read.
        InvalidInputError: it is not 32 bytes long, or others may read it.
    """
    try:
        if may_create:
            _create_once(master_key_file)
        master_key = _read_key(master_key_file)
    except OSError as error:
        raise UnavailableError(
            f"The master key file {master_key_file} cannot be used ({error.strerror}). Put the 32"
            " bytes of this installation there, readable by this user alone (mode 0600)."
        ) from None
    return Secrets(
        pepper=_derive(master_key, b"candor subject pepper v1"),
        key_pepper=_derive(master_key, b"candor api key pepper v1"),
        quarantine_key=_derive(master_key, b"candor quarantine key v1"),
        audit_seed=_derive(master_key, b"candor audit signing seed v1"),
        identifier_key=_derive(master_key, b"candor identifier key v1"),
        vault_key=_derive(master_key, b"candor vault key v1"),
        link_key=_derive(master_key, b"candor personal link key v1"),
        phone_region=phone_region,
    )


def _create_once(path: Path) -> None:
    """Make the key whole or not at all: whoever finds the file finds all of it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.") as file:  # mode 0600
        file.write(os.urandom(MASTER_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first
            os.link(file.name, path)
    sync_folder(path.parent)


def _read_key(path: Path) -> bytes:
    if path.stat().st_mode & _OTHERS:
        raise InvalidInputError(f"The key file {path} can be read by others. Run: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != MASTER_KEY_BYTES:
        raise InvalidInputError(
            f"The key file {path} holds {len(key)} bytes; it must hold {MASTER_KEY_BYTES}."
        )
    return key


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    """Return 32 bytes for one purpose. Source: RFC 5869 with SHA-256 and no salt."""
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(master_key)
