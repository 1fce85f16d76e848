"""Work that recurs: what a package declares in its ``JOBS`` and ``candor.scheduling`` runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from candor.kernel.services import Services

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Job:
    """One recurring piece of work; running it twice must do no harm.

    ``name`` is unique among all packages and names the lease under which one process at a time
    runs it, ``every`` is the time from one start to the next. A job that needs more than the
    services, such as its package's own running parts, is made by a function that binds them.
    """

    name: str
    every: timedelta
    run: Callable[[Services], None]


def slot_of(at: datetime, every: timedelta) -> datetime:
    """Return when the run began to be due that is due at ``at``.

    Every process cuts time into the same slots, counted from 1970, and a job runs once in each.
    """
    return at - (at - EPOCH) % every
