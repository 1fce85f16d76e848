"""Who was linked with whom at some moment of the past, from the record of acts alone."""

from datetime import datetime

from sqlalchemy.orm import Session

from privacy.subjects import store
from privacy.subjects.components import Pair, Persons, pair_of


def linked_at(session: Session, subject_key: str, moment: datetime) -> tuple[str, ...]:
    """Return every subject key of the person at an instant, that one among them, in order.

    Cost: reads the record of everybody who was ever linked with the person.
    """
    keys = {subject_key}
    asked: set[str] = set()
    pairs: dict[Pair, bool] = {}
    while fresh := sorted(keys - asked):
        asked |= set(fresh)
        for act in store.read_record(session, fresh):
            if act.other_key is None or act.action == store.JOIN:
                continue
            keys |= {act.subject_key, act.other_key}
    for act in store.read_record(session, sorted(keys)):
        if act.other_key is None or act.action == store.JOIN or act.received_at > moment:
            continue
        pairs[pair_of(act.subject_key, act.other_key)] = act.action == store.LINK
    persons = Persons(pair for pair, in_force in pairs.items() if in_force)
    person = persons.person_of(subject_key)
    return tuple(sorted(key for key in keys if persons.person_of(key) == person))
