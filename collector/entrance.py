"""What every hot door does: authenticate, admit, wait for the disk, answer errors in its shape."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from candor.kernel.errors import CandorError
from candor.kernel.http import Answer, Door, DoorRequest
from candor.kernel.problems import PROBLEM_TYPE, problem_body, problem_headers
from candor.kernel.services import Services
from collector.assembly import Collector
from collector.errors import RateLimitedError
from collector.event import Receipt
from collector.intake import Submission
from collector.pressure import Kind
from collector.receivers.decoding import Reception

SCOPE = "ingest"
SYNC_HEADER = b"x-candor-sync"
_BATCHES_A_WORKER = 2


class Entrance:
    """The way in to one running collector.

    No door holds what it decoded while it waits for the disk: kept by dozens of waiting requests,
    the events left the processor's caches, and a request cost nearly twice as much.
    """

    def __init__(self, services: Services, collector: Collector) -> None:
        self.services = services
        self.collector = collector
        pii = services.settings.pii
        self._workers = pii.workers if pii.enabled else 0
        self._room = asyncio.Semaphore(_BATCHES_A_WORKER * max(self._workers, 1))

    def guarded(
        self,
        take: Callable[[DoorRequest], Awaitable[Answer]],
        name: str,
        answer_error: Callable[[CandorError], Answer],
    ) -> Door:
        """Return a door that answers every error of the house in its own shape."""
        requests = self.services.metrics.requests
        seconds = self.services.metrics.door_seconds.labels(name)

        async def door(request: DoorRequest) -> Answer:
            began, limited = time.perf_counter(), False
            try:
                answer = await take(request)
            except CandorError as error:
                answer, limited = answer_error(error), isinstance(error, RateLimitedError)
            # Told apart from a 429 for want of room: a flood of one key is no fault of Candor.
            requests.labels(name, RateLimitedError.code if limited else str(answer.status)).inc()
            seconds.observe(time.perf_counter() - began)
            return answer

        return door

    async def authenticate(self, key_of: Callable[[], str], door: str) -> str:
        """Return the source that a request comes from: its key's name, or the door's where none is.

        Raises:
            UnauthenticatedError: there is no valid key.
            ForbiddenError: the key may not ingest.
        """
        if self.services.settings.auth.mode == "open":
            return door
        key, keys = key_of(), self.services.keys
        record = keys.trusted(key, SCOPE)
        if record is None:
            record = await asyncio.to_thread(keys.holder, key, SCOPE)
        return record.name

    def authenticate_now(self, key_of: Callable[[], str], door: str) -> str:
        """Return the source as ``authenticate``, in a thread that may block."""
        if self.services.settings.auth.mode == "open":
            return door
        return self.services.keys.holder(key_of(), SCOPE).name

    def admit(self, source: str, kind: Kind = "other") -> None:
        """Return when a request may be read.

        Raises:
            UnavailableError: the spool is full for it, or its disk does not take writes.
        """
        self.collector.spool.refuse_when_full(source, kind)

    async def submitted(
        self, submit: Callable[[], Submission], *, is_slow: bool = False
    ) -> Submission:
        """Return what ``submit`` returns, from a thread where it would hold up other requests.

        It would when it is slow in itself, or when other processes examine what is submitted. Of
        these each has a batch at hand beside the one that it is at; whoever comes then waits here,
        as everybody does for the one thread where there are no such processes.
        """
        if self._workers:
            async with self._room:
                return await asyncio.to_thread(submit)
        return await asyncio.to_thread(submit) if is_slow else submit()

    async def durable(self, submission: Submission, request: DoorRequest) -> Receipt:
        """Return the receipt when everything it says is on the disk, or queryable if so asked."""
        receipt = await submission
        if request.header(SYNC_HEADER) == "1":
            await asyncio.to_thread(self.collector.flush)
        return receipt

    def reception(self, source: str) -> Reception:
        """Return the circumstances of a request that is decoded now."""
        services = self.services
        settings = services.settings
        return Reception(
            services.clock(), settings.limits, services.secrets, source, settings.journeys
        )


def answer_problem(error: CandorError) -> Answer:
    """Return an error as a problem document."""
    return Answer(error.status, problem_body(error), PROBLEM_TYPE, problem_headers(error))
