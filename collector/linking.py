"""Takes what calls say about who is who to the subject index, once for each thing said.

A store is asked on a thread of its own, never on the event loop. What waits while one transaction
runs goes into the next, together. What was written a while ago is remembered, so that the calls of
a known person write nothing.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations

from candor.kernel.clock import Clock
from candor.kernel.ports import Link, SubjectIndex

_MOST_REMEMBERED = 50_000
_MEMORY_LASTS = timedelta(hours=1)
_ENOUGH_DIGITS = 32


@dataclass(slots=True)
class _Group:
    """Links that are written in one transaction, and what became of it."""

    links: list[Link] = field(default_factory=list)
    fate: "Future[None]" = field(default_factory=Future)


class Linker:
    """Writes links in groups. Safe to share between threads."""

    def __init__(self, subjects: SubjectIndex, clock: Clock, most: int = _MOST_REMEMBERED) -> None:
        self._subjects = subjects
        self._clock = clock
        self._most = most
        self._guard = threading.Lock()
        self._waiting: _Group | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="linker")
        self._recent: set[str] = set()
        self._older: set[str] = set()
        self._began = clock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write in the background; at the end everything submitted is written first."""
        try:
            yield
        finally:
            self._executor.shutdown()

    def submit(self, links: Sequence[Link]) -> "Future[None] | None":
        """Return the fate of what is new among links; none when all of it was said before.

        The fate holds an UnavailableError when the index could not be written; nothing of the
        group is remembered then, and whoever sends it again tries again.
        """
        fresh = [link for link in links if not self._is_remembered(link)]
        if not fresh:
            return None
        with self._guard:
            group = self._waiting
            if group is None:
                group = self._waiting = _Group()
                group.fate.set_running_or_notify_cancel()
                self._executor.submit(self._write, group).add_done_callback(_settled(group))
            group.links += fresh
            return group.fate

    def _write(self, group: _Group) -> None:
        with self._guard:
            self._waiting = None
        self._subjects.link_all(group.links)
        now = self._clock()
        with self._guard:
            if len(self._recent) >= self._most or now - self._began >= _MEMORY_LASTS:
                self._older, self._recent, self._began = self._recent, set(), now
            for link in group.links:
                self._recent.update(_statements(link))

    def _is_remembered(self, link: Link) -> bool:
        return all(one in self._recent or one in self._older for one in _statements(link))


def _settled(group: _Group) -> Callable[["Future[None]"], None]:
    """Return what hands the end of a write to everyone who waits for its group."""

    def settle(write: "Future[None]") -> None:
        error = write.exception()
        if error is not None:
            group.fate.set_exception(error)
        else:
            group.fate.set_result(None)

    return settle


def _statements(link: Link) -> Iterator[str]:
    """Yield a short name of each thing that a link says; half of each key tells it from all."""
    keys = sorted(one.subject_key[:_ENOUGH_DIGITS] for one in link.identifiers)
    for low, high in combinations(keys, 2):
        yield low + high
    if link.group is not None:
        for key in keys:
            yield f"{key} {link.group.subject_key[:_ENOUGH_DIGITS]}"
