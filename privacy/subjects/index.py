"""The subject index on the state store.

Writers take turns, one transaction each, whatever process they are in; reading waits for nobody.
Most of what telemetry says is known already, so it is looked up before a turn is taken.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError
from candor.kernel.ports import Identifier, Link, Provenance
from privacy.audit.store import Entry, append
from privacy.subjects import store
from privacy.subjects.components import Pair, Persons, pair_of
from privacy.subjects.tables import SubjectLinkRow


@dataclass(frozen=True, slots=True)
class Act:
    """One entry of the record: who said what of which identifiers."""

    action: str
    identifiers: tuple[Identifier, ...]
    source: str
    door: str
    call: str
    at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """The identifiers of one person by key, and the record of them, oldest act first."""

    identifiers: tuple[Identifier, ...]
    acts: tuple[Act, ...]


class StoredSubjectIndex:
    """Keeps links in the state store. Safe to share between threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def link(self, identifiers: Sequence[Identifier], provenance: Provenance) -> None:
        """Say that identifiers are of one person; saying it again adds nothing."""
        self.link_all([Link(tuple(identifiers), provenance)])

    def link_all(self, links: Sequence[Link]) -> None:
        """Say what many acts said, all of it or nothing."""
        with session_of(self._engine) as session:
            if not _news(session, links).is_any:
                return
        with session_of(self._engine) as session:
            turn = store.take_turn(session)
            _write(session, turn, _news(session, links))

    def unlink(
        self, identifier: Identifier, provenance: Provenance, other: Identifier | None = None
    ) -> None:
        """Take an identifier from its person, or the link to ``other`` alone; again adds nothing.

        Raises:
            ConflictError: no act linked it with ``other``.
        """
        with session_of(self._engine) as session:
            turn = store.take_turn(session)
            if other is None:
                _set_apart(session, turn, identifier, provenance)
            else:
                _part(session, turn, identifier, other, provenance)

    def restore(
        self, acts: Iterable[Act], apart: Sequence[Identifier], at: datetime, by: str
    ) -> int:
        """Take over the record of another installation, and return how many pairs were unknown.

        ``acts`` are its linkings and unlinkings, each of two, oldest first: of a pair the last
        counts. What is known here of a pair or an identifier stays, so again adds nothing.
        """
        links: dict[Pair, Act] = {}
        parted: dict[Pair, Act] = {}
        for act in acts:
            pair = pair_of(*(one.subject_key for one in act.identifiers))
            if act.action == store.LINK:
                links[pair] = act
                parted.pop(pair, None)
            else:
                parted[pair] = act
        with session_of(self._engine) as session:
            turn = store.take_turn(session)
            known = store.known_subjects(session, (one.subject_key for one in apart))
            strangers = [one for one in apart if one.subject_key not in known]
            news = _news(session, [_restored(act, at) for act in links.values()])
            _write(session, turn, news)
            for pair in parted.keys() & news.links.keys():
                one, other = parted[pair].identifiers
                _part(session, turn, one, other, _restored(parted[pair], at).provenance)
            for one in strangers:
                _set_apart(session, turn, one, Provenance(by, "import", "unlink", at, at))
            if news.links or strangers:
                counts = {"by": by, "pairs": len(news.links), "apart": len(strangers)}
                append(session, [Entry("subject.import", at, counts)])
        return len(news.links)

    def linked(self, subject_key: str) -> tuple[str, ...]:
        """Return every subject key of the person, itself among them, in order."""
        with session_of(self._engine) as session:
            found = store.siblings(session, subject_key)
        return tuple(one.subject_key for one in found) or (subject_key,)

    def person(self, identifier: Identifier) -> Person:
        """Return the person that an identifier is of; a stranger has that one and no record."""
        with session_of(self._engine) as session:
            found = tuple(store.siblings(session, identifier.subject_key)) or (identifier,)
            rows = store.read_record(session, [one.subject_key for one in found])
            acts = tuple(act_of(row) for row in rows)
        return Person(found, acts)


def _restored(act: Act, at: datetime) -> Link:
    return Link(act.identifiers, Provenance(act.source, act.door, act.call, act.at, at))


@dataclass(slots=True)
class _News:
    """What links say that the index does not know yet, each thing with who said it first."""

    links: dict[Pair, Provenance] = field(default_factory=dict)
    groups: dict[tuple[str, str], Provenance] = field(default_factory=dict)
    identifiers: dict[str, Identifier] = field(default_factory=dict)
    subjects: dict[str, tuple[str, bool]] = field(default_factory=dict)
    pairs: dict[Pair, bool] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.links or self.groups)

    def told(
        self, one: str, other: str, by: Provenance
    ) -> tuple[Identifier, Identifier, Provenance]:
        """Return an entry for the record."""
        return self.identifiers[one], self.identifiers[other], by


def act_of(row: SubjectLinkRow) -> Act:
    """Return an entry of the record."""
    identifiers: tuple[Identifier, ...] = (Identifier(row.subject_type, row.subject_key),)
    if row.other_type is not None and row.other_key is not None:
        identifiers += (Identifier(row.other_type, row.other_key),)
    return Act(row.action, identifiers, row.source, row.door, row.call, row.at, row.received_at)


