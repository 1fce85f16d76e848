"""The only way of PII protection to the state store."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from candor.kernel.errors import NotFoundError
from privacy.pii.policy import Policy, policy_of
from privacy.pii.tables import PiiFindingRow, PiiPolicyRow

State = Literal["open", "accepted", "false_positive"]


class CountedSighting(Protocol):
    """One kind of personal data at one place, as often as it was seen since the last write."""

    source: str
    path: str
    entity: str
    action: str
    recognizer: str
    score: float
    sample: str
    policy: str
    policy_version: int
    first_seen: datetime
    last_seen: datetime
    count: int

    @property
    def id(self) -> str:
        """What makes it the same sighting."""


Seen = TypeVar("Seen", bound=CountedSighting)


def latest_policy(session: Session, name: str) -> Policy | None:
    """Return the newest version of a policy."""
    row = session.scalars(
        select(PiiPolicyRow)
        .where(PiiPolicyRow.name == name)
        .order_by(PiiPolicyRow.version.desc())
        .limit(1)
    ).first()
    return None if row is None else policy_of(row.name, row.version, json.loads(row.definition))


def latest_version(session: Session, name: str) -> int:
    """Return the number of the newest version of a policy; 0 when none was stored."""
    found = select(func.max(PiiPolicyRow.version)).where(PiiPolicyRow.name == name)
    return session.scalars(found).one() or 0


def add_policy(session: Session, policy: Policy, author: str, at: datetime) -> None:
    """Store a version of a policy."""
    session.add(
        PiiPolicyRow(
            name=policy.name,
            version=policy.version,
            definition=json.dumps(policy.definition()),
            author=author,
            created_at=at,
        )
    )
    session.flush()


def count_findings(session: Session, seen: Sequence[Seen]) -> list[Seen]:
    """Add sightings to what is stored; return those whose place and kind are new."""
    return [one for one in seen if not _is_counted(session, one) and _is_added(session, one)]


def find_findings(
    session: Session, state: State | None, source: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return findings, the latest first."""
    query = select(PiiFindingRow).order_by(PiiFindingRow.last_seen.desc(), PiiFindingRow.id)
    if state is not None:
        query = query.where(PiiFindingRow.state == state)
    if source is not None:
        query = query.where(PiiFindingRow.source == source)
    return [_document(row) for row in session.scalars(query.limit(limit))]


def triage_finding(  # noqa: PLR0913, PLR0917 - each is a column
    session: Session, finding_id: str, state: State, reason: str, author: str, at: datetime
) -> Mapping[str, Any]:
    """Write down what somebody decided about a finding, and return it.

    Raises:
        NotFoundError: there is none of that id.
    """
    session.execute(
        update(PiiFindingRow)
        .where(PiiFindingRow.id == finding_id)
        .values(state=state, reason=reason, triaged_by=author, triaged_at=at)
    )
    row = session.get(PiiFindingRow, finding_id)
    if row is None:
        raise NotFoundError("No finding bears that id.")
    return _document(row)


def _is_counted(session: Session, one: CountedSighting) -> bool:
    """Add to the entry of a sighting, if it has one."""
    done = session.execute(
        update(PiiFindingRow)
        .where(PiiFindingRow.id == one.id)
        .values(
            seen=PiiFindingRow.seen + one.count,
            last_seen=one.last_seen,
            action=one.action,
            policy=one.policy,
            policy_version=one.policy_version,
        )
        .execution_options(synchronize_session=False)
        .returning(PiiFindingRow.id)
    )
    return done.first() is not None


def _is_added(session: Session, one: CountedSighting) -> bool:
    """Make the entry of a sighting; another process may have made it a moment ago."""
    try:
        with session.begin_nested():
            session.execute(
                insert(PiiFindingRow).values(
                    id=one.id,
                    source=one.source[:200],
                    path=one.path,
                    entity=one.entity,
                    action=one.action,
                    recognizer=one.recognizer,
                    score=one.score,
                    sample=one.sample,
                    policy=one.policy,
                    policy_version=one.policy_version,
                    seen=one.count,
                    first_seen=one.first_seen,
                    last_seen=one.last_seen,
                    state="open",
                    reason="",
                    triaged_by="",
                )
            )
    except IntegrityError:
        _is_counted(session, one)
        return False
    return True


def _document(row: PiiFindingRow) -> dict[str, Any]:
    names = [column.key for column in PiiFindingRow.__table__.columns]
    told = {name: getattr(row, name) for name in names}
    told["count"] = told.pop("seen")
    return told
