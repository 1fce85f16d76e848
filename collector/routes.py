"""The collector's hot doors: authenticate, admit, read, decode, submit, answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from candor.kernel.errors import CandorError
from candor.kernel.http import Answer, Door, DoorRequest
from candor.kernel.problems import PROBLEM_TYPE, problem_body, problem_headers
from candor.kernel.services import Services
from collector.assembly import Collector
from collector.receivers.native import Reception, decode_native, encode_receipt

SCOPE = "ingest"
_SYNC_HEADER = b"x-candor-sync"


def doors(services: Services, collector: Collector) -> Mapping[tuple[str, str], Door]:
    """Return the hot doors by (method, path)."""
    entrance = Entrance(services, collector)
    return {("POST", "/api/v1/events"): entrance.guarded(entrance.native, "native")}


class Entrance:
    """The doors of one running collector."""

    def __init__(self, services: Services, collector: Collector) -> None:
        self._services = services
        self._collector = collector

    def guarded(self, door: Callable[[DoorRequest], Awaitable[Answer]], name: str) -> Door:
        """Return a door that answers every error of the house in the shape of this door."""
        requests = self._services.metrics.requests

        async def answer(request: DoorRequest) -> Answer:
            try:
                result = await door(request)
            except CandorError as error:
                result = Answer(
                    error.status, problem_body(error), PROBLEM_TYPE, problem_headers(error)
                )
            requests.labels(name, str(result.status)).inc()
            return result

        return answer

    async def native(self, request: DoorRequest) -> Answer:
        """Take native events."""
        await self._authenticate(request.bearer)
        self._collector.spool.refuse_when_full()
        body = await request.body(self._services.settings.limits.body_bytes)
        batch = decode_native(body, request.media_type, self._reception())
        receipt = await self._collector.intake.submit(batch)
        if request.header(_SYNC_HEADER) == "1":
            await asyncio.to_thread(self._collector.flush)
        return Answer(200, encode_receipt(receipt))

    async def _authenticate(self, key_of: Callable[[], str]) -> None:
        if self._services.settings.auth.mode == "open":
            return
        key = key_of()
        keys = self._services.keys
        if not keys.trusts(key, SCOPE):
            await asyncio.to_thread(keys.holder, key, SCOPE)

    def _reception(self) -> Reception:
        services = self._services
        return Reception(services.clock(), services.settings.limits, services.secrets)
