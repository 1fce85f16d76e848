"""What was found where: counted in memory, and written to the state store every second.

Of each source, field and entity there is one entry with a masked sample, how often it was found,
first and last. The first time that a kind is seen at a place is news, and said once. A crash loses
the counts of a second, never a place for long: it is found again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import CandorError
from candor.kernel.logging import log
from candor.kernel.metrics import PiiMetrics
from privacy.pii import store
from privacy.pii.finding import Located, field_of
from privacy.pii.policy import Policy
from privacy.pii.transform import sample_of

_FLUSH_SECONDS = 1.0
_MOST_PLACES = 10_000
_MOST_PATH = 300
ELSEWHERE = "*"
"""The field that stands for all others once a process has seen too many of them."""


@dataclass(slots=True)
class Sighting:
    """One kind of personal data at one place, as often as it was seen since the last write."""

    source: str
    path: str
    entity: str
    action: str
    recognizer: str
    score: float
    sample: str
    policy: str
    policy_version: int
    first_seen: datetime
    last_seen: datetime
    count: int = 1

    @property
    def id(self) -> str:
        """What makes it the same sighting: its source, field and entity."""
        text = f"{self.source}\0{self.path}\0{self.entity}"
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class FindingLedger:
    """Counts findings of one process. Safe to share between threads."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        metrics: PiiMetrics,
        *,
        most_places: int = _MOST_PLACES,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._metrics = metrics
        self._most_places = most_places
        self._waiting: dict[tuple[str, str, str], Sighting] = {}
        self._places: set[tuple[str, str, str]] = set()
        self._guard = threading.Lock()
        self._writing = threading.Lock()
        self._stopped = threading.Event()

    def note(self, source: str, located: Located, value: str, policy: Policy) -> None:
        """Count a finding; of its value only the shape is kept."""
        finding = located.finding
        self._metrics.findings.labels(finding.entity, located.action).inc()
        path = field_of(located.path)[:_MOST_PATH]
        now = self._clock()
        with self._guard:
            key = (source, path, finding.entity)
            if key not in self._places:
                if len(self._places) >= self._most_places:
                    key, path = (source, ELSEWHERE, finding.entity), ELSEWHERE
                self._places.add(key)
            known = self._waiting.get(key)
            if known is not None:
                known.count += 1
                known.last_seen, known.action = now, located.action
                return
            self._waiting[key] = Sighting(
                source,
                path,
                finding.entity,
                located.action,
                finding.recognizer,
                finding.score,
                sample_of(value),
                policy.name,
                policy.version,
                now,
                now,
            )

    def flush(self) -> None:
        """Write what was counted before; what cannot be written waits for the next time.

        What another thread is writing is written when this returns.
        """
        with self._writing:
            self._flush()

    def _flush(self) -> None:
        with self._guard:
            waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        try:
            with session_of(self._engine) as session:
                fresh = store.count_findings(session, list(waiting.values()))
        except CandorError as error:
            log().warning("findings cannot be written", reason=error.code)
            with self._guard:
                for key, one in self._waiting.items():
                    if (earlier := waiting.get(key)) is not None:
                        one.count += earlier.count
                        one.first_seen = earlier.first_seen
                self._waiting = waiting | self._waiting
            return
        for one in fresh:
            self._metrics.new_kinds.labels(one.entity).inc()
            log().warning("personal data at a new place", entity=one.entity, finding=one.id)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write in the background until the end of the block, and once more there."""
        writer = threading.Thread(target=self._run, name="findings", daemon=True)
        writer.start()
        try:
            yield
        finally:
            self._stopped.set()
            writer.join()
            self.flush()

    def _run(self) -> None:
        while not self._stopped.wait(_FLUSH_SECONDS):
            self.flush()
