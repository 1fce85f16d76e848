"""Exact recognition of events that came before, within a window of time.

An identity is *claimed* while its event is on the way to the disk and *remembered* once it is
there. A second delivery in between waits for the first one's fate instead of being waved through:
should the write fail, both senders hear of it and try again.

Memory: about 120 bytes an identity. Identities live in buckets of an eighth of the window, so one
is forgotten between 1 and 1.125 windows after it was accepted.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock

_BUCKETS = 8
Identity = str | bytes
"""What makes two deliveries the same: texts of events, bytes of spans; each kind by itself."""


@dataclass(slots=True)
class Claim:
    """Which events of a request are new, and whose fate decides the rest.

    ``fresh`` holds positions in the request, in order. ``earlier`` are the writes that others of
    its events wait for.
    """

    fresh: list[int]
    identities: list[Identity]
    duplicates: int
    earlier: list["Future[None]"]
    fate: "Future[None]" = field(default_factory=Future)


class IdentityWindow:
    """The identities of the last ``window``; safe to share between threads."""

    def __init__(self, window: timedelta) -> None:
        self._span = window / _BUCKETS
        self._window = window
        self._buckets: deque[tuple[datetime, set[Identity]]] = deque()
        self._claimed: dict[Identity, Future[None]] = {}
        self._guard = Lock()

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        return sum(len(bucket) for _, bucket in self._buckets)

    def claim(self, identities: Sequence[Identity]) -> Claim:
        """Return which identities are new, and hold those until ``remember`` or ``release``.

        A repetition inside ``identities`` itself is a duplicate of its first occurrence.
        """
        with self._guard:
            claim = Claim([], [], 0, [])
            distinct = dict.fromkeys(identities, claim.fate)
            if len(distinct) == len(identities) and self._all_new(distinct):
                self._claimed.update(distinct)
                claim.fresh, claim.identities = list(range(len(identities))), list(identities)
                return claim
            known = self._known(identities)
            for position, identity in enumerate(identities):
                if identity in known:
                    continue
                pending = self._claimed.setdefault(identity, claim.fate)
                if pending is not claim.fate:
                    claim.earlier.append(pending)
                    continue
                known.add(identity)
                claim.fresh.append(position)
                claim.identities.append(identity)
            claim.duplicates = len(identities) - len(claim.fresh)
            return claim

    def remember(self, claim: Claim, at: datetime) -> None:
        """Keep the claimed identities from ``at`` on: their events are on the disk."""
        with self._guard:
            self._bucket(at).update(claim.identities)
            self._drop(claim.identities)
        claim.fate.set_result(None)

    def release(self, claim: Claim, reason: BaseException) -> None:
        """Forget the claim: its events did not reach the disk, and twins that wait hear why."""
        with self._guard:
            self._drop(claim.identities)
        claim.fate.set_exception(reason)

    def abandon(self, claim: Claim, positions: Iterable[int]) -> None:
        """Give up single identities of a claim, by their positions among its fresh ones."""
        given_up = {claim.identities[position] for position in positions}
        if given_up:
            with self._guard:
                self._drop(given_up)
            claim.identities = [name for name in claim.identities if name not in given_up]

    def restore(self, identities: Iterable[Identity], at: datetime) -> None:
        """Remember identities that were accepted before this process started."""
        with self._guard:
            self._bucket(at).update(identities)

    def _known(self, identities: Sequence[Identity]) -> set[Identity]:
        known: set[Identity] = set()
        for _, bucket in self._buckets:
            known.update(bucket.intersection(identities))
        return known

    def _all_new(self, identities: dict[Identity, "Future[None]"]) -> bool:
        """Whether a request is new throughout, which nearly all are."""
        return self._claimed.keys().isdisjoint(identities) and all(
            bucket.isdisjoint(identities) for _, bucket in self._buckets
        )

    def _drop(self, identities: Iterable[Identity]) -> None:
        for identity in identities:
            self._claimed.pop(identity, None)

    def _bucket(self, at: datetime) -> set[Identity]:
        while self._buckets and at - self._buckets[0][0] >= self._window + self._span:
            self._buckets.popleft()
        if not self._buckets or at - self._buckets[-1][0] >= self._span:
            self._buckets.append((at, set()))
        return self._buckets[-1][1]
