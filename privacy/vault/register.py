"""The register of destroyed keys: a file beside the state store, which no restore of it undoes.

Each line names a person's keys that were destroyed and when, with a code that only this
installation can make. A line is on the disk before the keys are destroyed in the state store: what
was begun is finished at the next start. Processes of one machine may share the file.
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

from candor.kernel.errors import UnavailableError

_OWNER_ONLY = 0o600
_TAIL_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That every key which a person had at an instant is destroyed; ``key_ids`` names them."""

    subject_key: str
    at: datetime
    key_ids: tuple[str, ...]

    def covers(self, key_id: str, created_at: datetime) -> bool:
        """Whether a key of this person must never be used again."""
        return key_id in self.key_ids or created_at < self.at


class Register:
    """The file; it is made when the first key is destroyed."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key

    def read(self) -> list[Tombstone]:
        """Return every entry, the oldest first. What a crash cut off at the end does not count.

        Raises:
            UnavailableError: the file cannot be read, or was changed: nobody may go on without it.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error.strerror) from None
        return self._entries(content)

    def append(self, tombstones: Sequence[Tombstone]) -> None:
        """Add entries; all are on the disk when this returns.

        What another process has just added is not added again. Only the end of the file is read.

        Raises:
            UnavailableError: they cannot be written, or the end of the file was changed.
        """
        if not tombstones:
            return
        try:
            with self._locked() as file:
                size = os.fstat(file).st_size
                start = max(0, size - _TAIL_BYTES)
                tail = os.pread(file, _TAIL_BYTES, start)
                begin = tail.find(b"\n") + 1 if start else 0
                known = set(self._entries(tail[begin:]))
                lines = b"".join(self._line(one) for one in tombstones if one not in known)
                end = start + tail.rfind(b"\n") + 1
                os.ftruncate(file, end)
                os.pwrite(file, lines, end)
                os.fsync(file)
        except OSError as error:
            raise self._unusable(error.strerror) from None

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self._path.exists()
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, _OWNER_ONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)
        if is_new:
            _sync_folder(self._path.parent)

    def _entries(self, content: bytes) -> list[Tombstone]:
        whole = content[: content.rfind(b"\n") + 1]
        return [self._entry(line, number) for number, line in enumerate(whole.splitlines(), 1)]

    def _line(self, tombstone: Tombstone) -> bytes:
        content = _content(tombstone)
        return json.dumps(content | {"mac": self._mac(content)}).encode() + b"\n"

    def _entry(self, line: bytes, number: int) -> Tombstone:
        try:
            document = json.loads(line)
            at = datetime.fromisoformat(document["at"])
            entry = Tombstone(str(document["subject_key"]), at, tuple(document["keys"]))
            is_ours = hmac.compare_digest(document["mac"], self._mac(_content(entry)))
        except (ValueError, TypeError, KeyError):
            is_ours = False
        if not is_ours:
            raise self._unusable(f"line {number} was changed, or is another installation's")
        return entry

    def _mac(self, content: dict[str, Any]) -> str:
        message = json.dumps(content, sort_keys=True).encode()
        return hmac.digest(self._key, message, "sha256").hex()

    def _unusable(self, reason: str | None) -> UnavailableError:
        return UnavailableError(
            f"The register of destroyed keys {self._path} cannot be used ({reason}). Put back the"
            " newest copy of it: without it a restored key could be used again."
        )


def _content(tombstone: Tombstone) -> dict[str, Any]:
    return {
        "at": tombstone.at.astimezone(UTC).isoformat(),
        "keys": list(tombstone.key_ids),
        "subject_key": tombstone.subject_key,
    }


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
