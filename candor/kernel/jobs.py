"""Work that recurs: what a package declares in its ``JOBS`` and ``candor.scheduling`` runs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from candor.kernel.services import Services


@dataclass(frozen=True, slots=True)
class Job:
    """One recurring piece of work; running it twice must do no harm.

    ``name`` is unique among all packages and names the lease under which one process at a time
    runs it, ``every`` is the time from one start to the next.
    """

    name: str
    every: timedelta
    run: Callable[[Services], None]
