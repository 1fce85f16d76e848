"""The audit log's only way to the state store."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from candor.kernel.errors import NotFoundError
from privacy.audit.head import Head
from privacy.audit.tables import AuditHeadRow, AuditLeafRow, AuditNodeRow, AuditSizeRow
from privacy.audit.tree import Nodes, completed, leaf_hash

_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down: what happened, when, and its particulars as JSON values.

    The particulars hold pseudonyms and digests alone, so that an erasure never needs to touch them.
    """

    kind: str
    at: datetime
    particulars: Mapping[str, Any]

    @property
    def content(self) -> str:
        """The entry as it is hashed: one line of JSON, its names in order."""
        document = {"kind": self.kind, "at": self.at.isoformat(), **self.particulars}
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def append(session: Session, entries: Sequence[Entry]) -> list[int]:
    """Write entries at the end of the log and return their places in it.

    They are in the log if and only if the caller's transaction is committed. Until it ends, nobody
    else appends: the places have no gaps, and their order is that of the commits. A transaction on
    SQLite must not have read before it first writes, or it may have to be repeated.

    Cost: two inserts for all, and for each entry on average one read of a hash.
    """
    if not entries:
        return []
    size = session.execute(
        update(AuditSizeRow)
        .where(AuditSizeRow.id == 1)
        .values(leaves=AuditSizeRow.leaves + len(entries))
        .returning(AuditSizeRow.leaves)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    first = size - len(entries)
    fresh: dict[tuple[int, int], bytes] = {}
    stored = stored_nodes(session)

    def nodes(level: int, place: int) -> bytes:
        known = fresh.get((level, place))
        return stored(level, place) if known is None else known

    contents = [entry.content for entry in entries]
    for index, content in enumerate(contents, first):
        for level, place, own in completed(index, leaf_hash(content.encode()), nodes):
            fresh[level, place] = own
    leaves = [{"index": n, "content": content} for n, content in enumerate(contents, first)]
    session.execute(insert(AuditLeafRow), leaves)
    rows = [{"level": at[0], "place": at[1], "hash": own} for at, own in fresh.items()]
    session.execute(insert(AuditNodeRow), rows)
    return list(range(first, size))


def size_of(session: Session) -> int:
    """Return how many entries there are."""
    return session.execute(select(AuditSizeRow.leaves)).scalar_one()


def stored_nodes(session: Session) -> Nodes:
    """Return what reads the hashes of nodes."""

    def node(level: int, place: int) -> bytes:
        where = (AuditNodeRow.level == level, AuditNodeRow.place == place)
        found = session.scalar(select(AuditNodeRow.hash).where(*where))
        if found is None:
            raise NotFoundError("The audit log lacks a part. Run: candor audit verify")
        return found

    return node


def content_at(session: Session, index: int) -> str:
    """Return one entry as it was hashed.

    Raises:
        NotFoundError: there is none at that place.
    """
    content = session.scalar(select(AuditLeafRow.content).where(AuditLeafRow.index == index))
    if content is None:
        raise NotFoundError("The audit log has no entry at that place.")
    return content


def contents(session: Session) -> Iterator[tuple[int, str]]:
    """Yield every entry with its place, in order, without holding them all."""
    query = select(AuditLeafRow.index, AuditLeafRow.content).order_by(AuditLeafRow.index)
    for row in session.execute(query.execution_options(yield_per=_AT_ONCE)):
        yield (row[0], row[1])


def keep_head(session: Session, head: Head) -> None:
    """Keep a signed head; of one size there is one."""
    session.add(
        AuditHeadRow(
            tree_size=head.tree_size,
            root_hash=head.root_hash,
            signed_at=head.signed_at,
            signature=head.signature,
            key_id=head.key_id,
        )
    )


def heads(session: Session) -> list[Head]:
    """Return every signed head, the oldest first."""
    rows = session.scalars(select(AuditHeadRow).order_by(AuditHeadRow.tree_size))
    return [_head(row) for row in rows]


def head_of(session: Session, tree_size: int | None = None) -> Head | None:
    """Return the signed head of a size, or the newest; none when there is none."""
    query = select(AuditHeadRow).order_by(AuditHeadRow.tree_size.desc()).limit(1)
    if tree_size is not None:
        query = query.where(AuditHeadRow.tree_size == tree_size)
    row = session.scalar(query)
    return None if row is None else _head(row)


def _head(row: AuditHeadRow) -> Head:
    return Head(row.tree_size, row.root_hash, row.signed_at, row.signature, row.key_id)
