"""Which page something happened on, without what names a person or a single order there."""

import re
from urllib.parse import unquote, urlsplit

_MOST_CHARACTERS = 200
_MOST_DIGITS = 3
_PLACEHOLDER = ":id"
_WORD = re.compile(r"[\w.~+-]{1,60}")
_SCRIPT = re.compile(r"[\w.~+-]{1,100}\.[cm]?js")
_DIGIT = re.compile(r"\d")


def page_of(address: str) -> str:
    """Return the path of an address with its ids replaced: ``/orders/4711`` is ``/orders/:id``.

    A part of the path stays if it is one word of at most 60 characters with at most three digits
    that is not a number altogether; order numbers, UUIDs, digests and e-mail addresses are none.
    Query and fragment are left out. Empty when there is no path.
    """
    return _templated(_path_of(address), keep_script=False)


def script_of(address: str) -> str:
    """Return the path of a script, whose own name stays as it is, digest and all.

    Of a script that came from no web server, such as ``blob:`` or an extension, the scheme alone.
    """
    scheme = address.partition(":")[0].lower() if ":" in address.split("/", 1)[0] else ""
    if scheme not in {"", "http", "https"}:
        return f"{scheme}:" if scheme.isascii() and len(scheme) <= len("chrome-extension") else ""
    return _templated(_path_of(address), keep_script=True)


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:
        return ""


def _templated(path: str, *, keep_script: bool) -> str:
    parts = path.split("/")
    last = len(parts) - 1
    kept = [
        part if keep_script and place == last and _SCRIPT.fullmatch(part) else _part(part)
        for place, part in enumerate(parts)
    ]
    text = "/".join(kept)
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS].rpartition("/")[0]


def _part(part: str) -> str:
    word = unquote(part)
    if not word:
        return ""
    is_word = _WORD.fullmatch(word) is not None
    if not is_word or word.isdecimal() or len(_DIGIT.findall(word)) > _MOST_DIGITS:
        return _PLACEHOLDER
    return word
