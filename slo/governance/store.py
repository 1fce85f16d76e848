"""Reads and writes of corrections, annotations, policies and overrides."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, NotFoundError
from slo.correction import Correction
from slo.governance.annotation import Annotation
from slo.governance.tables import AnnotationRow, CorrectionRow, OverrideRow, PolicyRow
from slo.objective import Objective
from slo.policy import DEFAULT_POLICY, Override, Policy, Step

_MOST_ANNOTATIONS = 1000


@dataclass(frozen=True, slots=True)
class PutPolicy:
    """A policy, and who put it when."""

    policy: Policy
    author: str
    applied_at: datetime


def add_correction(session: Session, correction: Correction) -> None:
    """Keep a correction."""
    session.add(CorrectionRow(**asdict(correction)))


def undo_correction(session: Session, correction_id: str, author: str, at: datetime) -> Correction:
    """Take a correction back; it stays on the record.

    Raises:
        NotFoundError: none bears that id.
        ConflictError: it was undone before.
    """
    row = session.get(CorrectionRow, correction_id, with_for_update=True)
    if row is None:
        raise NotFoundError("No correction bears that id. `GET /api/v1/corrections` lists them.")
    if row.undone_at is not None:
        raise ConflictError("This correction was undone before. Make a new one to correct again.")
    row.undone_at, row.undone_by = at, author
    return _correction(row)


def all_corrections(session: Session) -> list[Correction]:
    """Return every correction that was ever made, newest first."""
    rows = session.scalars(
        select(CorrectionRow).order_by(CorrectionRow.created_at.desc(), CorrectionRow.id.desc())
    )
    return [_correction(row) for row in rows]


def corrections_of(session: Session, objective: Objective) -> list[Correction]:
    """Return the corrections in force that concern an objective."""
    rows = session.scalars(
        select(CorrectionRow).where(
            CorrectionRow.undone_at.is_(None),
            or_(CorrectionRow.objective == objective.name, CorrectionRow.objective.is_(None)),
        )
    )
    properties = objective.properties
    return [one for one in map(_correction, rows) if one.concerns(objective.name, properties)]


def corrections_by_objective(
    session: Session, objectives: Sequence[Objective]
) -> dict[str, list[Correction]]:
    """Return the corrections in force that concern each objective, by its name; one query."""
    rows = session.scalars(select(CorrectionRow).where(CorrectionRow.undone_at.is_(None)))
    named: dict[str | None, list[Correction]] = {}
    for row in rows:
        named.setdefault(row.objective, []).append(_correction(row))
    return {
        objective.name: [
            one
            for one in (*named.get(objective.name, ()), *named.get(None, ()))
            if one.concerns(objective.name, objective.properties)
        ]
        for objective in objectives
    }


def add_annotation(session: Session, annotation: Annotation) -> None:
    """Keep an annotation."""
    session.add(AnnotationRow(**asdict(annotation)))


def annotations_between(
    session: Session, since: datetime, until: datetime, service: str | None
) -> list[Annotation]:
    """Return at most 1,000 annotations that begin in ``[since, until)``, oldest first."""
    query = select(AnnotationRow).where(AnnotationRow.at >= since, AnnotationRow.at < until)
    if service is not None:
        query = query.where(AnnotationRow.service == service)
    rows = session.scalars(query.order_by(AnnotationRow.at).limit(_MOST_ANNOTATIONS))
    names = tuple(Annotation.__dataclass_fields__)
    return [Annotation(**{name: getattr(row, name) for name in names}) for row in rows]


def put_policy(session: Session, policy: Policy, author: str, at: datetime) -> PutPolicy:
    """Keep a policy under its name, in place of an earlier one."""
    row = session.get(PolicyRow, policy.name) or PolicyRow(name=policy.name)
    row.service, row.owner, row.author, row.applied_at = policy.service, policy.owner, author, at
    row.steps = [
        {"below": str(step.below), "decision": step.decision, "text": step.text}
        for step in policy.steps
    ]
    session.add(row)
    return PutPolicy(policy, author, at)


def remove_policy(session: Session, name: str) -> PutPolicy:
    """Take a policy away, and return what it was.

    Raises:
        NotFoundError: none bears that name.
    """
    row = session.scalar(delete(PolicyRow).where(PolicyRow.name == name).returning(PolicyRow))
    if row is None:
        raise NotFoundError("No policy bears that name. `GET /api/v1/policies` lists them.")
    return _put_policy(row)


def all_policies(session: Session) -> list[PutPolicy]:
    """Return every policy, by name."""
    return [_put_policy(row) for row in session.scalars(select(PolicyRow).order_by(PolicyRow.name))]


def policy_for(session: Session, service: str) -> Policy:
    """Return the policy of a service: its own, else the one for all services, else the default.

    Of several, the one that was put last.
    """
    rows = session.scalars(
        select(PolicyRow)
        .where(or_(PolicyRow.service == service, PolicyRow.service.is_(None)))
        .order_by(PolicyRow.applied_at.desc(), PolicyRow.name)
    )
    policies = sorted(map(_policy, rows), key=lambda one: one.service is None)
    return policies[0] if policies else DEFAULT_POLICY


def add_override(session: Session, override: Override) -> None:
    """Keep an override."""
    session.add(OverrideRow(**asdict(override)))


def undo_override(session: Session, override_id: str, author: str, at: datetime) -> Override:
    """Take an override back; it stays on the record.

    Raises:
        NotFoundError: none bears that id.
        ConflictError: it was undone before, or has expired.
    """
    row = session.get(OverrideRow, override_id, with_for_update=True)
    if row is None:
        raise NotFoundError("No override bears that id. `GET /api/v1/gate/overrides` lists them.")
    if not _override(row).holds(at):
        raise ConflictError("This override is not in force any more: it was undone, or expired.")
    row.undone_at, row.undone_by = at, author
    return _override(row)


def all_overrides(session: Session, service: str | None = None) -> list[Override]:
    """Return every override that was ever made, newest first."""
    query = select(OverrideRow).order_by(OverrideRow.created_at.desc(), OverrideRow.id.desc())
    if service is not None:
        query = query.where(OverrideRow.service == service)
    return [_override(row) for row in session.scalars(query)]


def _override(row: OverrideRow) -> Override:
    names = tuple(Override.__dataclass_fields__)
    return Override(**{name: getattr(row, name) for name in names})


def _correction(row: CorrectionRow) -> Correction:
    names = tuple(Correction.__dataclass_fields__)
    return Correction(**{name: getattr(row, name) for name in names})


def _put_policy(row: PolicyRow) -> PutPolicy:
    return PutPolicy(_policy(row), row.author, row.applied_at)


def _policy(row: PolicyRow) -> Policy:
    steps = tuple(Step(Fraction(one["below"]), one["decision"], one["text"]) for one in row.steps)
    return Policy(row.name, row.service, row.owner, steps)
