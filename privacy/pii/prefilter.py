"""A superset filter over Presidio's own patterns: what it does not report, they cannot match.

Hyperscan compiles each pattern in its prefilter mode, in which it may report too much and misses
nothing: look-arounds and back-references are left out there. One pass over a text tells which
patterns of all recognizers are worth running. It counts bytes and knows ASCII alone; texts with
anything else are named as such, and go Presidio's own way.

A few expressions of our own ride along: what may hide a text (escapes, base64), and digits enough
for a telephone number.

Source: Hyperscan, "Compiling patterns", for HS_FLAG_PREFILTER.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hyperscan

from candor.kernel.logging import log

_FLAGS = (
    (re.IGNORECASE, hyperscan.HS_FLAG_CASELESS),
    (re.DOTALL, hyperscan.HS_FLAG_DOTALL),
    (re.MULTILINE, hyperscan.HS_FLAG_MULTILINE),
)
_LIBRARIES = ("hyperscan", "presidio-analyzer", "phonenumbers")
FOREIGN = rb"[\x00-\x08\x0b-\x1f\x7f-\xff]"
"""Bytes that Hyperscan and Python class differently: no ASCII, or control characters."""
ESCAPED = rb"\\|%[0-9A-Fa-f]{2}"
BASE64 = rb"(?:[A-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){5}"
"""Twenty characters that are base64 of ASCII: the first bit of each byte is 0, as in no hash."""
DEEP = rb"(?:[{\[][^{\[\n]*){32}"
"""As many objects and lists as a payload may be deep."""
SCIENTIFIC = rb"\d\.\d{6,}[eE]\+?\d"
"""A JSON number whose digits are others when it is read."""
NAMES = rb"[A-Z][a-z'-]+ [A-Z][a-z'-]+|(?:Mrs?|Ms|Dr|Prof)\.? [A-Z]"
ABROAD = rb"\+[0-9][0-9 ()./-]{6,}"
WORDS = rb"\S \S+ \S"
COARSE = {
    "EmailRecognizer": rb"@",
    "CreditCardRecognizer": rb"\b(?:[3-6]\d{3}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3}"
    rb"|1\d{13}|1\d{3,11}[- ]\d{3})",
    "IbanRecognizer": rb"[A-Z]{2}[0-9]{2}[- ]?[A-Z0-9]{4}[- ]?[A-Z0-9]{4}",
}
"""What every match of these recognizers' patterns contains, and what is searched in half the time.

Used for whole batches, where what is found is looked at once more. Thirteen digits in a row that
begin with 1 are no card to Presidio, but milliseconds. Source: Presidio 2.2.
"""
CRYPTO = (
    rb"bc1[A-Za-z0-9]{25,59}"
    rb"|[13][1-9A-HJ-NP-Za-km-z]{25,58}(?:[^A-Za-z0-9]|$)"
    rb"|[13][1-9A-HJ-NP-Za-km-z]{59}"
)
"""What a valid Bitcoin address matches of the pattern that also every hash matches.

The pattern takes all letters and digits up to sixty, and the validator wants every one of them to
be of base 58. Source: ``CryptoRecognizer`` of Presidio 2.2.
"""
DIGITS = rb"\d(?:[^A-WYZa-wyz0-9]{0,8}\d){3}"
"""The fewest digits that are a telephone number anywhere, with what may stand between them."""


@dataclass(frozen=True, slots=True)
class Expression:
    """One regular expression, and the flags of Python under which it is meant.

    It is reported once for a text, or ``everywhere`` that it matches.
    """

    text: bytes
    flags: int = re.DOTALL | re.MULTILINE
    everywhere: bool = False

    @property
    def compiler_flags(self) -> int:
        """The same in the words of Hyperscan, in its prefilter mode."""
        once = 0 if self.everywhere else hyperscan.HS_FLAG_SINGLEMATCH
        wanted = sum(theirs for ours, theirs in _FLAGS if self.flags & ours)
        return int(hyperscan.HS_FLAG_PREFILTER | once | wanted)


class Prefilter:
    """Tells in one pass which expressions may match a text. One thread at a time."""

    def __init__(self, database: hyperscan.Database) -> None:
        self._scan = database.scan

    def hits(self, text: bytes) -> list[int]:
        """Return the positions of the expressions that may match."""
        found: list[int] = []
        self._scan(text, match_event_handler=_note, context=found)
        return found

    def ends(self, text: bytes) -> list[int]:
        """Return where the expressions may match: the offsets behind their last bytes."""
        found: list[int] = []
        self._scan(text, match_event_handler=_note_end, context=found)
        return found


def compile_prefilter(
    expressions: Sequence[Expression], folder: Path | None
) -> tuple[Prefilter, frozenset[int]]:
    """Return a filter, and the positions of the expressions that it can tell nothing about.

    Compiling takes a tenth of a second to some seconds, so that the result is kept in ``folder``
    under the versions and expressions that it is made of.
    """
    path = folder / f"{_fingerprint(expressions)}.hsdb" if folder is not None else None
    kept = _load(path) if path is not None else None
    if kept is not None:
        return kept
    wanted = list(range(len(expressions)))
    try:
        database = _compiled(expressions, wanted)
    except hyperscan.error:
        wanted = [place for place in wanted if _is_compilable(expressions[place])]
        database = _compiled(expressions, wanted)
    refused = frozenset(range(len(expressions))) - frozenset(wanted)
    if path is not None:
        _keep(database, refused, path)
    return Prefilter(database), refused


def _note(place: int, start: int, end: int, flags: int, found: Any) -> None:  # noqa: ANN401 - the list that was passed in
    del start, end, flags
    found.append(place)


def _note_end(place: int, start: int, end: int, flags: int, found: Any) -> None:  # noqa: ANN401 - as above
    del place, start, flags
    found.append(end)


def _compiled(expressions: Sequence[Expression], wanted: Sequence[int]) -> hyperscan.Database:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=[expressions[place].text for place in wanted],
        ids=wanted,
        elements=len(wanted),
        flags=[expressions[place].compiler_flags for place in wanted],
    )
    return database


def _is_compilable(expression: Expression) -> bool:
    try:
        _compiled([expression], [0])
    except hyperscan.error:
        return False
    return True


def _fingerprint(expressions: Sequence[Expression]) -> str:
    digest = sha256()
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    for one in expressions:
        digest.update(b"%d %d " % (one.compiler_flags, len(one.text)) + one.text)
    return digest.hexdigest()


def _load(path: Path) -> tuple[Prefilter, frozenset[int]] | None:
    """Return a kept filter; none when there is none that this machine can use."""
    try:
        head, _, kept = path.read_bytes().partition(b"\n")
        refused = frozenset(int(place) for place in head.split())
        database = hyperscan.loadb(kept, mode=hyperscan.HS_MODE_BLOCK)
        database.scratch = hyperscan.Scratch(database)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, hyperscan.error) as error:
        log().warning("compiled patterns cannot be used", reason=type(error).__name__)
        return None
    return Prefilter(database), refused


def _keep(database: hyperscan.Database, refused: frozenset[int], path: Path) -> None:
    """Keep a database for the next start; without a place for it, the next start takes longer."""
    head = " ".join(str(place) for place in sorted(refused))
    spare = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        spare.write_bytes(head.encode() + b"\n" + hyperscan.dumpb(database))
        spare.replace(path)
    except OSError as error:
        log().warning("compiled patterns cannot be kept", reason=error.strerror)
