"""Past decisions made again, from the ledger alone: with what was on record then.

Three records are read as of that moment: the acts, the policy, and who was linked with whom.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

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


def decision_again(  # noqa: PLR0913, PLR0917 - all that a decision depends on
    session: Session,
    policies: PolicyRegister,
    keys: Sequence[str],
    question: Question,
    ledger_turn: int,
    now: datetime,
) -> Decision:
    """Return the decision on these identifiers by what the ledger held after that turn."""
    turn = store.current_turn(session)
    events = store.read_events(session, keys, upto_turn=ledger_turn)
    policy = policies.history(turn.policy).at_turn(ledger_turn)
    return decide(policy, standings_of(events), question, now)


def standings_of(events: Iterable[ConsentEvent]) -> list[Standings]:
    """Return what stands of each identifier after acts in the order of their recording."""
    people: dict[str, Standings] = {}
    for event in events:
        key = event.act.subject_key
        people[key] = folded([standing_of(event)], people.get(key, ()))
    return list(people.values())
