"""The preferences of people, read from the state store and recorded there.

Whoever holds a link sees and changes what was said with the identifier that it was sent to. What
others said who are only linked with it counts in the answers, and is not shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.ports import SubjectIndex
from privacy.consent import store
from privacy.consent.act import Act, ConsentEvent
from privacy.consent.ledger import Ledger
from privacy.consent.link import Link
from privacy.consent.policy import Policy
from privacy.consent.preferences import SOURCE, Chosen, Offer, Outcome, Person, offers, outcome_of
from privacy.consent.standing import Standings

_LEARNT = date(2026, 11, 26)


@dataclass(frozen=True, slots=True)
class Asking:
    """How somebody asks: which languages the browser prefers, and whether it sends the signal."""

    languages: str = ""
    gpc: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """What was recorded, and the purposes that have to be shown anew first."""

    events: tuple[ConsentEvent, ...]
    outdated: tuple[str, ...]


class Preferences:
    """Shows and records what people choose. Safe to share between threads."""

    def __init__(
        self, engine: Engine, ledger: Ledger, subjects: SubjectIndex, clock: Clock
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._subjects = subjects
        self._clock = clock
        self._served: frozenset[str] = frozenset()

    def show(self, link: Link, asking: Asking) -> list[Offer]:
        """Return what the person can choose, and how it stands.

        The notices count as served before their texts are returned: they never change after that.
        """
        while True:
            found = self._offers(link, asking)
            shown = frozenset(one.shown.notice for one in found if one.shown is not None)
            if shown <= self._served:
                return found
            with session_of(self._engine) as session:
                store.take_turn(session)
                store.mark_served(session, shown - self._served)
            self._served |= shown

    def choose(self, link: Link, chosen: Chosen, asking: Asking) -> Saved:
        """Record what the person chose, all of it in one transaction, and return the acts."""
        now = self._clock()
        keys = self._subjects.linked(link.subject_key)
        outcomes: list[Outcome] = []

        def choose(policy: Policy, people: Mapping[str, Standings]) -> tuple[Act, ...]:
            person = Person(link, people)
            outcomes.append(
                outcome_of(policy, person, chosen, asking.languages, now, gpc=asking.gpc)
            )
            return outcomes[-1].acts

        with session_of(self._engine) as session:
            recorded = self._ledger.record_chosen(session, keys, choose, now, SOURCE)
        return Saved(tuple(one.event for one in recorded), outcomes[-1].outdated)

    def history(self, link: Link) -> list[ConsentEvent]:
        """Return the acts of the identifier that the link was sent to, newest last."""
        with session_of(self._engine) as session:
            events = store.read_events(session, [link.subject_key])
        return sorted(events, key=lambda one: (one.act.at, one.turn, one.number))

    def saved_with(self, link: Link, event_id: str) -> list[ConsentEvent]:
        """Return an act of this person and what was saved together with it; nothing of others."""
        events = self.history(link)
        turns = {one.turn for one in events if one.id == event_id}
        return [one for one in events if one.turn in turns]

    def purpose_name(self, key: str) -> str:
        """Return how a purpose is called for people; its key when there is no such purpose."""
        found = self._policy().purposes.get(key)
        return key if found is None else found.name

    def honours_signal(self) -> bool:
        """Whether a purpose that is in use honours Global Privacy Control."""
        now = self._clock()
        return any(
            one.honours_gpc and (one.retired_at is None or one.retired_at > now)
            for one in self._policy().purposes.values()
        )

    def signal_date(self) -> date:
        """Return since when Global Privacy Control is honoured as it is now.

        Which purposes honour it changes with the purposes; before there are any, it is the day on
        which Candor learnt it.
        """
        with session_of(self._engine) as session:
            turn = store.current_turn(session)
        changed = self._ledger.policies.history(turn.policy).changed_at
        return _LEARNT if changed is None else changed.date()

    def _policy(self) -> Policy:
        with session_of(self._engine) as session:
            turn = store.current_turn(session)
        return self._ledger.policies.policy(turn.policy)

    def _offers(self, link: Link, asking: Asking) -> list[Offer]:
        keys = self._subjects.linked(link.subject_key)
        with session_of(self._engine) as session:
            turn = store.current_turn(session)
            people = store.read_standings(session, keys)
        policy = self._ledger.policies.policy(turn.policy)
        person = Person(link, people)
        return offers(policy, person, asking.languages, self._clock(), gpc=asking.gpc)
