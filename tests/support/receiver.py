"""A receiver of webhooks on the loopback that keeps what it is sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.loopback import Received, Reply, answering


@dataclass
class Receiver:
    """What came, and the statuses to answer with, one for each request; 200 when they run out.

    ``judge`` answers instead where it is given, by what came.
    """

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    judge: Callable[[Received], int] | None = None

    def answer(self, received: Received) -> int:
        self.requests.append(received)
        if self.judge is not None:
            return self.judge(received)
        return self.statuses.pop(0) if self.statuses else 200


@contextmanager
def receiver() -> Iterator[Receiver]:
    kept = Receiver()
    with answering(lambda received: Reply(kept.answer(received))) as kept.url:
        yield kept
