"""The register of destroyed keys: a file beside the state store, which no restore of it undoes.

Its first line names it. Each other one names a person's keys that were destroyed and when, with its
number and a code that only this installation can make, and that covers the code of the line before:
no line can be changed, moved or taken out. What is cut off at the end shows by how long the state
store knows the file to be. A line is on the disk before the keys are destroyed in the state store:
what was begun is finished at the next start. Processes of one machine may share the file.
"""

import fcntl
import hmac
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from candor.kernel.disk import sync_folder
from candor.kernel.errors import UnavailableError
from privacy.vault.sealing import new_key_id

_OWNER_ONLY = 0o600
_TAIL_BYTES = 1 << 20
_FIRST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That every key which a person had at an instant is destroyed; ``key_ids`` names them."""

    subject_key: str
    at: datetime
    key_ids: tuple[str, ...]

    def covers(self, key_id: str, created_at: datetime) -> bool:
        """Whether a key of this person must never be used again."""
        return key_id in self.key_ids or created_at < self.at


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a register goes: which one it is, its entries, and the code of its last line."""

    register_id: str
    entries: int
    mac: str


@dataclass(frozen=True, slots=True)
class Contents:
    """A register as it is on the disk; ``macs`` begins with the code of the first line."""

    register_id: str
    tombstones: list[Tombstone]
    macs: list[str]

    def holds(self, known: Extent) -> bool:
        """Whether everything is still there that was."""
        return known.entries < len(self.macs) and self.macs[known.entries] == known.mac


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    tombstone: Tombstone
    mac: str


class Register:
    """The file. Only ``begin`` makes it: a register that is missing is not taken for an empty one.

    Raises:
        UnavailableError: from every method when the file cannot be used, or was changed: nobody may
            go on without it.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key

    def begin(self) -> None:
        """Make the file, unless it is there."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unusable(error.strerror) from None
        with self._locked(os.O_CREAT) as file:
            if b"\n" in os.pread(file, _FIRST_BYTES, 0):
                return
            named = {"register": new_key_id()}
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(named | {"mac": self._mac("", named)}).encode() + b"\n", 0)
            os.fsync(file)
        sync_folder(self._path.parent)

    def contents(self) -> Contents | None:
        """Return what is in the file without what a crash cut off; none if it is missing."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.unusable(error.strerror) from None
        first, *lines = _whole(content) or [b""]
        if not first:
            return None
        register_id, mac = self._named(first)
        entries = self._chained(lines, _Line(0, _NOTHING, mac))
        return Contents(
            register_id, [one.tombstone for one in entries], [mac, *(one.mac for one in entries)]
        )

    def read(self) -> list[Tombstone]:
        """Return every entry, the oldest first."""
        contents = self.contents()
        if contents is None:
            raise self.missing()
        return contents.tombstones

    def append(self, tombstones: Sequence[Tombstone]) -> Extent:
        """Add entries, and return how far it goes then; all are on the disk when this returns.

        What another process has just added is not added again. Only the end of the file is read.
        """
        with self._locked() as file:
            first, *_ = _whole(os.pread(file, _FIRST_BYTES, 0)) or [b""]
            if not first:
                raise self.missing()
            register_id, mac = self._named(first)
            size = os.fstat(file).st_size
            start = max(0, size - _TAIL_BYTES)
            tail = os.pread(file, _TAIL_BYTES, start)
            _, *lines = _whole(tail)
            before = _Line(0, _NOTHING, mac)
            if start:  # the first of them stands for all that lies before it
                before, lines = self._parsed(lines[0], None), lines[1:]
            entries = [before, *self._chained(lines, before)]
            last, known = entries[-1], {one.tombstone for one in entries}
            added = b""
            for one in tombstones:
                if one not in known:
                    last = self._next(last, one)
                    added += _written(last)
            if added:
                end = start + tail.rfind(b"\n") + 1
                os.ftruncate(file, end)
                os.pwrite(file, added, end)
                os.fsync(file)
            return Extent(register_id, last.number, last.mac)

    @contextmanager
    def _locked(self, flags: int = 0) -> Iterator[int]:
        try:
            file = os.open(self._path, os.O_RDWR | flags, _OWNER_ONLY)
        except FileNotFoundError:
            raise self.missing() from None
        except OSError as error:
            raise self.unusable(error.strerror) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        except OSError as error:
            raise self.unusable(error.strerror) from None
        finally:
            os.close(file)

    def _named(self, line: bytes) -> tuple[str, str]:
        try:
            document = json.loads(line)
            named = {"register": str(document["register"])}
            is_ours = hmac.compare_digest(document["mac"], self._mac("", named))
        except (ValueError, TypeError, KeyError):
            is_ours = False
        if not is_ours:
            raise self.unusable("its first line was changed, or is another installation's")
        return named["register"], document["mac"]

    def _chained(self, lines: Sequence[bytes], before: _Line) -> list[_Line]:
        entries = []
        for line in lines:
            number = before.number + 1
            entry = self._parsed(line, number)
            expected = self._next(before, entry.tombstone)
            is_next = hmac.compare_digest(_written(expected), _written(entry))
            if not is_next:
                raise self._changed(number)
            entries.append(entry)
            before = entry
        return entries

    def _parsed(self, line: bytes, number: int | None) -> _Line:
        try:
            document = json.loads(line)
            at = datetime.fromisoformat(document["at"])
            entry = Tombstone(str(document["subject_key"]), at, tuple(document["keys"]))
            return _Line(int(document["number"]), entry, str(document["mac"]))
        except (ValueError, TypeError, KeyError):
            raise self._changed(number) from None

    def _next(self, before: _Line, tombstone: Tombstone) -> _Line:
        number = before.number + 1
        return _Line(number, tombstone, self._mac(before.mac, _content(number, tombstone)))

    def _mac(self, before: str, content: dict[str, Any]) -> str:
        message = before + json.dumps(content, sort_keys=True)
        return hmac.digest(self._key, message.encode(), "sha256").hex()

    def _changed(self, number: int | None) -> UnavailableError:
        which = "an entry" if number is None else f"entry {number}"
        return self.unusable(f"{which} was changed, moved or taken out")

    def missing(self) -> UnavailableError:
        """Return the error of a register that should be there."""
        return UnavailableError(
            f"The register of destroyed keys {self._path} is missing, and the state store has keys"
            " that it may name. Put back its newest copy. If there never was one here, as on a new"
            " replica, or it is lost for good: `candor vault new-register`."
        )

    def unusable(self, reason: str | None) -> UnavailableError:
        """Return the error of a register that is there."""
        return UnavailableError(
            f"The register of destroyed keys {self._path} cannot be used ({reason}). Put back the"
            " newest copy of it: without it a restored key could be used again."
        )


_NOTHING = Tombstone("", datetime.min.replace(tzinfo=UTC), ())


def _whole(content: bytes) -> list[bytes]:
    return content[: content.rfind(b"\n") + 1].splitlines()


def _written(line: _Line) -> bytes:
    document = _content(line.number, line.tombstone) | {"mac": line.mac}
    return json.dumps(document).encode() + b"\n"


def _content(number: int, tombstone: Tombstone) -> dict[str, Any]:
    return {
        "at": tombstone.at.astimezone(UTC).isoformat(),
        "keys": list(tombstone.key_ids),
        "number": number,
        "subject_key": tombstone.subject_key,
    }
