"""The register of objectives and of the documents they come from: applied as a whole.

What is applied is declared, not added: every objective is made anew from its documents, so that a
changed SLI changes all who refer to it, and an objective that its SLO makes no more is removed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import unified_diff
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from candor.kernel.database import wait_for_turn
from slo.definition import changed_places, definition_of, objective_from
from slo.errors import ObjectiveNotFoundError
from slo.objective import Objective
from slo.openslo import Compiled, DocumentSet, StoredDocument, has_errors
from slo.tables import DocumentRow, ObjectiveRow, RevisionRow

_TURN = 0x0B1EC7
Reading = Callable[[Sequence[StoredDocument]], DocumentSet]
"""Reads documents over those that are stored."""


@dataclass(frozen=True, slots=True)
class Registered:
    """An objective and when its present revision was applied."""

    objective: Objective
    revision: int
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of an objective: who applied it, when, and what it was; none: removed.

    ``changed`` are the places of its definition that differ from the revision before; none where
    one of the two does not promise anything.
    """

    number: int
    applied_at: datetime
    author: str
    objective: Objective | None
    changed: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What became of one document, and the lines that differ."""

    kind: str
    name: str
    change: str
    diff: tuple[str, ...]


@dataclass(slots=True)
class Difference:
    """What applying changed: objectives by name, in the order given, and documents."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    documents: list[DocumentChange] = field(default_factory=list)


def apply_read(
    session: Session, read: Reading, at: datetime, author: str, *, dry_run: bool = False
) -> tuple[DocumentSet, Difference | None]:
    """Return a set of documents as read over what is stored, and what applying it changed.

    There is no difference where the documents have an error: nothing is stored then. Whoever
    applies at the same time waits, and reads again what was stored meanwhile; without that, each
    would remove the objectives that it does not know of.
    """
    stored = stored_documents(session)
    documents = read(stored)
    if has_errors(documents.findings):
        return documents, None
    written = documents.documents  # takes its time, so it is done before the others have to wait
    if not dry_run:
        wait_to_apply(session)
        present = stored_documents(session)
        if present != stored:
            documents = read(present)
        if has_errors(documents.findings):
            return documents, None
    return documents, _apply(session, documents, written, at, author, dry_run=dry_run)


def wait_to_apply(session: Session) -> None:
    """Keep whoever else applies documents waiting until the transaction ends."""
    wait_for_turn(session.connection(), _TURN)


def apply_set(
    session: Session, documents: DocumentSet, at: datetime, author: str, *, dry_run: bool = False
) -> Difference:
    """Store a set of documents and the objectives it leads to; again, it changes nothing.

    With ``dry_run`` nothing is stored, and the difference is what would be.
    """
    return _apply(session, documents, documents.documents, at, author, dry_run=dry_run)


def _apply(  # noqa: PLR0913 - as apply_set, and the documents as they are stored
    session: Session,
    documents: DocumentSet,
    written: Sequence[StoredDocument],
    at: datetime,
    author: str,
    *,
    dry_run: bool,
) -> Difference:
    difference = Difference()
    for document in written:
        difference.documents.append(_apply_document(session, document, at, author, dry_run=dry_run))
    for document in documents.removed:
        difference.documents.append(_remove_document(session, document, dry_run=dry_run))
    for compiled in documents.objectives:
        _apply_objective(session, compiled, difference, at, author, dry_run=dry_run)
    made = {one.objective.name for one in documents.objectives}
    owned = select(ObjectiveRow).where(ObjectiveRow.slo.is_not(None)).order_by(ObjectiveRow.name)
    for row in session.scalars(owned).all():
        if row.name not in made and row.slo not in documents.broken:
            difference.removed.append(row.name)
            if not dry_run:
                _note(session, row.name, None, at, author)
                session.delete(row)
    return difference


def stored_documents(session: Session) -> list[StoredDocument]:
    """Return every document that was applied, by kind and name."""
    asked = select(DocumentRow).order_by(DocumentRow.kind, DocumentRow.name)
    rows = session.scalars(asked, execution_options={"populate_existing": True})
    return [
        StoredDocument(
            row.kind,
            row.name,
            {key: tuple(values) for key, values in row.labels.items()},
            row.text,
        )
        for row in rows
    ]


