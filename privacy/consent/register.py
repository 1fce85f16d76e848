"""Purposes and notices: put, compared with what was there, and remembered without being stale."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, InvalidInputError, NotFoundError
from privacy.audit.store import Entry, append
from privacy.consent import store
from privacy.consent.notice import Notice
from privacy.consent.policy import Policy, PolicyHistory
from privacy.consent.purpose import EVERY_PURPOSE, Purpose, widening


class PolicyRegister:
    """The policy of one process. Safe to share between threads.

    Whoever asks says up to which turn the policy must be known, having read that number together
    with what is decided on: so what is remembered is never older than the decision.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._guard = Lock()
        self._known: tuple[int, PolicyHistory] = (0, PolicyHistory())

    def policy(self, policy_turn: int) -> Policy:
        """Return the policy that the transaction of this number left.

        Raises:
            UnavailableError: it has to be read, and cannot be.
        """
        known, history = self._known
        if known < policy_turn:
            history = self.history(policy_turn)
        return history.at_turn(policy_turn)

    def history(self, policy_turn: int) -> PolicyHistory:
        """Return every version up to that turn at least."""
        with self._guard:
            known, history = self._known
            if known >= policy_turn:
                return history
            with session_of(self._engine) as session:
                turn = store.current_turn(session)
                history = PolicyHistory(store.read_applied(session))
            self._known = (turn.policy, history)
            return history


@dataclass(frozen=True, slots=True)
class Change:
    """What putting something changes: by field, what it was and what it becomes.

    ``stale`` says for what earlier consent no longer holds.
    """

    kind: str
    name: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    is_new: bool = False
    stale: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether anything changes at all."""
        return self.is_new or bool(self.fields)


def put_all(
    session: Session,
    subjects: Sequence[Purpose | Notice],
    at: datetime,
    by: str,
    *,
    dry_run: bool = False,
) -> list[Change]:
    """Put purposes and notices, all or none, and return what changes, in their order.

    A notice may name a purpose that is put before it. With ``dry_run`` nothing is stored.

    Raises:
        ConflictError: a notice that was served would change.
        InvalidInputError: a notice names a purpose that does not exist.
    """
    turn = store.take_turn(session)
    policy = PolicyHistory(store.read_applied(session)).current
    purposes = dict(policy.purposes)
    changes = []
    for subject in subjects:
        if isinstance(subject, Purpose):
            if subject.key == EVERY_PURPOSE:
                raise InvalidInputError("'*' stands for every purpose and is none.", path="key")
            changes.append(purpose_change(purposes.get(subject.key), subject))
            purposes[subject.key] = subject
            if changes[-1].is_any and not dry_run:
                store.add_purpose(session, turn, subject, at, by)
                session.flush()
        else:
            changes.append(_put_notice(session, turn, subject, purposes, (at, by), dry_run=dry_run))
    if any(change.is_any for change in changes) and not dry_run:
        store.mark_policy(session, turn)
        append(session, [_entry(one, at, by) for one in changes if one.is_any])
    return changes


def _entry(change: Change, at: datetime, by: str) -> Entry:
    told = {"kind_of": change.kind, "name": change.name, "by": by, "is_new": change.is_new}
    return Entry("consent_policy", at, told | {"fields": sorted(change.fields)})


def serve_notice(session: Session, key: str, version: str) -> Notice:
    """Return a notice to somebody who will show it: from now on it never changes.

    Raises:
        NotFoundError: there is no such version.
    """
    found = store.find_notice(session, key, version)
    if found is None:
        raise NotFoundError("No notice bears that key and version.")
    applied, served = found
    if not isinstance(applied.subject, Notice):
        raise TypeError(type(applied.subject))
    if not served:
        store.mark_served(session, [applied.subject.reference])
    return applied.subject


def purpose_change(before: Purpose | None, after: Purpose) -> Change:
    """Return what putting a purpose changes."""
    if before is None:
        return Change("purpose", after.key, is_new=True)
    wider = widening(before, after)
    stale = [f"channel {one}" for one in wider.channels]
    stale += [f"recipient {one}" for one in wider.recipients]
    stale += [f"data category {one}" for one in wider.data_categories]
    stale += ["the longer time"] if wider.lasts_longer else []
    fields = _differences(before.definition(), after.definition())
    return Change("purpose", after.key, fields, stale=tuple(stale))


def _put_notice(  # noqa: PLR0913 - one notice, and all around it
    session: Session,
    turn: store.Turn,
    notice: Notice,
    purposes: dict[str, Purpose],
    stamp: tuple[datetime, str],
    *,
    dry_run: bool,
) -> Change:
    for number, key in enumerate(notice.purposes):
        if key not in purposes:
            raise InvalidInputError(
                "No purpose bears this key. Put the purpose before its notice.",
                path=f"purposes.{number}",
            )
    found = store.find_notice(session, notice.key, notice.version)
    before = found[0].subject.definition() if found else {}
    fields = _differences(before, notice.definition()) if found else {}
    if found and fields and found[1]:
        raise ConflictError(
            f"Notice {notice.reference} was served, so it never changes. Put the new text as"
            " another version."
        )
    if (fields or not found) and not dry_run:
        store.put_notice(session, turn, notice, *stamp)
        session.flush()
    return Change("notice", notice.reference, fields, is_new=not found)


def _differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    }
