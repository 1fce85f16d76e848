"""Where reading one partition stands: what was taken, what is on the disk, what may be committed.

An offset may be committed when every message before it is on the disk: a message that was
refused room holds up all that came after it in its partition, and nothing in any other.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import dataclass, field

from candor.kernel.errors import CandorError
from collector.event import Receipt
from collector.intake import Submission
from collector.receivers.kafka import Message

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A message on its way to the disk; without a submission a stage refused to take it."""

    message: Message
    submission: Submission | None

    @property
    def is_settled(self) -> bool:
        """Whether its fate is known."""
        return self.submission is None or all(fate.done() for fate in self.submission.fates)

    @property
    def is_refused(self) -> bool:
        """Whether its fate is known, and it must be sent again."""
        return self.is_settled and self.receipt() is None

    def wait(self, timeout_seconds: float) -> None:
        """Return when its fate is known, or after the time."""
        if self.submission is not None:
            wait(self.submission.fates, timeout_seconds)

    def receipt(self) -> Receipt | None:
        """Return what became of its events; none when it must be sent again."""
        if self.submission is None:
            return None
        try:
            return self.submission.wait()
        except CandorError:
            return None


@dataclass(slots=True)
class Partition:
    """One partition that is ours at present.

    ``position`` is the offset behind the last message taken, ``durable`` the one behind the last
    message that is on the disk together with all before it, ``committed`` what Kafka confirmed.
    """

    topic: str
    number: int
    waiting: deque[Taken] = field(default_factory=deque)
    position: int | None = None
    durable: int | None = None
    committed: int | None = None
    is_paused: bool = False

    @property
    def place(self) -> Place:
        """Its topic and number."""
        return self.topic, self.number

    @property
    def uncommitted(self) -> int | None:
        """The offset to commit, if Kafka does not have it yet."""
        return None if self.durable == self.committed else self.durable

    @property
    def is_held_up(self) -> bool:
        """Whether what comes next was refused and must be sent again."""
        return bool(self.waiting) and self.waiting[0].is_refused

    def take(self, taken: Taken) -> None:
        """Add a message that is on its way now."""
        self.waiting.append(taken)
        self.position = taken.message.offset + 1

    def settle(self) -> Iterator[tuple[Taken, Receipt]]:
        """Yield, in order, what has become durable; stop at what has not, or was refused."""
        while self.waiting and self.waiting[0].is_settled:
            receipt = self.waiting[0].receipt()
            if receipt is None:
                return
            taken = self.waiting.popleft()
            self.durable = taken.message.offset + 1
            yield taken, receipt
