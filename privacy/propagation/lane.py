"""The acts of one person on their way to one subscriber, and what becomes of them.

Acts of one lane go one after another, and stop at the first that is not taken: a person who cannot
be delivered waits, and holds up nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from candor.kernel.backoff import pause_after
from candor.kernel.webhook import Outcome
from privacy.consent.act import ConsentEvent
from privacy.propagation.change import place_of
from privacy.propagation.position import Position

MOST_REFUSALS = 10
MOST_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person of whom the act at ``position``, and all after it, is to be told yet."""

    subject_key: str
    position: Position
    attempts: int
    next_at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An act that is given up; the next ones of the person go on."""

    position: Position
    event: str
    subject_key: str
    attempts: int
    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lane:
    """The acts to be told of one person, and where the person waited, if so.

    ``rest`` is where it goes on if there were too many for one time.
    """

    subject_key: str
    events: Sequence[ConsentEvent]
    waited: Waiting | None = None
    rest: Position | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """How far a lane came: how many were taken, and why the next one was not, if so."""

    taken: int
    fault: Outcome | None = None


def settled(
    lane: Lane, sent: Sent, at: datetime, *, others_taken: bool = True
) -> tuple[Waiting | None, DeadLetter | None]:
    """Return how the person waits from now on, if at all, and what was given up.

    What the receiver refuses is given up after ten attempts. An address that takes nothing is tried
    a hundred times, which is four days, before one of its messages is; and only if it takes
    others' now: an outage, however long, gives up nothing.
    """
    if sent.fault is None:
        if lane.rest is None:
            return None, None
        return Waiting(lane.subject_key, lane.rest, 0, at, ""), None
    failed = lane.events[sent.taken]
    place, outcome = place_of(failed), sent.fault.told
    known = lane.waited is not None and sent.taken == 0
    attempts = 1 + (lane.waited.attempts if known and lane.waited else 0)
    most = MOST_ATTEMPTS if sent.fault.blames_receiver else MOST_REFUSALS
    is_down = sent.fault.blames_receiver and not others_taken
    if attempts < most or is_down:
        next_at = at + pause_after(attempts)
        return Waiting(lane.subject_key, place, attempts, next_at, outcome), None
    dead = DeadLetter(place, failed.id, lane.subject_key, attempts, outcome, at)
    return Waiting(lane.subject_key, place.following, 0, at, ""), dead
