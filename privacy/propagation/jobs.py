"""What recurs for propagation: every subscriber is told what is new."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.errors import CandorError, UnavailableError
from candor.kernel.jobs import Job
from candor.kernel.services import Services
from privacy.propagation import store
from privacy.propagation.serving import Server

_AT_ONCE = 8
_SERVING_SECONDS = 20.0


def propagate(services: Services) -> None:
    """Tell every subscriber what is new, side by side: one that is slow keeps no other waiting.

    Raises:
        UnavailableError: some could not be served at all; they are named, and the others were.
    """
    with session_of(services.engine) as session:
        names = list(store.positions(session))
    if not names:
        return
    with ThreadPoolExecutor(_AT_ONCE, "subscribers") as pool:
        faults = list(pool.map(lambda name: _serve(services, name), names))
    services.metrics.consent.lag.show(_lags(services))
    failed = [name for name, fault in zip(names, faults, strict=True) if fault is not None]
    if failed:
        raise UnavailableError(f"Subscribers could not be served: {', '.join(failed)}.")


def _serve(services: Services, name: str) -> CandorError | None:
    """Serve one subscriber for a while; return what kept it from being served, if anything did."""
    until = time.monotonic() + _SERVING_SECONDS
    try:
        with Server(services, name) as server:
            while server.serve_some() and time.monotonic() < until:
                pass
    except CandorError as error:
        with session_of(services.engine) as session:
            store.note(session, name, error.detail)
        return error
    return None


def _lags(services: Services) -> dict[tuple[str, ...], float]:
    """Return, by subscriber, the seconds since the oldest change that it was not told."""
    now = services.clock()
    lags: dict[tuple[str, ...], float] = {}
    with session_of(services.engine) as session:
        for name, position in store.positions(session).items():
            oldest = store.oldest_untold(session, name, position)
            lags[name,] = (now - oldest).total_seconds() if oldest else 0.0
    return lags


JOBS: tuple[Job, ...] = (Job("privacy.propagate_consent", timedelta(seconds=5), propagate),)