@dataclass(slots=True)
class _Said:
    """What links say, each thing with who said it first; a decision is a thing of its own."""

    identifiers: dict[str, Identifier] = field(default_factory=dict)
    pairs: dict[tuple[Pair, bool], Provenance] = field(default_factory=dict)
    groups: dict[tuple[str, str], Provenance] = field(default_factory=dict)

    def add(self, link: Link) -> None:
        """Take in one more act."""
        by = link.provenance
        keys = list(dict.fromkeys(one.subject_key for one in link.identifiers))
        self.identifiers |= {one.subject_key: one for one in link.identifiers}
        for one, other in combinations(keys, 2):
            self.pairs.setdefault((pair_of(one, other), by.decided), by)
        if link.group is not None:
            self.identifiers[link.group.subject_key] = link.group
            for key in keys:
                self.groups.setdefault((key, link.group.subject_key), by)

    def named(self) -> list[str]:
        """Return the keys of all persons that are spoken of."""
        linked = {key for pair, _ in self.pairs for key in pair}
        return sorted(linked | {key for key, _ in self.groups})


def _news(session: Session, links: Sequence[Link]) -> _News:
    said = _Said()
    for link in links:
        said.add(link)
    news = _News(
        identifiers=said.identifiers,
        subjects=store.known_subjects(session, said.named()),
        pairs=store.known_pairs(session, dict.fromkeys(pair for pair, _ in said.pairs)),
    )
    for (pair, decided), by in said.pairs.items():
        is_apart = any(_is_apart(news, key) for key in pair)
        known = news.pairs.get(pair)
        if (decided and (not known or is_apart)) or (known is None and not is_apart):
            news.links[pair] = by
    groups = store.known_groups(session, said.groups)
    news.groups = {one: by for one, by in said.groups.items() if one not in groups}
    return news


def _is_apart(news: _News, key: str) -> bool:
    return news.subjects.get(key, ("", False))[1]


def _write(session: Session, turn: int, news: _News) -> None:
    persons = Persons((key, person) for key, (person, _) in news.subjects.items())
    for low, high in news.links:
        persons.join(low, high)
    named = dict.fromkeys(
        [*(key for pair in news.links for key in pair), *(k for k, _ in news.groups)]
    )
    fresh = [key for key in named if key not in news.subjects]
    store.add_subjects(session, ((news.identifiers[key], persons.person_of(key)) for key in fresh))
    before = {person for person, _ in news.subjects.values()}
    store.rename_persons(
        session,
        {one: persons.person_of(one) for one in sorted(before) if persons.person_of(one) != one},
    )
    for pair, provenance in news.links.items():
        if provenance.decided:
            for key in pair:
                store.set_apart(session, key, apart=False)
        if pair in news.pairs:
            store.turn_pair(session, pair, in_force=True)
    store.add_pairs(session, (pair for pair in news.links if pair not in news.pairs))
    store.add_groups(session, news.groups)
    store.write_record(
        session, turn, store.LINK, (news.told(*pair, by) for pair, by in news.links.items())
    )
    store.write_record(
        session, turn, store.JOIN, (news.told(*one, by) for one, by in news.groups.items())
    )


def _set_apart(session: Session, turn: int, identifier: Identifier, provenance: Provenance) -> None:
    key = identifier.subject_key
    person, apart = store.known_subjects(session, [key]).get(key, (None, False))
    if apart:
        return
    if person is None:
        store.add_subjects(session, [(identifier, key)])
    store.set_apart(session, key, apart=True)
    types = {one.subject_key: one for one in store.members(session, person)} if person else {}
    pairs = store.pairs_of(session, [key])
    for pair in pairs:
        store.turn_pair(session, pair, in_force=False)
    others: list[Identifier | None] = [types[low if high == key else high] for low, high in pairs]
    store.write_record(
        session, turn, store.UNLINK, ((identifier, other, provenance) for other in others or [None])
    )
    if person is not None:
        _derive(session, person)


def _part(
    session: Session, turn: int, identifier: Identifier, other: Identifier, provenance: Provenance
) -> None:
    pair = pair_of(identifier.subject_key, other.subject_key)
    in_force = store.known_pairs(session, [pair]).get(pair)
    if in_force is None:
        raise ConflictError(
            "No act linked these two directly. Look at the links, and unlink one of those between."
        )
    if in_force:
        person, _ = store.known_subjects(session, [pair[0]])[pair[0]]
        store.turn_pair(session, pair, in_force=False)
        store.write_record(session, turn, store.UNLINK, [(identifier, other, provenance)])
        _derive(session, person)


def _derive(session: Session, person: str) -> None:
    """Find what a person falls apart into after a link of it was taken back."""
    keys = [one.subject_key for one in store.members(session, person)]
    persons = Persons()
    for low, high in store.pairs_of(session, keys):
        persons.join(low, high)
    moved = {key: persons.person_of(key) for key in keys if persons.person_of(key) != person}
    store.place_subjects(session, moved)
