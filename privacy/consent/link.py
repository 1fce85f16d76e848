"""Links that a person holds instead of an account: who opens one is who it was made for.

What a token says is sealed, not written: nobody can read or change it without the key, and one made
for unsubscribing opens no preferences. The same link comes out the same, so a message that is made
twice does not change.

Source: RFC 5297 (AES-SIV), which binds what is sealed to the use it is for; RFC 8058, section 3.1,
for a token that is opaque and hard to forge.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import UTC, datetime
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from candor.kernel.errors import NotFoundError

Use = Literal["unsubscribe", "preferences"]
_MOST_CHARACTERS = 1024
_VERSION = b"candor personal link v1"


class Link(msgspec.Struct, array_like=True, frozen=True):
    """Whose link it is and what it is about; ``until`` is when it ends, none for never.

    ``purpose`` is ``*`` for every one and ``channel`` empty for all; ``jurisdiction`` is empty when
    nobody said which law the person lives under.
    """

    subject_key: str
    subject_type: str
    purpose: str
    channel: str = ""
    jurisdiction: str = ""
    until: datetime | None = None


class NoSuchLinkError(NotFoundError):
    """A token that nobody was given: forged, cut, or made with another key."""


class LinkEndedError(NotFoundError):
    """A token that was good and has run out."""

    status = 410
    code = "gone"
    title = "Gone"


def token_of(link: Link, use: Use, key: bytes) -> str:
    """Return the token of a link, for the one use: letters, digits, dashes and underscores."""
    told = msgspec.msgpack.encode(
        (
            bytes.fromhex(link.subject_key),
            link.subject_type,
            link.purpose,
            link.channel,
            link.jurisdiction,
            int(link.until.timestamp()) if link.until is not None else 0,
        )
    )
    sealed = AESSIV(key).encrypt(told, [_VERSION, use.encode()])
    return urlsafe_b64encode(sealed).rstrip(b"=").decode()


def link_of(token: str, use: Use, key: bytes, now: datetime) -> Link:
    """Return the link that a token stands for.

    Raises:
        NoSuchLinkError: it stands for none of that use, whatever is wrong with it.
        LinkEndedError: it was good until some time ago.
    """
    try:
        told = AESSIV(key).decrypt(_sealed(token), [_VERSION, use.encode()])
        person, *words, ends = msgspec.msgpack.decode(told, type=_Told)
    except (InvalidTag, ValueError, msgspec.DecodeError):
        raise NoSuchLinkError("There is no such link. Open it as it came, or ask anew.") from None
    until = datetime.fromtimestamp(ends, UTC) if ends else None
    if until is not None and until <= now:
        raise LinkEndedError("This link has run out. Ask for a new one.")
    subject_type, purpose, channel, jurisdiction = words
    return Link(person.hex(), subject_type, purpose, channel, jurisdiction, until)


_Told = tuple[bytes, str, str, str, str, int]


def _sealed(token: str) -> bytes:
    """Return the bytes of a token in its one spelling: base64 has several for the last character.

    Raises:
        ValueError: it is none.
    """
    if len(token) > _MOST_CHARACTERS or not token.isascii():
        raise ValueError
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except Base64Error:
        raise ValueError from None
    if urlsafe_b64encode(sealed).rstrip(b"=").decode() != token:
        raise ValueError
    return sealed
