"""The ledger: acts are appended with their provenance, and never overwritten.

What stands of a person follows from the ledger in the same transaction, so that whoever reads it
sees the last act that was committed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.ids import new_id
from privacy.audit.store import Entry, append
from privacy.consent import store
from privacy.consent.act import (
    YES,
    Act,
    Action,
    ConsentEvent,
    MissingElementError,
    check_act,
)
from privacy.consent.notice import Notice
from privacy.consent.policy import Policy
from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.register import PolicyRegister
from privacy.consent.standing import Standings, counts_at, folded, standing_of

MOST_AHEAD = timedelta(minutes=5)
"""By how much the clock of whoever sends a yes may be ahead of ours."""
_ACT_FIELDS = tuple(one.name for one in fields(Act))


@dataclass(frozen=True, slots=True)
class Recorded:
    """An act on record, and its entry in the audit log: the place there, and what was hashed."""

    event: ConsentEvent
    audit_index: int
    content: str


Choose = Callable[[Policy, Mapping[str, Standings]], Sequence[Act]]
"""Makes acts of the policy and of what stands of some identifiers."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row of an import that was not taken: its number from 0, and why."""

    row: int
    code: str
    path: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How another ledger holds an act: its id there, what was shown, and when a yes began."""

    id: str
    notice_digest: str | None
    starts_at: datetime


class ImportRow(NamedTuple):
    """One row of an import: its number, the act, and how it was held if a ledger exported it."""

    number: int
    act: Act
    elsewhere: Elsewhere | None = None


@dataclass(slots=True)
class ImportReport:
    """What became of the rows of an import; ``repeated`` are on record already."""

    recorded: int = 0
    repeated: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Appends to the ledger. Each call must be the first of its transaction."""

    policies: PolicyRegister

    def record(self, session: Session, act: Act, at: datetime, by: str) -> Recorded:
        """Append one act and return it as it is on record.

        Raises:
            MissingElementError: it lacks what makes it valid; that is named.
        """
        turn = store.take_turn(session)
        policy = self.policies.policy(turn.policy)
        _check(act, policy, at)
        (recorded,) = _append(session, turn, policy, [(act, None)], at, by)
        return recorded

    def record_once(  # noqa: PLR0913, PLR0917 - an act, its key, and how to answer it
        self,
        session: Session,
        act: Act,
        at: datetime,
        by: str,
        key: str,
        answer: Callable[[Recorded], str],
        same_as: Act,
    ) -> str:
        """Append one act unless a request with this key did so, and return the answer to either.

        ``same_as`` is the act in a form that is equal when the request is.

        Raises:
            ConflictError: the key came with another act.
            MissingElementError: as ``record``.
        """
        turn = store.take_turn(session)
        key_digest = _digest([by, key])
        body_digest = _act_digest(same_as)
        known = store.find_request(session, key_digest)
        if known is not None:
            if known[0] != body_digest:
                raise ConflictError(
                    "This Idempotency-Key came with another act before. Use a new key for a new"
                    " act."
                )
            return known[1]
        policy = self.policies.policy(turn.policy)
        _check(act, policy, at)
        (recorded,) = _append(session, turn, policy, [(act, None)], at, by)
        told = answer(recorded)
        store.add_request(session, key_digest, body_digest, told, at)
        return told

    def record_chosen(
        self, session: Session, keys: Sequence[str], choose: Choose, at: datetime, by: str
    ) -> list[Recorded]:
        """Append the acts that follow from the policy and from what stands of these identifiers.

        Nobody else writes to the ledger between the two, so ``choose`` sees what is the latest.

        Raises:
            MissingElementError: as ``record``; nothing is appended then.
        """
        turn = store.take_turn(session)
        policy = self.policies.policy(turn.policy)
        acts = choose(policy, store.read_standings(session, keys))
        for act in acts:
            _check(act, policy, at)
        return _append(session, turn, policy, [(act, None) for act in acts], at, by)

    def bring_in(  # noqa: PLR0913 - the rows, whose, and when
        self,
        session: Session,
        rows: Iterable[ImportRow],
        report: ImportReport,
        *,
        at: datetime,
        by: str,
        dry_run: bool = False,
    ) -> None:
        """Append the acts of numbered rows that are valid and not on record, and say so of each.

        The same act counts once, however often it is imported. With ``dry_run`` nothing is stored.
        """
        turn = store.take_turn(session)
        policy = self.policies.policy(turn.policy)
        keyed = [(_act_digest(row.act), row) for row in rows]
        known = store.known_repeats(session, {key for key, _ in keyed})
        ours = store.known_events(session, (one.elsewhere.id for _, one in keyed if one.elsewhere))
        fresh: dict[str, Act] = {}
        for key, (number, act, elsewhere) in keyed:
            if key in known or key in fresh or (elsewhere is not None and elsewhere.id in ours):
                report.repeated += 1
                continue
            try:
                _check(act, policy, at)
                _check_same(act, policy, elsewhere)
            except InvalidInputError as error:
                report.refused.append(RefusedRow(number, error.code, error.path, error.detail))
            else:
                fresh[key] = act
        report.recorded += len(fresh)
        if fresh and not dry_run:
            _append(session, turn, policy, [(act, key) for key, act in fresh.items()], at, by)

    def bar(  # noqa: PLR0913, PLR0917 - who is barred, how, why and when
        self, session: Session, identifiers: Mapping[str, str], action: Action, reason: str,
        at: datetime, by: str,
    ) -> list[ConsentEvent]:  # fmt: skip
        """Suppress or restrict a person, or end that: ``identifiers`` are types by subject key.

        A suppressed person is not to be brought back after an erasure; a restricted one is stored
        only. Both stand above whatever the person allowed.
        """
        turn = store.take_turn(session)
        policy = self.policies.policy(turn.policy)
        acts = [
            Act(key, type_, EVERY_PURPOSE, action, at, "api", evidence=reason)
            for key, type_ in identifiers.items()
        ]
        told = _append(session, turn, policy, [(act, None) for act in acts], at, by)
        return [one.event for one in told]


