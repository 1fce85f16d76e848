"""A memory of bounded size and time."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """Remembers the newest ``most`` entries, each for ``lifetime``. Safe to share between threads.

    Entries leave in the order in which they came, used or not; so what has expired is let go at the
    next call of any kind.
    """

    def __init__(self, most: int, lifetime: timedelta, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._seconds = lifetime.total_seconds()
        self._monotonic = monotonic
        self._entries: dict[K, tuple[float, V]] = {}
        self._guard = Lock()

    def __len__(self) -> int:
        with self._guard:
            self._expire()
            return len(self._entries)

    def find(self, keys: Iterable[K]) -> dict[K, V]:
        """Return those that are remembered."""
        with self._guard:
            self._expire()
            entries = self._entries
            return {key: entries[key][1] for key in keys if key in entries}

    def remember(self, found: dict[K, V]) -> None:
        """Remember these from now on."""
        with self._guard:
            self._expire()
            until = self._monotonic() + self._seconds
            for key, value in found.items():
                self._entries.pop(key, None)
                self._entries[key] = (until, value)
            while len(self._entries) > self._most:
                del self._entries[next(iter(self._entries))]

    def forget(self, concerns: Callable[[K, V], bool] | None = None) -> None:
        """Forget what that says yes to; everything if nothing is given."""
        with self._guard:
            kept = {} if concerns is None else self._entries
            self._entries = {
                key: entry
                for key, entry in kept.items()
                if concerns is not None and not concerns(key, entry[1])
            }

    def _expire(self) -> None:
        now = self._monotonic()
        while self._entries:
            oldest = next(iter(self._entries))
            if now < self._entries[oldest][0]:
                return
            del self._entries[oldest]