def find_objective(session: Session, name: str) -> Registered:
    """Return one objective.

    Raises:
        ObjectiveNotFoundError: none bears that name.
    """
    row = session.get(ObjectiveRow, name)
    if row is None:
        raise ObjectiveNotFoundError
    return _registered(row)


def all_objectives(session: Session) -> list[Registered]:
    """Return every objective, by name."""
    rows = session.scalars(select(ObjectiveRow).order_by(ObjectiveRow.name))
    return [_registered(row) for row in rows]


def objectives_of(session: Session, service: str) -> list[Objective]:
    """Return the objectives of one service, by name."""
    rows = session.scalars(
        select(ObjectiveRow).where(ObjectiveRow.service == service).order_by(ObjectiveRow.name)
    )
    return [objective_from(row.definition) for row in rows]


def revisions_of(session: Session, name: str) -> list[Revision]:
    """Return the revisions of an objective, newest first; those of a removed one too."""
    rows = session.scalars(
        select(RevisionRow).where(RevisionRow.name == name).order_by(RevisionRow.revision)
    )
    revisions: list[Revision] = []
    before: Objective | None = None
    for row in rows:
        objective = None if row.definition is None else objective_from(row.definition)
        changed = None
        if before is not None and objective is not None:
            changed = tuple(changed_places(before, objective))
        revisions.append(Revision(row.revision, row.applied_at, row.author, objective, changed))
        before = objective
    return revisions[::-1]


def _apply_document(
    session: Session, document: StoredDocument, at: datetime, author: str, *, dry_run: bool
) -> DocumentChange:
    row = session.get(DocumentRow, (document.kind, document.name))
    before = "" if row is None else row.text
    change = "created" if row is None else "changed"
    if before == document.text:
        return DocumentChange(document.kind, document.name, "unchanged", ())
    if not dry_run:
        row = row or DocumentRow(kind=document.kind, name=document.name)
        row.labels = {key: list(values) for key, values in document.labels.items()}
        row.text, row.applied_at, row.author = document.text, at, author
        session.add(row)
    return DocumentChange(document.kind, document.name, change, _diff(before, document.text))


def _remove_document(
    session: Session, document: StoredDocument, *, dry_run: bool
) -> DocumentChange:
    row = session.get(DocumentRow, (document.kind, document.name))
    if row is not None and not dry_run:
        session.delete(row)
    return DocumentChange(document.kind, document.name, "removed", _diff(document.text, ""))


def _apply_objective(  # noqa: PLR0913 - one objective within the whole
    session: Session,
    compiled: Compiled,
    difference: Difference,
    at: datetime,
    author: str,
    *,
    dry_run: bool,
) -> None:
    objective = compiled.objective
    definition = definition_of(objective)
    row = session.get(ObjectiveRow, objective.name)
    if row is not None and row.definition == definition and row.slo == compiled.slo:
        if compiled.is_new:
            difference.unchanged.append(objective.name)
        return
    (difference.created if row is None else difference.changed).append(objective.name)
    if dry_run:
        return
    row = row or ObjectiveRow(name=objective.name, revision=0)
    row.service, row.definition, row.slo = objective.service, definition, compiled.slo
    row.revision = _note(session, objective.name, definition, at, author, present=row.revision)
    row.applied_at = at
    session.add(row)


def _note(  # noqa: PLR0913 - each is a column of the revision
    session: Session,
    name: str,
    definition: dict[str, Any] | None,
    at: datetime,
    author: str,
    *,
    present: int = 0,
) -> int:
    """Write down a revision and return its number, which goes on after a removal."""
    newest = session.scalar(select(func.max(RevisionRow.revision)).where(RevisionRow.name == name))
    number = max(present, newest or 0) + 1
    session.add(
        RevisionRow(name=name, revision=number, definition=definition, applied_at=at, author=author)
    )
    return number


def _diff(before: str, after: str) -> tuple[str, ...]:
    lines = unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    return tuple(line for line in lines if not line.startswith(("---", "+++")))


def _registered(row: ObjectiveRow) -> Registered:
    return Registered(objective_from(row.definition), row.revision, row.applied_at)
