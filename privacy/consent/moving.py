"""A whole ledger moves: all that decisions follow from, out of one installation and into another.

The file holds policies and acts in the order in which they were recorded, so that each act meets
the policy that it met, and before them who is who. Its first line names the key under which the
pseudonyms were made, and its last says how many lines there are: a no that is cut off would be lost
unseen.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.input_faults import invalid_input
from candor.kernel.secrets import Secrets
from privacy.audit.head import key_id, public_key
from privacy.consent import store
from privacy.consent.exported import exported_document
from privacy.consent.importing import import_rows, is_exported
from privacy.consent.ledger import Ledger
from privacy.consent.notice import Notice
from privacy.consent.policy import Applied
from privacy.consent.purpose import Purpose
from privacy.consent.register import put_all
from privacy.consent.schemas import ApplyBody
from privacy.subjects import store as subjects
from privacy.subjects.index import StoredSubjectIndex, act_of
from privacy.subjects.schemas import IdentifierIn, RecordedIn, act_document, identifier_document

_FORMAT = "candor consent ledger v1"
_KINDS = frozenset({"ledger", "link", "apart", "policy", "end"})
_BLOCK = 5000
_Model = TypeVar("_Model", bound=BaseModel)
Subject = Purpose | Notice


def exported_acts(session: Session, secrets: Secrets) -> Iterator[dict[str, Any]]:
    """Yield every act in the order of recording."""
    key = key_id(public_key(secrets.audit_seed))
    return (exported_document(one, key) for one in store.all_events(session))


def exported_whole(session: Session, secrets: Secrets) -> Iterator[dict[str, Any]]:
    """Yield all that decisions follow from, as ``bring_in_whole`` reads it."""
    count = 1
    for line in _lines(session, secrets):
        yield line
        count += 1
    yield {"kind": "end", "lines": count}


def is_whole(document: object) -> bool:
    """Whether a first line is that of a whole ledger."""
    return isinstance(document, dict) and document.get("kind") == "ledger"


@dataclass(slots=True)
class MoveReport:
    """What was new of a whole ledger; ``refused`` are the acts that were not taken, by line."""

    policies: int = 0
    links: int = 0
    recorded: int = 0
    repeated: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def bring_in_whole(  # noqa: PLR0913 - the lines, where they go, who says so and when
    engine: Engine,
    ledger: Ledger,
    secrets: Secrets,
    lines: Sequence[Any],
    *,
    at: datetime,
    by: str,
) -> MoveReport:
    """Append what a whole ledger holds and this one lacks; what was interrupted is done again.

    Raises:
        InvalidInputError: it is no whole ledger, or is cut off.
        ConflictError: it is of another master key, or purposes and notices came to stand otherwise
            here. Nothing is stored then.
    """
    _check_lines(lines, key_id(public_key(secrets.audit_seed)))
    groups = {number: _policy(number, line) for number, line in _of_kind(lines, "policy")}
    with session_of(engine) as session:
        known = [_named(one) for one in _applied(session)]
    told = [_named(one) for group in groups.values() for one in group]
    if known != told[: len(known)]:
        raise ConflictError(
            "Purposes and notices came to stand otherwise here than in the file, so that consent"
            " would reach elsewhere. Import a whole ledger into an installation without its own."
        )
    acts = [_read(RecordedIn, *one).act() for one in _of_kind(lines, "link")]
    apart = [_read(IdentifierIn, *one).identifier() for one in _of_kind(lines, "apart")]
    report = MoveReport(links=StoredSubjectIndex(engine).restore(acts, apart, at, by))
    left = len(known)
    for is_act, some in groupby(enumerate(lines, 1), key=lambda line: is_exported(line[1])):
        if is_act:
            _append(engine, ledger, secrets, some, report, (at, by))
            continue
        for group in (groups[number] for number, _ in some if number in groups):
            left -= len(group)
            if left < 0:
                with session_of(engine) as session:
                    changes = put_all(session, group, at, by)
                report.policies += sum(one.is_any for one in changes)
    return report


def _lines(session: Session, secrets: Secrets) -> Iterator[dict[str, Any]]:
    last = store.current_turn(session).number  # what comes meanwhile is left out, acts and policies
    yield {"kind": "ledger", "format": _FORMAT, "key_id": key_id(public_key(secrets.audit_seed))}
    for row in subjects.whole_record(session):
        if row.other_key is not None:
            yield {"kind": "link"} | act_document(act_of(row))
    for one in subjects.kept_apart(session):
        yield {"kind": "apart"} | identifier_document(one)
    groups = groupby(_applied(session), key=lambda one: one.turn)
    policies = ((turn, _policy_document(list(some))) for turn, some in groups)
    events = store.all_events(session)
    key = key_id(public_key(secrets.audit_seed))
    acts = ((event.turn, exported_document(event, key)) for event in events)
    for turn, line in merge(policies, acts, key=lambda one: one[0]):
        if turn <= last:
            yield line


def _applied(session: Session) -> list[Applied]:
    """Return every version, in the order in which it was put and then by name."""
    applied = store.read_applied(session)
    return sorted(applied, key=lambda one: (one.turn, *_named(one)[:2]))


def _named(one: Applied | Subject) -> tuple[bool, str, dict[str, Any]]:
    """Return what tells a version from others, purposes before notices."""
    subject = one.subject if isinstance(one, Applied) else one
    if isinstance(subject, Notice):
        return True, subject.reference, subject.definition()
    return False, subject.key, subject.definition()


def _policy_document(group: Sequence[Applied]) -> dict[str, Any]:
    named = [_named(one) for one in group]
    return {
        "kind": "policy",
        "at": group[0].at.isoformat(),
        "by": group[0].by,
        "purposes": {name: definition for is_notice, name, definition in named if not is_notice},
        "notices": {name: definition for is_notice, name, definition in named if is_notice},
    }


def _policy(number: int, line: dict[str, Any]) -> list[Subject]:
    named = {name: one for name, one in line.items() if name in {"purposes", "notices"}}
    return _read(ApplyBody, number, named).subjects()


def _check_lines(lines: Sequence[Any], key: str) -> None:
    """Return when lines are a whole ledger of this master key, from its beginning to its end."""
    for number, line in enumerate(lines, 1):
        if not is_exported(line) and not (isinstance(line, dict) and line.get("kind") in _KINDS):
            raise InvalidInputError(f"Line {number} is none of a ledger. Export it again.")
    if lines[0].get("format") != _FORMAT:
        raise InvalidInputError("The ledger is of a version that this one does not know.")
    if lines[-1] != {"kind": "end", "lines": len(lines)}:
        raise InvalidInputError(
            "The file does not end where the ledger did: acts would be missing. Export it again."
        )
    if lines[0].get("key_id") != key:
        raise ConflictError(
            "The ledger was written under another master key: its pseudonyms would be nobody's"
            " here. Start this installation with the master key file of that one."
        )


def _of_kind(lines: Sequence[Any], kind: str) -> list[tuple[int, dict[str, Any]]]:
    return [(number, line) for number, line in enumerate(lines, 1) if line.get("kind") == kind]


def _read(model: type[_Model], number: int, line: dict[str, Any]) -> _Model:
    try:
        return model.model_validate({name: line[name] for name in line if name != "kind"})
    except ValidationError as error:
        fault = invalid_input(error)
        raise InvalidInputError(f"Line {number}: {fault.detail}", path=fault.path) from None


def _append(  # noqa: PLR0913, PLR0917 - numbered rows, where they go, who says so and when
    engine: Engine,
    ledger: Ledger,
    secrets: Secrets,
    lines: Iterable[tuple[int, Any]],
    report: MoveReport,
    stamp: tuple[datetime, str],
) -> None:
    at, by = stamp
    stream = iter(lines)
    while some := list(islice(stream, _BLOCK)):
        rows = [line for _, line in some]
        with session_of(engine) as session:
            told = import_rows(
                session, ledger, rows, secrets, at=at, by=by, dry_run=False, takes_exported=True
            )
        report.recorded += told["recorded"]
        report.repeated += told["repeated"]
        report.refused += [one | {"row": some[one["row"] - 1][0]} for one in told["refused"]]
