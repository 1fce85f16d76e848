"""Which of many texts must be looked at: one pass over all of them at once."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Raw


class Lines(Protocol):
    """Tells where in lines something may be."""

    def suspects(self, lines: bytes) -> list[int]:
        """Return the offsets, each behind the last byte of what may be something."""

    def lifts(self, name: str) -> bool:
        """Whether all that stands under a name must be looked at."""


def suspect_texts(lines: Lines, texts: Sequence[str]) -> set[int]:
    """Return the numbers of the texts that must be looked at."""
    joined = "\n".join(texts)
    if joined.count("\n") >= len(texts) > 0:
        joined = "\n".join([text.replace("\n", " ") for text in texts])
    return _suspects(lines, joined.encode("utf-8", "replace"))


def suspect_values(lines: Lines, values: Sequence[Raw]) -> set[int]:
    """Return the numbers of the JSON values that must be looked at.

    A value is judged as it is spelled, with its inner quotes as they are meant; whatever else a
    backslash escapes is not read, and is looked at.
    """
    joined = b"\n".join(values)
    if joined.count(b"\n") >= len(values) > 0:
        joined = b"\n".join([bytes(value).replace(b"\n", b" ") for value in values])
    return _suspects(lines, joined.replace(b'\\"', b'"'))


def _suspects(lines: Lines, joined: bytes) -> set[int]:
    """Return the numbers of the lines that the filter names."""
    suspects: set[int] = set()
    number = past = 0
    for end in sorted(set(lines.suspects(joined))):
        number += joined.count(b"\n", past, end - 1)
        past = end - 1
        suspects.add(number)
    return suspects
