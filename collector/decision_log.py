"""The log of decisions on the spool: durable when its fate is done, loaded like everything else."""

from concurrent.futures import Future
from typing import Any

from collector.assembly import Collector


class SpooledDecisions:
    """Appends decisions to the spool of a running collector.

    They are taken beyond the budgets that shed telemetry: a decision that cannot be logged is a
    denial. Only a disk that takes no writes refuses them.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        """Return the fate of rows, a ``DecisionRecord`` as JSON a line."""
        return self._collector.spool.submit("decisions", rows, count)

    def flush(self) -> None:
        """Return when all that was appended can be queried.

        Raises:
            UnavailableError: that took too long; it is on the disk and will be loaded later.
        """
        self._collector.flush()
