"""A re-scan's only way to the telemetry store: pages of texts, and rows in the place of others.

Rows are rewritten by way of two tables beside theirs: the new texts by the digest of their row, and
the rows made of them by the engine itself, so that nothing but texts passes through this process.
While they are made, the table is as it was. Renaming the second table says that they are whole;
from there on the old rows are deleted and the new ones moved in, partition by partition, and
whoever comes after a crash does the rest. Nothing of this passes through a view: rollups and
tables that are fed by views count nothing twice.

The engine moves parts in two steps: they arrive, and then they leave. Killed in between it has them
twice. So neither table merges its parts while they move, and not before the rest is done, and the
parts of the second table are written in a way that no other part is: which of them have arrived is
told by the digest of their files.

The names that fill a statement are those of ``rescan_places`` and of the engine's own columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from string import Template
from typing import Any

import msgspec

from candor.kernel.errors import ConflictError
from candor.kernel.sql import statement
from candor.kernel.telemetry_store import TelemetryStore
from privacy.pii.rescan_places import Column, Kind, Table

PAGE_ROWS = 10_000
"""How many rows are held at once, where the rows of one minute are not more."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEGINNING, _END = datetime(1900, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""What the engine can compare with an instant in nanoseconds."""
_READ: Mapping[Kind, str] = {
    "text": "toString({})",
    "texts": "arrayMap(one -> toString(one), {})",
    "map": "CAST({}, 'Array(Tuple(String, String))')",
    "maps": "arrayMap(one -> CAST(one, 'Array(Tuple(String, String))'), {})",
}
_PUT: Mapping[Kind, str] = {
    "text": "{}",
    "texts": "{}",
    "map": "CAST({}, 'Map(String, String)')",
    "maps": "arrayMap(one -> CAST(one, 'Map(String, String)'), {})",
}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one partition in ``[since, until)``: all of them, or one of ``buckets`` by digest."""

    number: int
    partition: str
    since: datetime
    until: datetime
    rows: int
    bucket: int = 0
    buckets: int = 1

    @property
    def bounds(self) -> dict[str, object]:
        """What its statements are asked with."""
        return {"partition": self.partition, "since": self.since, "until": self.until}


def plan_pages(
    telemetry: TelemetryStore, table: Table, since: datetime | None, until: datetime | None
) -> list[Page]:
    """Return the pages of a window in their order; they hold no row twice, and together all.

    A row that tells of a longer time is in every window that its time reaches into.
    """
    since, until = max(since or _BEGINNING, _BEGINNING), min(until or _END, _END)
    if table.holds:
        since -= (since - _EPOCH) % table.holds
    counted = telemetry.query(
        _filled("count_stored_rows", table=_quoted(table.name), time=_quoted(table.time)),
        {"since": since, "until": until},
    )
    pages: list[Page] = []
    for partition, first, last, rows in _stretches(counted):
        begin = max(since, _EPOCH + timedelta(minutes=first))
        end = min(until, _EPOCH + timedelta(minutes=last + 1))
        buckets = -(-rows // PAGE_ROWS)
        share = -(-rows // buckets)
        pages += (
            Page(len(pages) + bucket, partition, begin, end, share, bucket, buckets)
            for bucket in range(buckets)
        )
    return pages


def sample_mask(rows: int, wanted: int | None) -> int:
    """Return the mask of the digests whose rows are in a sample of about ``wanted`` rows or more.

    The digest of a row decides, so that the same rows are in the sample the next time, and those of
    a smaller sample in every larger one.
    """
    mask = 0
    while wanted is not None and rows > wanted * (2 * mask + 2):
        mask = 2 * mask + 1
    return mask


class RowReader:
    """Reads the texts of a table."""

    def __init__(self, telemetry: TelemetryStore, table: Table) -> None:
        self._telemetry = telemetry
        self._table = table
        self._names = [
            str(one["name"])
            for one in telemetry.query(
                statement("privacy.pii", "list_columns"), {"table": table.name}
            )
        ]

    @property
    def names(self) -> Sequence[str]:
        """The columns of the table."""
        return self._names

    @property
    def digest(self) -> str:
        """The expression of the digest by which a row is known; of a tuple, it is never NULL."""
        names = self._table.identity or self._names
        return f"sipHash128(tuple({', '.join(map(_quoted, names))}))"

    def read(self, page: Page, mask: int, *, known: bool) -> list[Sequence[Any]]:
        """Return the texts of a page by column, behind them contract, person and digest by row.

        Empty when no row of the page is in the sample. Only with ``known`` rows have digests.
        """
        table = self._table
        more = [_quoted(one) if one else "''" for one in (table.schema, table.subject)]
        digest = f"hex({self.digest})" if known else "''"
        columns = [*(_read(one) for one in table.columns), *more, digest]
        text = _filled(
            "select_stored_texts",
            columns=", ".join(f"{one} AS c{n}" for n, one in enumerate(columns)),
            table=_quoted(table.name),
            time=_quoted(table.time),
            share=self.share(page, mask),
        )
        return self._telemetry.columns(text, page.bounds)

    def share(self, page: Page, mask: int) -> str:
        """Return the condition of the rows of a page that are in a sample."""
        digest = f"reinterpretAsUInt64({self.digest})"
        parts = []
        if page.buckets > 1:
            parts.append(f"bitShiftRight({digest}, 32) % {page.buckets:d} = {page.bucket:d}")
        if mask:
            parts.append(f"bitAnd({digest}, {mask:d}) = 0")
        return " AND ".join(parts) or "1"


class Rewriting:
    """The rows of one table on their way to others."""

    def __init__(self, telemetry: TelemetryStore, table: Table) -> None:
        self._telemetry = telemetry
        self._table = table
        self._reader = RowReader(telemetry, table)
        self._sides = {
            name: f"pii_rescan_{name}_{table.name}" for name in ("texts", "rows", "ready")
        }

    def begin(self) -> None:
        """Make the tables beside; what an earlier run left unfinished there is forgotten."""
        self._drop("rows", "texts")
        columns = (f"{_read(one)} AS c{n}" for n, one in enumerate(self._table.columns))
        self._run("create_rescan_texts", columns=", ".join(columns))
        self._run("create_rescan_rows")
        self._run("mark_rescan_parts")

    def keep(self, page: Page, rows: Mapping[str, Sequence[Any]]) -> None:
        """Keep the new texts of the rows of a page, by their digests."""
        names = ["page", "row", *(f"c{n}" for n in range(len(self._table.columns)))]
        lines = b"\n".join(
            msgspec.json.encode([page.number, row, *texts]) for row, texts in rows.items()
        )
        token = f"{self._sides['texts']}:{page.number}"
        self._telemetry.insert(self._sides["texts"], names, [lines], "JSONCompactEachRow", token)

    def make(self, page: Page) -> None:
        """Let the engine make the new rows of a page, for which texts were kept."""
        made = {
            one.name: _PUT[one.kind].format(f"made.c{n}")
            for n, one in enumerate(self._table.columns)
        }
        columns = (made.get(one, f"stored.{_quoted(one)}") for one in self._reader.names)
        self._run(
            "insert_rescan_rows",
            {**page.bounds, "page": page.number},
            names=", ".join(map(_quoted, self._reader.names)),
            columns=", ".join(columns),
            share=self._reader.share(page, 0),
        )

    def declare_ready(self) -> None:
        """Say that all new rows are made: from here on they take the place of the old ones."""
        self._run("hold_merges", side=self._sides["rows"])
        self._run("rename_rescan_rows")

    def finish(self) -> bool:
        """Put the new rows in the place of the old ones, if they are ready.

        Return false when an earlier run left some that were not: they are forgotten, and the table
        is as it was. What a crash interrupted later goes on where it was.
        """
        found = self._telemetry.query(statement("privacy.pii", "list_rescan_tables"))
        names = {str(one["name"]) for one in found}
        if self._sides["ready"] in names:
            self._replace()
        if not names.isdisjoint(self._sides.values()):
            self._drop("rows", "ready", "texts")
        return self._sides["rows"] not in names

    def _replace(self) -> None:
        """Delete the old rows and move the new ones in, but for those that have arrived."""
        table = _quoted(self._table.name)
        for part in self._arrived():
            self._run("drop_moved_part", part=part)
        for partition in self._partitions():
            self._run("delete_rewritten_rows", partition=partition)
            self._run("hold_merges", side=table)
            self._run("move_rescan_rows", partition=partition)
        self._run("release_merges", side=table)

    def _arrived(self) -> Sequence[str]:
        """Return the parts that a move which was killed has left in both tables."""
        found = self._telemetry.query(
            statement("privacy.pii", "list_moved_parts"),
            {"ready": self._sides["ready"], "table": self._table.name},
        )
        return [str(one["name"]) for one in found]

    def _partitions(self) -> Iterator[str]:
        text = _filled("list_ready_partitions", ready=self._sides["ready"])
        for one in self._telemetry.query(text):
            partition = str(one["partition"])
            if not partition.isalnum():
                raise ConflictError("A table of telemetry is not partitioned by its time.")
            yield partition

    def _drop(self, *sides: str) -> None:
        for side in sides:
            self._run("drop_rescan_table", side=self._sides[side])

    def _run(self, name: str, parameters: Mapping[str, object] | None = None, **more: str) -> None:
        places = {
            **self._sides,
            "table": _quoted(self._table.name),
            "time": _quoted(self._table.time),
            "row": f"hex({self._reader.digest})",
            **more,
        }
        self._telemetry.command(_filled(name, **places), parameters)


def _stretches(counted: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, int, int, int]]:
    """Yield minutes that make a page together: partition, first and last minute, and rows."""
    partition, first, last, rows = "", 0, 0, 0
    for one in counted:
        fits = one["partition"] == partition and rows + one["rows"] <= PAGE_ROWS
        if rows and not fits:
            yield partition, first, last, rows
        if not (rows and fits):
            partition, first, rows = one["partition"], one["whole_minute"], 0
        last, rows = one["whole_minute"], rows + one["rows"]
    if rows:
        yield partition, first, last, rows


def _read(column: Column) -> str:
    return _READ[column.kind].format(_quoted(column.name))


def _quoted(name: str) -> str:
    return f"`{name}`"


def _filled(name: str, **places: str) -> str:
    return Template(statement("privacy.pii", name)).substitute(places)
