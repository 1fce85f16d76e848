"""How full the spool may get: who is let in, who is shed first, and when to come back.

Everything here is asked before a body is read. Fullness is the larger of two shares: bytes that
wait out of ``max_bytes``, and the age of the oldest out of ``max_age``. From ``soft_share`` on,
kinds of telemetry are shed one after another, the least missed first; at 1 everything is refused.
A nearly full disk, and one that refused a write, count as full. A source, which is a key by its
name, has budgets of its own of both; what waited when the process began counts for none.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Literal, get_args

from candor.kernel.clock import Clock
from candor.kernel.errors import OverloadedError
from candor.kernel.logging import log
from candor.kernel.metrics import Metrics
from candor.kernel.settings import SpoolSettings

Kind = Literal["debug_logs", "rum", "traces", "other"]
"""Kinds of telemetry in the order in which they are shed; the last is never shed."""

_SHED: tuple[Kind, ...] = get_args(Kind)[:-1]
_DISK_CHECK_SECONDS = 1.0
_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 300.0
_UNMEASURED_SECONDS = 5.0
_JITTER = 0.2
_MEMORY = 0.8


class Pressure:
    """The budgets of one spool and how much of them is used. Safe to share between threads."""

    def __init__(  # noqa: PLR0913 - where, how much, and the sources of time and chance
        self,
        directory: Path,
        settings: SpoolSettings,
        clock: Clock,
        metrics: Metrics,
        *,
        waiting_since: Callable[[], datetime | None],
        dice: random.Random,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._waiting_since = waiting_since
        self._dice = dice
        self._guard = Lock()
        self._waiting: Counter[str] = Counter()
        self._waiting_bytes = 0
        self._segments_of: dict[str, dict[str, datetime]] = {}
        self._drained_bytes = self._drained_seconds = 0.0
        self._disk_checked_at = float("-inf")
        self._disk_is_low = False
        self._told_to_be_shed: set[Kind] = set()
        self.disk_refuses = False
        metrics.spool_bytes.set_function(lambda: self._waiting_bytes)

    def admit(self, source: str, kind: Kind) -> None:
        """Return when a request of this source and kind may be read.

        Raises:
            OverloadedError: a budget is used up, the kind is shed, or the disk is full; it says
                when to come back.
        """
        if self._waiting_bytes >= self._settings.max_bytes:
            self._refuse("bytes", kind, source, "The spool is full.")
        if self._age_share() >= 1:
            self._refuse("age", kind, source, "What waits in the spool is too old.")
        if self._is_source_over(source):
            self._refuse(
                "source", kind, source, "Too much of this key's telemetry waits in the spool."
            )
        if self._is_source_late(source):
            self._refuse(
                "source_age", kind, source, "What waits of this key's telemetry is too old."
            )
        if self.disk_refuses:
            self._refuse("disk", kind, source, "The disk of the spool is full. Free some space.")
        if self._is_disk_low():
            self._refuse(
                "disk", kind, source, "The disk of the spool is nearly full. Free some space."
            )
        if self.sheds(kind):
            self._refuse("shed", kind, source, "The spool fills up, and this kind is shed first.")

    def sheds(self, kind: Kind) -> bool:
        """Whether telemetry of this kind is not to be taken now. Begin and end are logged."""
        if kind not in _SHED:
            return False
        fullness = max(self._waiting_bytes / self._settings.max_bytes, self._age_share())
        soft = self._settings.soft_share
        is_shed = fullness >= soft + (1 - soft) * _SHED.index(kind) / len(_SHED)
        if is_shed != (kind in self._told_to_be_shed):
            self._told_to_be_shed ^= {kind}
            log().warning("shedding " + ("begins" if is_shed else "ends"), kind=kind)
        return is_shed

    def count_shed(self, kind: Kind, events: int) -> None:
        """Count records that were left out of a request that was taken otherwise."""
        self._metrics.events_shed.labels(kind).inc(events)

    def enter(self, source: str, size_bytes: int) -> None:
        """Count bytes that now wait to reach the telemetry store."""
        with self._guard:
            self._waiting[source] += size_bytes
            self._waiting_bytes += size_bytes

    def hold(self, token: str, source: str, since: datetime) -> None:
        """Note that a segment, opened then, has something of a source."""
        segments = self._segments_of.get(source, {})
        if token not in segments:
            with self._guard:
                self._segments_of.setdefault(source, {})[token] = since

    def leave(self, sizes: Mapping[str, int], token: str = "") -> None:
        """Count bytes of each source out again, and the segment that they were in."""
        with self._guard:
            for source, size_bytes in sizes.items():
                segments = self._segments_of.get(source, {})
                segments.pop(token, None)
                if not segments:
                    self._segments_of.pop(source, None)
                self._waiting[source] -= size_bytes
                self._waiting_bytes -= size_bytes
                if not self._waiting[source]:
                    del self._waiting[source]

    def drained(self, size_bytes: int, seconds: float) -> None:
        """Note how long the loader took for so many bytes; none of them when it failed."""
        self._drained_bytes = self._drained_bytes * _MEMORY + size_bytes
        self._drained_seconds = self._drained_seconds * _MEMORY + seconds

    def overloaded(self, detail: str) -> OverloadedError:
        """Return the error that sends a request away for as long as the backlog needs."""
        wait = self._retry_after()
        return OverloadedError(
            f"{detail} Send the same request again later.",
            retry_after=wait,
            resets_at=self._clock() + wait,
        )

    def _is_source_over(self, source: str) -> bool:
        budget = self._settings.source_budgets.get(source, self._settings.source_bytes)
        return budget is not None and self._waiting[source] >= budget

    def _is_source_late(self, source: str) -> bool:
        """Whether the oldest of a source waits too long; segments are held in order of time."""
        budget = self._settings.source_ages.get(source, self._settings.source_age)
        if budget is None:
            return False
        with self._guard:
            since = next(iter(self._segments_of.get(source, {}).values()), None)
        return since is not None and self._clock() - since >= budget

    def _refuse(self, reason: str, kind: Kind, source: str, detail: str) -> None:
        self._metrics.spool_refusals.labels(reason, kind).inc()
        self._metrics.sources.refusals.labels(self._metrics.sources.label(source), reason).inc()
        raise self.overloaded(detail)

    def _retry_after(self) -> timedelta:
        """Return the time that draining the backlog takes, give or take, so that not all return."""
        seconds = _UNMEASURED_SECONDS
        if self._drained_bytes and self._waiting_bytes:
            seconds = self._waiting_bytes * self._drained_seconds / self._drained_bytes
        seconds *= self._dice.uniform(1 - _JITTER, 1 + _JITTER)
        return timedelta(seconds=min(max(seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS))

    def _age_share(self) -> float:
        since = self._waiting_since()
        return 0.0 if since is None else (self._clock() - since) / self._settings.max_age

    def _is_disk_low(self) -> bool:
        now = time.monotonic()
        if now - self._disk_checked_at >= _DISK_CHECK_SECONDS:
            self._disk_is_low = _free_bytes(self._directory) < self._settings.min_free_disk_bytes
            self._disk_checked_at = now
        return self._disk_is_low


def _free_bytes(directory: Path) -> int:
    """Return the room on a disk; none when the disk does not even say."""
    try:
        disk = os.statvfs(directory)
    except OSError:
        return -1
    return disk.f_bavail * disk.f_frsize
