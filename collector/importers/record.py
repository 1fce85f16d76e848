"""What every importer yields: an event or a fault, with its line."""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

GZIP_SUFFIX = ".gz"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file: the call or event that it holds, or why it holds none.

    ``fault`` names a rule, never a value of the record.
    """

    line: int
    document: Any = None
    fault: str | None = None


def open_text(path: Path) -> IO[str]:
    """Return a file as text, unpacked if its name ends in .gz; it is read as a stream."""
    if path.suffix == GZIP_SUFFIX:
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")
