"""Exact recognition of events that came before, within a window of time.

An identity is *claimed* while its event is on the way to the disk and *remembered* once it is
there. A second delivery in between waits for the first one's fate instead of being waved through:
should the write fail, both senders hear of it and try again.

What is kept of an identity is a key of 128 bits, two keyed hashes of it: among ten million, the
chance that any two agree is below 1e-24, and no sender can bring it about, because the hashes' key
is drawn anew by each process. As a number, a key weighs half of what the text weighed.

Memory: about 100 bytes an identity. Identities live in buckets of an eighth of the window, so one
is forgotten between 1 and 1.125 windows after it was accepted.

Source: SipHash, which is what ``hash`` of a text computes (PEP 456).
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
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

    ``fresh`` holds positions in the request, in order, and ``keys`` what is kept of the identities
    there. ``earlier`` are the writes that others of its events wait for.
    """

    fresh: list[int]
    keys: list[int]
    duplicates: int
    earlier: list["Future[None]"]
    fate: "Future[None]" = field(default_factory=Future)

    def __post_init__(self) -> None:
        """Let nobody who waits for the fate cancel it: others wait for it too."""
        self.fate.set_running_or_notify_cancel()


class IdentityWindow:
    """The identities of the last ``window``; safe to share between threads."""

    def __init__(self, window: timedelta) -> None:
        self._span = window / _BUCKETS
        self._window = window
        self._buckets: deque[tuple[datetime, set[int]]] = deque()
        self._claimed: dict[int, Future[None]] = {}
        self._guard = Lock()

    def __len__(self) -> int:
        """Return how many identities are remembered."""
        with self._guard:
            return sum(len(bucket) for _, bucket in self._buckets)

    def claim(self, identities: Sequence[Identity]) -> Claim:
        """Return which identities are new, and hold those until ``remember`` or ``release``.

        A repetition inside ``identities`` itself is a duplicate of its first occurrence.
        """
        keys = _keys_of(identities)
        with self._guard:
            claim = Claim([], [], 0, [])
            distinct = set(keys)
            if len(distinct) == len(keys) and self._all_new(distinct):
                self._claimed.update(dict.fromkeys(distinct, claim.fate))
                claim.fresh, claim.keys = list(range(len(keys))), keys
                return claim
            known = self._known(distinct)
            for position, key in enumerate(keys):
                if key in known:
                    continue
                pending = self._claimed.setdefault(key, claim.fate)
                if pending is not claim.fate:
                    claim.earlier.append(pending)
                    continue
                known.add(key)
                claim.fresh.append(position)
                claim.keys.append(key)
            claim.duplicates = len(keys) - len(claim.fresh)
            return claim

    def remember(self, claim: Claim, at: datetime) -> None:
        """Keep the claimed identities from ``at`` on: their events are on the disk."""
        with self._guard:
            self._bucket(at).update(claim.keys)
            self._drop(claim.keys)
        claim.fate.set_result(None)

    def release(self, claim: Claim, reason: BaseException) -> None:
        """Forget the claim: its events did not reach the disk, and twins that wait hear why."""
        with self._guard:
            self._drop(claim.keys)
        claim.fate.set_exception(reason)

    def withdraw(self, claim: Claim, positions: Collection[int]) -> None:
        """Take identities out of a claim, by their positions in the request: they are not stored.

        They are as new as before for whoever sends them next.
        """
        kept = [
            (position, key)
            for position, key in zip(claim.fresh, claim.keys, strict=True)
            if position not in positions
        ]
        with self._guard:
            self._drop(set(claim.keys).difference(key for _, key in kept))
        claim.fresh = [position for position, _ in kept]
        claim.keys = [key for _, key in kept]

    def restore(self, identities: Iterable[Identity], at: datetime) -> None:
        """Remember identities that were accepted at ``at``, before this process started.

        Call it in order of time.
        """
        with self._guard:
            self._bucket(at).update(_keys_of(identities))

    def parts(self, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the window that ends at ``until`` in parts of a bucket each, oldest first."""
        for part in range(_BUCKETS, 0, -1):
            yield until - part * self._span, until - (part - 1) * self._span

    def _known(self, keys: set[int]) -> set[int]:
        known: set[int] = set()
        for _, bucket in self._buckets:
            known |= bucket & keys
        return known

    def _all_new(self, keys: set[int]) -> bool:
        """Whether a request is new throughout, which nearly all are."""
        return self._claimed.keys().isdisjoint(keys) and all(
            bucket.isdisjoint(keys) for _, bucket in self._buckets
        )

    def _drop(self, keys: Iterable[int]) -> None:
        forget = self._claimed.pop
        for key in keys:
            forget(key, None)

    def _bucket(self, at: datetime) -> set[int]:
        while self._buckets and at - self._buckets[0][0] >= self._window + self._span:
            self._buckets.popleft()
        if not self._buckets or at - self._buckets[-1][0] >= self._span:
            self._buckets.append((at, set()))
        return self._buckets[-1][1]


def _keys_of(identities: Iterable[Identity]) -> list[int]:
    """Return two keyed hashes of each as one number; the second is of the same with another end.

    The ends differ, because the same text and bytes have the same hash.
    """
    return [
        hash(one) << 64 ^ hash(one + "2" if isinstance(one, str) else one + b"3")
        for one in identities
    ]
