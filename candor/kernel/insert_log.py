"""Insert tokens that an embedded engine wrote down for parts which it never had.

The engine writes the token of an insert into the table's deduplication log and only then gives the
part its name. Killed in between, it would take the same insert, sent again, for one that it knows,
and its rows would be lost. So before the engine opens its folder, such tokens are taken back, in
the log's own words: whoever waits to be inserted again is inserted. Tokens of parts that ran out go
with them; nobody sends those again.

A log holds a record a line: ``1`` (added) or ``2`` (dropped), the part, the token's hash. A part's
directory is named ``PARTITION_MIN_MAX_LEVEL`` with a mutation or without, and covers each part of
its partition whose blocks lie within its own.

Source: ``MergeTreeDeduplicationLog`` and ``MergeTreePartInfo`` of ClickHouse, and its files.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_LOGS = "store/*/*/deduplication_logs"
_PART = re.compile(r"(?P<partition>[^_]+)_(?P<least>\d+)_(?P<most>\d+)_\d+(?:_\d+)?")
_ADDED, _DROPPED = "1", "2"
_Blocks = tuple[int, int]


def take_back_torn_inserts(folder: Path) -> int:
    """Return how many tokens of an engine's folder were taken back; no engine may have it open.

    Raises:
        OSError: a log cannot be read or written.
    """
    return sum(_mend(logs) for logs in sorted(folder.glob(_LOGS)))


def _mend(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_number)
    if not files:
        return 0
    _cut_torn_record(files[-1])
    known: dict[str, str] = {}
    for file in files:
        for record in file.read_text(encoding="latin-1").split("\n"):
            operation, _, told = record.partition("\t")
            part, _, token = told.partition("\t")
            if operation == _ADDED:
                known[token] = part
            elif operation == _DROPPED:
                known.pop(token, None)
    parts = _parts(path.name for path in logs.parent.iterdir())
    torn = [(token, part) for token, part in known.items() if not _is_there(part, parts)]
    if torn:
        with files[-1].open("a", encoding="latin-1") as output:
            output.writelines(f"{_DROPPED}\t{part}\t{token}\n" for token, part in torn)
            output.flush()
            os.fsync(output.fileno())
    return len(torn)


def _number(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _cut_torn_record(file: Path) -> None:
    """Cut what stands behind the last whole record: the engine was killed while it wrote it."""
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(file, whole)


def _parts(names: Iterable[str]) -> dict[str, list[_Blocks]]:
    """Return the blocks of each part that has its name, by partition."""
    found: dict[str, list[_Blocks]] = defaultdict(list)
    for name in names:
        if part := _PART.fullmatch(name):
            found[part["partition"]].append((int(part["least"]), int(part["most"])))
    return found


def _is_there(name: str, parts: dict[str, list[_Blocks]]) -> bool:
    part = _PART.fullmatch(name)
    if part is None:
        return True  # of a kind that this does not know: it is left alone
    least, most = int(part["least"]), int(part["most"])
    return any(low <= least and most <= high for low, high in parts.get(part["partition"], ()))
