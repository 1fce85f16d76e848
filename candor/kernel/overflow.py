"""A pipe with room on the disk: the writer never waits for the reader, and memory stays small.

A client that sends all of its request before it reads the answer must not hold up the answer, nor
make the process keep it. What does not fit into memory lies in a file without a name, encrypted
under a key that never leaves the process: whatever the disk keeps of it is noise.
"""

import os
from collections import deque
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_MEMORY_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18


class Overflow:
    """Bytes in the order in which they were written. For one thread."""

    def __init__(self, directory: Path, memory_bytes: int = _MEMORY_BYTES) -> None:
        self._directory = directory
        self._memory_bytes = memory_bytes
        self._pieces: deque[bytes] = deque()
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._written = self._read = 0
        cipher = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(os.urandom(16)))
        self._encryptor, self._decryptor = cipher.encryptor(), cipher.decryptor()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_empty(self) -> bool:
        """Whether everything that was written was read."""
        return not self._pieces and self._read == self._written

    def write(self, piece: bytes) -> None:
        """Add bytes.

        Raises:
            OSError: the disk does not take them.
        """
        fits = self._held_bytes + len(piece) <= self._memory_bytes
        if fits and self._read == self._written:
            self._pieces.append(piece)
            self._held_bytes += len(piece)
            return
        if self._file is None:
            self._file = TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed with this
        self._file.seek(self._written)
        self._file.write(self._encryptor.update(piece))
        self._written += len(piece)

    def read(self) -> bytes:
        """Return the next bytes; none when it is empty."""
        if self._pieces:
            piece = self._pieces.popleft()
            self._held_bytes -= len(piece)
            return piece
        if self._file is None or self._read == self._written:
            return b""
        self._file.seek(self._read)
        sealed = self._file.read(min(_PIECE_BYTES, self._written - self._read))
        self._read += len(sealed)
        return self._decryptor.update(sealed)
