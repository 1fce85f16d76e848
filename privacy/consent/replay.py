"""Past decisions made again, from the ledger alone: with what was on record then.

Three records are read as of that moment: the acts, the policy, and who was linked with whom.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from candor.kernel.decision_ports import DecisionRecord
from privacy.consent import store
from privacy.consent.act import ConsentEvent
from privacy.consent.decision import Decision, Question, decide
from privacy.consent.register import PolicyRegister
from privacy.consent.standing import Standings, folded, standing_of
from privacy.subjects.history import linked_at


def decision_at(
    session: Session,
    policies: PolicyRegister,
    subject_key: str,
    question: Question,
    moment: datetime,
) -> tuple[Decision, tuple[str, ...]]:
    """Return what was to be answered at an instant, and the identifiers that were considered."""
    turn = store.current_turn(session)
    keys = linked_at(session, subject_key, moment)
    events = store.read_events(session, keys, upto=moment)
    policy = policies.history(turn.policy).at(moment)
    return decide(policy, standings_of(events), question, moment), keys


def decisions_again(
    session: Session,
    policies: PolicyRegister,
    records: Sequence[DecisionRecord],
    leaves_out: Callable[[ConsentEvent], bool] = lambda _: False,
) -> list[tuple[Decision, list[ConsentEvent]]]:
    """Return logged decisions made again from the ledger, in order, each by what it saw then.

    ``leaves_out`` names acts that are taken as if they had never been; beside each decision stand
    those that it went without. One reading of the ledger serves them all.
    """
    history = policies.history(store.current_turn(session).policy)
    keys = {key for record in records for key in (record.subject_key, *record.identifiers)}
    acts: dict[str, list[ConsentEvent]] = {}
    for event in store.read_events(session, sorted(keys)):
        acts.setdefault(event.act.subject_key, []).append(event)
    again = []
    for one in records:
        person = (one.subject_key, *one.identifiers)
        seen = [act for key in person for act in acts.get(key, ()) if act.turn <= one.ledger_turn]
        without = [act for act in seen if leaves_out(act)]
        kept = standings_of(act for act in seen if not leaves_out(act))
        policy = history.at_turn(one.ledger_turn)
        again.append((decide(policy, kept, question_of(one), one.at), without))
    return again


def record_of(row: Mapping[str, Any]) -> DecisionRecord:
    """Return a row of the log of decisions."""
    words = {name: tuple(row[name]) for name in ("identifiers", "jurisdictions", "obligations")}
    return DecisionRecord(**{**row, **words, "allow": bool(row["allow"]), "gpc": bool(row["gpc"])})


def question_of(record: DecisionRecord) -> Question:
    """Return what a logged decision answered."""
    return Question(
        record.purpose,
        record.channel,
        record.stage,  # type: ignore[arg-type]  # a question put it there
        record.jurisdictions,
        record.recipient or None,
        record.gpc,
    )


def standings_of(events: Iterable[ConsentEvent]) -> list[Standings]:
    """Return what stands of each identifier after acts in the order of their recording."""
    people: dict[str, Standings] = {}
    for event in events:
        key = event.act.subject_key
        people[key] = folded([standing_of(event)], people.get(key, ()))
    return list(people.values())