def rebuilt_standings(session: Session) -> dict[str, Standings]:
    """Return what stands of everybody by the ledger alone; it equals what is stored."""
    standings: dict[str, Standings] = {}
    for event in store.all_events(session):
        key = event.act.subject_key
        standings[key] = folded([standing_of(event)], standings.get(key, ()))
    return standings


def _check(act: Act, policy: Policy, now: datetime) -> None:
    """Return when an act may be recorded now.

    Raises:
        MissingElementError: as ``check_act``, or a yes that nobody can have said yet.
    """
    check_act(act, policy.purposes.get(act.purpose), policy.notices.get(act.notice or ""))
    if act.action in YES and act.at > now + MOST_AHEAD:
        minutes = MOST_AHEAD // timedelta(minutes=1)
        raise MissingElementError(
            f"Nobody can have said yes more than {minutes} minutes from now: send the time at which"
            " it was said, and look at your clock.",
            path="at",
        )


def _check_same(act: Act, policy: Policy, elsewhere: Elsewhere | None) -> None:
    """Return when an act would be on record here as it is elsewhere.

    Raises:
        MissingElementError: the notice is another here, so that the person was not shown this one.
    """
    if elsewhere is None:
        return
    notice = policy.notices.get(act.notice or "")
    if (_starts_at(act, notice), _shown(act, notice)) != (
        elsewhere.starts_at,
        elsewhere.notice_digest,
    ):
        raise MissingElementError(
            "The notice of this key and version has another text or beginning here than where the"
            " act was recorded. Apply it as it was shown.",
            path="notice",
        )


def _append(  # noqa: PLR0913, PLR0917 - what is appended, and all that is stamped on it
    session: Session,
    turn: store.Turn,
    policy: Policy,
    acts: Sequence[tuple[Act, str | None]],
    at: datetime,
    by: str,
) -> list[Recorded]:
    known = store.read_standings(session, {act.subject_key for act, _ in acts})
    standings = dict(known)
    events = []
    for number, (act, _) in enumerate(acts):
        stands = standings.get(act.subject_key, ())
        timed = replace(act, at=counts_at(stands, act, at))
        event = _event(timed, turn, number, policy.notices.get(act.notice or ""), at, by)
        events.append(event)
        standings[act.subject_key] = folded([standing_of(event)], stands)
    entries = [_entry(event) for event in events]
    places = append(session, entries)
    store.add_events(session, events, [key for _, key in acts], places)
    store.write_standings(session, turn, standings, known)
    store.mark_served(session, [act.notice for act, _ in acts if act.notice is not None])
    return [
        Recorded(event, place, entry.content)
        for event, place, entry in zip(events, places, entries, strict=True)
    ]


def _entry(event: ConsentEvent) -> Entry:
    """Return what the audit log keeps of an act: pseudonyms, words, and digests of the rest."""
    act = event.act
    return Entry(
        "consent_event",
        event.recorded_at,
        {
            "id": event.id,
            "subject_key": act.subject_key,
            "purpose": act.purpose,
            "channel": act.channel,
            "action": act.action,
            "act_at": act.at.isoformat(),
            "source": act.source,
            "notice": act.notice,
            "notice_digest": event.notice_digest,
            "provenance_digest": _act_digest(act),
        },
    )


def _event(  # noqa: PLR0913, PLR0917 - as _append
    act: Act, turn: store.Turn, number: int, notice: Notice | None, at: datetime, by: str
) -> ConsentEvent:
    stamped = replace(act, actor=act.actor or by)
    starts_at, digest = _starts_at(act, notice), _shown(act, notice)
    return ConsentEvent(new_id(at), turn.number, number, stamped, starts_at, at, by, digest)


def _starts_at(act: Act, notice: Notice | None) -> datetime:
    if notice is None or notice.effective_from is None or act.action not in YES:
        return act.at
    return max(act.at, notice.effective_from)


def _shown(act: Act, notice: Notice | None) -> str | None:
    return None if notice is None else notice.digest(act.locale)


def _act_digest(act: Act) -> str:
    values = ((name, getattr(act, name)) for name in _ACT_FIELDS)
    return _digest({name: str(value) for name, value in values if value is not None})


def _digest(document: object) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
