"""What recurs for propagation: every subscriber is told what is new."""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.errors import CandorError, UnavailableError
from candor.kernel.jobs import Job
from candor.kernel.lease import acquire, release
from candor.kernel.logging import log
from candor.kernel.services import Services
from privacy.propagation import store
from privacy.propagation.serving import Server

_EVERY = timedelta(seconds=5)
_SERVING_SECONDS = 20.0
_LEASE = timedelta(seconds=90)
"""Longer than a run: the time of serving, one batch, and what a look-up of a name may take."""
_PATIENCE_SECONDS = 4.0


class Propagation:
    """Tells subscribers, each in a run of its own. Safe to share between threads.

    A run goes on beyond the job that began it; until it ends no other begins for its subscriber, in
    no process. One that ends with its process is as one that was killed: it is told again.
    """

    def __init__(self, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._running: dict[str, threading.Thread] = {}
        self._faults: set[str] = set()

    def run(self, services: Services) -> None:
        """Begin a run for every subscriber that has none, and wait a little for them to end.

        Raises:
            UnavailableError: some could not be served at all; they are named, and the others were.
        """
        with session_of(services.engine) as session:
            names = list(store.positions(session))
        self._running = {name: one for name, one in self._running.items() if one.is_alive()}
        begun = [name for name in names if name not in self._running]
        self._faults.difference_update(begun)
        for name in begun:
            thread = threading.Thread(target=self._serve, args=(services, name), daemon=True)
            self._running[name] = thread
            thread.start()
        until = time.monotonic() + self._patience_seconds
        for name in begun:
            self._running[name].join(max(until - time.monotonic(), 0.0))
        services.metrics.consent.lag.show(_lags(services))
        failed = sorted(self._faults.copy().intersection(names))
        if failed:
            raise UnavailableError(f"Subscribers could not be served: {', '.join(failed)}.")

    def _serve(self, services: Services, name: str) -> None:
        try:
            _serve_leased(services, name)
        except CandorError as error:
            self._faults.add(name)
            log().warning("subscriber not served", subscriber=name, reason=error.detail)
        except Exception as error:  # noqa: BLE001 - one that fails must not go unnoticed
            self._faults.add(name)
            log().error("subscriber not served", subscriber=name, error=type(error).__name__)


def propagate(services: Services, patience_seconds: float = 120.0) -> None:
    """Tell every subscriber what is new, once.

    Raises:
        UnavailableError: some could not be served at all; they are named, and the others were.
    """
    Propagation(patience_seconds).run(services)


def jobs() -> tuple[Job, ...]:
    """Return the job, with the runs of one process."""
    return (Job("privacy.propagate_consent", _EVERY, Propagation().run),)


def _serve_leased(services: Services, name: str) -> None:
    """Serve one subscriber for a while, unless another process does."""
    now = services.clock()
    lease = acquire(services.engine, f"consent_subscriber:{name}", at=now, lasting=_LEASE)
    if lease is None:
        return
    until = time.monotonic() + _SERVING_SECONDS
    try:
        with Server(services, name) as server:
            while server.serve_some() and time.monotonic() < until:
                pass
    except CandorError as error:
        with session_of(services.engine) as session:
            store.note(session, name, error.detail)
        raise
    finally:
        ended = services.clock()
        release(services.engine, lease, at=ended, due=ended)


def _lags(services: Services) -> Mapping[tuple[str, ...], float]:
    """Return, by subscriber, the seconds since the oldest change that it was not told."""
    now = services.clock()
    lags: dict[tuple[str, ...], float] = {}
    with session_of(services.engine) as session:
        for name, position in store.positions(session).items():
            oldest = store.oldest_untold(session, name, position)
            lags[name,] = (now - oldest).total_seconds() if oldest else 0.0
    return lags
