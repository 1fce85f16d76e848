"""The log of decisions: no answer leaves before its decision is on the disk.

What is decided while one write runs goes into the next, together: one sync for all of them, and one
call across threads.
"""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from candor.kernel.decision_ports import DecisionLog


@dataclass(slots=True)
class _Waiting:
    rows: bytes
    count: int
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"


class GroupedLog:
    """Appends decisions in groups. Safe to share between event loops."""

    def __init__(self, log: DecisionLog) -> None:
        self._log = log
        self._guard = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._is_writing = False

    async def append(self, rows: bytes, count: int) -> None:
        """Return when rows are on the disk.

        Raises:
            UnavailableError: they could not be written; none of them is kept.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(rows, count, loop, loop.create_future())
        with self._guard:
            self._waiting.append(waiting)
            starts = not self._is_writing
            self._is_writing = True
        if starts:
            self._write()
        await waiting.done

    def append_now(self, rows: bytes, count: int) -> None:
        """Return as ``append``, in a thread that may block."""
        self._log.append(rows, count).result()

    def flush(self) -> None:
        """Return when all that was appended can be queried."""
        self._log.flush()

    def _write(self) -> None:
        with self._guard:
            group, self._waiting = self._waiting, []
            if not group:
                self._is_writing = False
                return
        rows = group[0].rows if len(group) == 1 else b"".join(one.rows for one in group)

        def settle(fate: "Future[Any]") -> None:
            error = fate.exception()
            for loop in {one.loop for one in group}:
                _settle([one.done for one in group if one.loop is loop], loop, error)
            self._write()

        self._log.append(rows, sum(one.count for one in group)).add_done_callback(settle)


def _settle(
    waiting: "list[asyncio.Future[None]]",
    loop: asyncio.AbstractEventLoop,
    error: BaseException | None,
) -> None:
    def tell() -> None:
        for done in waiting:
            if done.done():  # whoever waited has gone
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop closed while the disk was written: nobody waits any more
        return
