"""Serves one subscriber: reads on in the ledger, sends, and writes down how far it came.

What was sent is written down after it was taken: a process that dies in between sends it again. Who
moved the cursor, or the place of a person who waits, meanwhile wins, and what was sent then is sent
again as well.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy.orm import Session

from candor.kernel.backoff import pause_after
from candor.kernel.database import session_of
from candor.kernel.ports import Original
from candor.kernel.services import Services
from privacy.consent.act import ConsentEvent
from privacy.consent.store import events_after, read_events
from privacy.propagation import store
from privacy.propagation.change import change_event, place_of
from privacy.propagation.lane import Lane, Sent, settled
from privacy.propagation.position import Position
from privacy.propagation.sealing import USE
from privacy.propagation.store import Progress
from privacy.propagation.subscriber import Subscriber
from privacy.propagation.targets import Message, Target, open_target

_PAGE = 200
_PROBE = 5
_LANE = 100
_FAILURES_THAT_PAUSE = 3
_LONGEST_PAUSE = timedelta(minutes=5)


class Server:
    """Serves one subscriber in a block, with one connection for as long as it lasts."""

    def __init__(self, services: Services, name: str) -> None:
        self._services = services
        self._name = name
        self._opened = ExitStack()
        self._target: Target | None = None
        self._key = services.secrets.sealing_key(USE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    def serve_some(self) -> bool:
        """Tell the subscriber of the next changes; return whether more can be told at once.

        Raises:
            CandorError: the way to it cannot be opened, or a store cannot be used.
        """
        services = self._services
        now = services.clock()
        with session_of(services.engine) as session:
            known = store.find(session, self._key, self._name)
            if known is None or known[0].paused or known[1].next_at > now:
                return False
            subscriber, progress = known
            batch = _next_batch(session, subscriber, progress, now)
        if not batch.lanes and batch.end == progress.position:
            return False
        sent = self._send(subscriber, batch.lanes)
        after = _after(progress, batch, sent, services.clock())
        with session_of(services.engine) as session:
            if not store.advance(session, self._name, progress.position, after):
                return True
            dead = _settle(session, self._name, batch.lanes, sent, services.clock())
        self._count(sent, dead)
        return batch.is_full and after.next_at <= now

    def _send(self, subscriber: Subscriber, lanes: Sequence[Lane]) -> list[Sent]:
        if not any(lane.events for lane in lanes):
            return [Sent(0)] * len(lanes)
        named = self._originals(subscriber, [lane.subject_key for lane in lanes if lane.events])
        messages: list[list[Message]] = [
            [change_event(event, named.get(lane.subject_key, ())) for event in lane.events]
            for lane in lanes
        ]
        if self._target is None:
            opening = open_target(subscriber, self._services)
            self._target = self._opened.enter_context(opening)
        return self._target.send(messages)

    def _originals(
        self, subscriber: Subscriber, subject_keys: Sequence[str]
    ) -> Mapping[str, Sequence[Original]]:
        """Return, by person, the identifiers that the subscriber needs, if they are kept."""
        if not subscriber.identifiers:
            return {}
        linked = {key: self._services.subjects.linked(key) for key in subject_keys}
        asked = dict.fromkeys(one for keys in linked.values() for one in keys)
        kept = {
            key: one
            for key, one in self._services.originals.originals(list(asked)).items()
            if one.type in subscriber.identifiers
        }
        return {key: [kept[one] for one in keys if one in kept] for key, keys in linked.items()}

    def _count(self, sent: Sequence[Sent], dead: int) -> None:
        propagated = self._services.metrics.consent.propagated
        propagated.labels(self._name, "delivered").inc(sum(one.taken for one in sent))
        propagated.labels(self._name, "failed").inc(sum(one.fault is not None for one in sent))
        propagated.labels(self._name, "dead").inc(dead)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is sent together, and the place in the ledger that is passed with it."""

    lanes: Sequence[Lane]
    end: Position
    is_full: bool


def _next_batch(
    session: Session, subscriber: Subscriber, progress: Progress, now: datetime
) -> _Batch:
    """Return those who waited long enough, and the next of the ledger.

    A subscriber that takes nothing is tried with a few.
    """
    most = _PROBE if progress.failures >= _FAILURES_THAT_PAUSE else _PAGE
    page = events_after(session, *progress.position, most)
    end = place_of(page[-1]) if page else progress.position
    due = store.due(session, subscriber.name, now, most)
    acts: dict[str, list[ConsentEvent]] = {}
    for event in read_events(session, [one.subject_key for one in due]):
        acts.setdefault(event.act.subject_key, []).append(event)
    lanes = []
    for one in due:
        wanted = [
            event
            for event in acts.get(one.subject_key, ())
            if one.position <= place_of(event) <= end and subscriber.wants(event)
        ]
        rest = place_of(wanted[_LANE]) if len(wanted) > _LANE else None
        lanes.append(Lane(one.subject_key, wanted[:_LANE], one, rest))
    waiting = store.waiting_places(
        session, subscriber.name, (event.act.subject_key for event in page)
    )
    fresh: dict[str, list[ConsentEvent]] = {}
    for event in page:
        if event.act.subject_key not in waiting and subscriber.wants(event):
            fresh.setdefault(event.act.subject_key, []).append(event)
    lanes += [Lane(key, events) for key, events in fresh.items()]
    is_full = len(page) == most or len(due) == most or any(one.rest for one in lanes)
    return _Batch(lanes, end, is_full)


def _after(progress: Progress, batch: _Batch, sent: Sequence[Sent], now: datetime) -> Progress:
    """Return how far the subscriber is, and when it is tried again.

    Only persons who were tried for the first time tell that nobody can be delivered: one that waits
    may be what is wrong.
    """
    faults = [
        one.fault
        for lane, one in zip(batch.lanes, sent, strict=True)
        if one.fault is not None and one.fault.blames_receiver and lane.waited is None
    ]
    failures = progress.failures
    if any(one.taken for one in sent):
        failures = 0
    elif faults:
        failures += 1
    excess = failures - _FAILURES_THAT_PAUSE + 1
    next_at = now + pause_after(excess, _LONGEST_PAUSE) if excess > 0 else now
    return Progress(batch.end, failures, next_at, faults[0].told if faults and failures else "")


def _settle(
    session: Session, name: str, lanes: Sequence[Lane], sent: Sequence[Sent], now: datetime
) -> int:
    """Write down who waits from now on; return how many acts were given up.

    A person whose place is another than the one that was read is left there: somebody who tries
    dead letters again put them there, and all that was sent now follows that place.
    """
    buried = 0
    others_taken = any(one.taken for one in sent)
    places = store.waiting_places(session, name, (lane.subject_key for lane in lanes))
    for lane, one in zip(lanes, sent, strict=True):
        before = lane.waited.position if lane.waited else None
        if places.get(lane.subject_key) != before:
            continue
        waiting, dead = settled(lane, one, now, others_taken=others_taken)
        if dead is not None:
            store.bury(session, name, dead)
            buried += 1
        if waiting is not None:
            store.keep_waiting(session, name, waiting)
        elif lane.waited is not None:
            store.end_waiting(session, name, lane.subject_key)
    return buried
