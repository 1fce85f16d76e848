"""Which of many texts must be looked at: one pass over all of them at once."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
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
        return suspect_texts(lines, [text.replace("\n", " ") for text in texts])
    encoded = joined.encode("utf-8", "replace")
    offsets = lines.suspects(encoded)
    if offsets and len(encoded) > len(joined):
        return _numbers(offsets, [len(text.encode("utf-8", "replace")) for text in texts])
    return _numbers(offsets, list(map(len, texts)))


def suspect_values(lines: Lines, values: Sequence[Raw]) -> set[int]:
    """Return the numbers of the JSON values that must be looked at."""
    joined = b"\n".join(values)
    if joined.count(b"\n") >= len(values) > 0:
        joined = b"\n".join([bytes(value).replace(b"\n", b" ") for value in values])
    return _numbers(lines.suspects(joined), list(map(len, values)))


def _numbers(offsets: Sequence[int], lengths: Sequence[int]) -> set[int]:
    """Return the numbers of the lines, one byte apart, that offsets fall into."""
    if not offsets:
        return set()
    ends = list(accumulate(lengths))
    numbers = range(len(ends))
    return {bisect_left(numbers, end - 1, key=lambda n: ends[n] + n) for end in set(offsets)}
