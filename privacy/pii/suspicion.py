"""Which of many lines must be looked at: one pass over all of them, and places for what it names."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Protocol


class Lines(Protocol):
    """Tells where in lines something may be."""

    def suspects(self, lines: bytes) -> tuple[list[int], frozenset[int]]:
        """Return the offsets into lines that must be looked at, and what names may lift."""

    def named(self, name: str) -> frozenset[int]:
        """Return what a name lifts."""


def suspect_lines(lines: Lines, texts: Sequence[bytes]) -> tuple[set[int], frozenset[int]]:
    """Return the numbers of the texts that must be looked at, and what names may lift."""
    joined = b"\n".join(texts)
    if joined.count(b"\n") >= len(texts) > 0:
        joined = b"\n".join([bytes(one).replace(b"\n", b" ") for one in texts])
    offsets, weak = lines.suspects(joined)
    return (_numbers(offsets, joined) if offsets else set()), weak


def _numbers(offsets: Iterable[int], joined: bytes) -> set[int]:
    """Return the numbers of the lines that offsets (of the byte behind) fall into."""
    ends: list[int] = []
    at = joined.find(b"\n")
    while at >= 0:
        ends.append(at)
        at = joined.find(b"\n", at + 1)
    return {bisect_left(ends, offset - 1) for offset in offsets}
