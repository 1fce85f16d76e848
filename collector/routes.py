"""The collector's hot doors: authenticate, admit, read, decode, submit, answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from candor.kernel.errors import CandorError, OverloadedError, TooLargeError, UnavailableError
from candor.kernel.http import Answer, Door, DoorRequest
from candor.kernel.problems import PROBLEM_TYPE, problem_body, problem_headers
from candor.kernel.services import Services
from collector.assembly import Collector
from collector.event import Receipt
from collector.intake import Submission
from collector.receivers import otlp, segment
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native, encode_receipt

SCOPE = "ingest"
_SYNC_HEADER = b"x-candor-sync"


def doors(services: Services, collector: Collector) -> Mapping[tuple[str, str], Door]:
    """Return the hot doors by (method, path)."""
    entrance = Entrance(services, collector)
    calls = {
        ("POST", f"/v1/{path_type}"): entrance.segment(path_type)
        for path_type in (*segment.CALL_TYPES, *segment.BATCHES)
    }
    return {
        ("POST", "/api/v1/events"): entrance.native(),
        ("POST", "/v1/traces"): entrance.traces(),
        **calls,
    }


class Entrance:
    """The doors of one running collector.

    None holds what it decoded while it waits for the disk: kept by dozens of waiting requests, the
    events left the processor's caches, and a request cost nearly twice as much.
    """

    def __init__(self, services: Services, collector: Collector) -> None:
        self._services = services
        self._collector = collector

    def native(self) -> Door:
        """Return the door for native events."""

        async def take(request: DoorRequest) -> Answer:
            await self._authenticate(request.bearer)
            self._collector.spool.refuse_when_full()
            submission = self._submit_native(
                await request.body(self._services.settings.limits.body_bytes), request.media_type
            )
            return Answer(200, encode_receipt(await self._durable(submission, request)))

        return self._guarded(take, "native", _problem)

    def segment(self, path_type: str) -> Door:
        """Return the door for one of Segment's calls; the key may travel in three places."""

        async def take(request: DoorRequest) -> Answer:
            authorization = request.header(b"authorization")
            if authorization:
                basic = segment.basic_user(authorization)
                await self._authenticate(lambda: basic or request.bearer())
            self._collector.spool.refuse_when_full()
            try:
                body = segment.split_segment(await request.body(segment.BODY_BYTES), path_type)
            except TooLargeError as error:
                raise segment.SegmentLimitError(error.detail) from None
            if not authorization:
                write_key = body.write_key
                await self._authenticate(lambda: write_key or request.bearer())
            submission = self._collector.intake.submit(
                segment.decode_segment(body, path_type, self._reception())
            )
            del body
            receipt = await self._durable(submission, request)
            return Answer(200, segment.encode_segment_receipt(receipt))

        return self._guarded(take, segment.DOOR, _segment_error)

    def traces(self) -> Door:
        """Return the door for OTLP traces; its errors are in the encoding of the request."""

        async def take(request: DoorRequest) -> Answer:
            await self._authenticate(request.bearer)
            try:
                self._collector.spool.refuse_when_full()
            except OverloadedError as error:
                raise UnavailableError(error.detail, retry_after=error.retry_after) from None
            media_type = request.media_type
            submission = self._submit_traces(
                await request.body(self._services.settings.limits.body_bytes), media_type
            )
            receipt = await self._durable(submission, request)
            return Answer(200, otlp.encode_response(receipt, media_type), media_type)

        async def door(request: DoorRequest) -> Answer:
            kind = otlp.JSON if request.media_type == otlp.JSON else otlp.PROTOBUF

            def answer_error(error: CandorError) -> Answer:
                body = otlp.encode_error(error, kind)
                return Answer(error.status, body, kind, problem_headers(error))

            return await self._guarded(take, otlp.DOOR, answer_error)(request)

        return door

    def _guarded(
        self,
        take: Callable[[DoorRequest], Awaitable[Answer]],
        name: str,
        answer_error: Callable[[CandorError], Answer],
    ) -> Door:
        """Return a door that answers every error of the house in its own shape."""
        requests = self._services.metrics.requests

        async def door(request: DoorRequest) -> Answer:
            try:
                answer = await take(request)
            except CandorError as error:
                answer = answer_error(error)
            requests.labels(name, str(answer.status)).inc()
            return answer

        return door

    def _submit_native(self, body: bytes, media_type: str) -> Submission:
        batch = decode_native(body, media_type, self._reception())
        return self._collector.intake.submit(batch)

    def _submit_traces(self, body: bytes, media_type: str) -> Submission:
        traces = otlp.read_traces(body, media_type, self._reception())
        return self._collector.intake.submit_traces(traces)

    async def _durable(self, submission: Submission, request: DoorRequest) -> Receipt:
        receipt = await submission
        if request.header(_SYNC_HEADER) == "1":
            await asyncio.to_thread(self._collector.flush)
        return receipt

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


def _problem(error: CandorError) -> Answer:
    return Answer(error.status, problem_body(error), PROBLEM_TYPE, problem_headers(error))


def _segment_error(error: CandorError) -> Answer:
    body = segment.encode_segment_error(error)
    return Answer(error.status, body, headers=problem_headers(error))
