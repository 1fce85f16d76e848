"""Texts inside texts: JSON in a string, what a URL carries, base64; one level deep, bounded."""

import base64
import binascii
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

import msgspec

MOST_HIDDEN_CHARACTERS = 65_536
"""Longer texts are not decoded; they are scanned as they are."""
_QUERY = re.compile(r"[?&;#]([^=&;#?\s]{1,200})=([^&;#\s\"'<>]*)")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_URL_SAFE = str.maketrans("-_", "+/")
_JSON_ENDS = {"{": "}", "[": "]"}


def json_inside(text: str) -> object | None:
    """Return the object or list that a text spells; none when it spells neither."""
    bare = text.strip()
    if len(bare) > MOST_HIDDEN_CHARACTERS or _JSON_ENDS.get(bare[:1]) != bare[-1:]:
        return None
    try:
        found: object = msgspec.json.decode(bare)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return found


def parameters(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield the parameters that an address carries: name and value decoded, and where it stands."""
    if "=" not in text or len(text) > MOST_HIDDEN_CHARACTERS:
        return
    for match in _QUERY.finditer(text):
        yield unquote_plus(match[1]), unquote_plus(match[2]), *match.span(2)


def unescaped(text: str) -> str | None:
    """Return a text with its percent escapes resolved; none when it has none."""
    return unquote_plus(text) if _ESCAPE.search(text) else None


def encoded(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the texts that stand in a text as base64, and where: those of JWTs among them."""
    if len(text) > MOST_HIDDEN_CHARACTERS:
        return
    for match in _BASE64.finditer(text):
        decoded = _decoded(match[0])
        if decoded is not None:
            yield decoded, *match.span()


def _decoded(text: str) -> str | None:
    """Return what base64 spells if that is a text that one can read."""
    bare = text.rstrip("=").translate(_URL_SAFE)
    try:
        found = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return found if found.isprintable() or found.replace("\n", "").isprintable() else None
