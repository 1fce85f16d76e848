"""Puts subscribers, says what that changes, and lets them be told again."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, InvalidInputError
from privacy.audit.store import Entry, append
from privacy.consent.purpose import EVERY_PURPOSE, Purpose
from privacy.consent.store import current_turn, read_applied
from privacy.propagation import store
from privacy.propagation.lane import Waiting
from privacy.propagation.position import BEGINNING, Position, end_of
from privacy.propagation.subscriber import Subscriber, subscriber_of

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscriber to put; a secret that is none stays as it is, and ``start`` counts at first."""

    name: str
    definition: dict[str, Any]
    secret: str | None = field(default=None, repr=False)
    properties: dict[str, str | int | bool] | None = field(default=None, repr=False)
    start: str = "now"


@dataclass(frozen=True, slots=True)
class Change:
    """What putting a subscriber changes: by field, what it was and what it becomes.

    ``unknown`` are the purposes that nobody has put yet: of them it is told nothing.
    """

    name: str
    fields: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    is_new: bool = False
    unknown: tuple[str, ...] = ()

    @property
    def is_any(self) -> bool:
        """Whether anything changes at all."""
        return self.is_new or bool(self.fields)


def put_all(  # noqa: PLR0913 - what is put, and all that is stamped on it
    session: Session,
    key: bytes,
    wanted: Sequence[Wanted],
    at: datetime,
    by: str,
    *,
    dry_run: bool = False,
) -> list[Change]:
    """Put subscribers, all or none, and return what changes; with ``dry_run`` keep nothing.

    Raises:
        InvalidInputError: one is none; its place is named.
    """
    changes = []
    applied = (one.subject for one in read_applied(session))
    known = {EVERY_PURPOSE} | {one.key for one in applied if isinstance(one, Purpose)}
    for one in wanted:
        before, opens = _before(session, key, one)
        after = _subscriber(one, before)
        unknown = tuple(key for key in after.purposes if key not in known)
        change = _change(before, after) if opens else _mended(after)
        changes.append(replace(change, unknown=unknown))
        if changes[-1].is_any and not dry_run:
            start = _start(session, one.start)
            store.put(session, key, after, start, at, by)
            session.flush()
    if not dry_run:
        append(session, [_entry("put", one.name, at, by) for one in changes if one.is_any])
    return changes


def remove(session: Session, name: str, at: datetime, by: str) -> None:
    """Forget a subscriber.

    Raises:
        NotFoundError: nobody bears that name.
    """
    store.known(session, name)
    store.remove(session, name)
    append(session, [_entry("removed", name, at, by)])


def replay(session: Session, name: str, position: Position, at: datetime, by: str) -> None:
    """Let a subscriber be told again of everything from a place of the ledger on.

    Raises:
        NotFoundError: nobody bears that name.
        ConflictError: the ledger does not reach that far.
    """
    store.known(session, name)
    if position.turn > current_turn(session).number + 1:
        raise ConflictError("The ledger does not reach that far yet.")
    store.move(session, name, position, at)
    append(session, [_entry("replayed", name, at, by)])


def revive(session: Session, name: str, at: datetime, by: str) -> int:
    """Try what was given up again, and return how many acts that were.

    Each person is told anew from the oldest of theirs on, so that the order stays.

    Raises:
        NotFoundError: nobody bears that name.
    """
    store.known(session, name)
    store.hold(session, name)
    revived = 0
    while dead := store.dead_letters(session, name, BEGINNING, _PAGE):
        for one in dead:
            known = store.waiting_of(session, name, one.subject_key)
            if known is None or known.position > one.position:
                waiting = Waiting(one.subject_key, one.position, 0, at, "")
                store.keep_waiting(session, name, waiting)
                session.flush()
        store.forget_dead(session, name, [one.position for one in dead])
        revived += len(dead)
    append(session, [_entry("revived", name, at, by)])
    return revived


def _before(session: Session, key: bytes, wanted: Wanted) -> tuple[Subscriber | None, bool]:
    """Return the subscriber that is put anew, if there is one, and whether what is stored opens.

    Raises:
        CandorError: it does not, and no secrets are said in its place.
    """
    try:
        known = store.find(session, key, wanted.name)
    except (ConflictError, InvalidInputError):
        if wanted.secret is None and wanted.properties is None:
            raise
        return None, False
    return (known[0] if known else None), True


def _mended(after: Subscriber) -> Change:
    return Change(after.name, {"secrets": ("unreadable", "sealed anew")})


def _subscriber(wanted: Wanted, before: Subscriber | None) -> Subscriber:
    """Return what is put; of a secret that is not said, the one that is known stays.

    That is only where it goes to whom it was meant for: whoever may change an address learns
    nothing that was sealed.

    Raises:
        InvalidInputError: the secrets must be said again; or it is no subscriber.
    """
    known: dict[str, Any] = {"secret": "", "properties": {}}
    if before is not None and before.is_same_receiver(wanted.definition):
        known = before.secrets()
    elif before is not None and wanted.secret is None and wanted.properties is None:
        raise InvalidInputError(
            "The receiver is another. Say its secret again (webhook.secret), or its properties"
            " (kafka.properties, {} for none).",
            path="webhook.secret" if wanted.definition.get("webhook") else "kafka.properties",
        )
    said = {"secret": wanted.secret, "properties": wanted.properties}
    given = {name: value for name, value in said.items() if value is not None}
    return subscriber_of(wanted.name, wanted.definition, known | given)


def _change(before: Subscriber | None, after: Subscriber) -> Change:
    """Return what changes; of secrets it is only told that they do."""
    if before is None:
        return Change(after.name, is_new=True)
    old, new = before.definition(), after.definition()
    fields = {
        name: (old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    }
    if before.secrets() != after.secrets():
        fields["secrets"] = ("sealed", "sealed anew")
    return Change(after.name, fields)


def _start(session: Session, start: str) -> Position:
    if start == "beginning":
        return BEGINNING
    return end_of(current_turn(session).number)


def _entry(what: str, name: str, at: datetime, by: str) -> Entry:
    return Entry("consent_subscriber", at, {"what": what, "name": name, "by": by})
