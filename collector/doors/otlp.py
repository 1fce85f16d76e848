"""``POST /v1/traces``: OTLP over HTTP; errors are in the encoding of the request."""

from candor.kernel.errors import CandorError, OverloadedError, UnavailableError
from candor.kernel.http import Answer, DoorRequest, Doors
from candor.kernel.problems import problem_headers
from collector.entrance import Entrance
from collector.intake import Submission
from collector.receivers import otlp


def otlp_doors(entrance: Entrance) -> Doors:
    """Return the door for traces."""

    async def take(request: DoorRequest) -> Answer:
        source = await entrance.authenticate(request.bearer, otlp.DOOR)
        entrance.collector.spool.refuse_when_full(source, "traces")
        media_type = request.media_type
        submission = submit(
            await request.body(entrance.services.settings.limits.body_bytes), media_type, source
        )
        receipt = await entrance.durable(submission, request)
        return Answer(200, otlp.encode_response(receipt, media_type), media_type)

    def submit(body: bytes, media_type: str, source: str) -> Submission:
        traces = otlp.read_traces(body, media_type, entrance.reception(source))
        return entrance.collector.intake.submit_traces(traces, source)

    async def door(request: DoorRequest) -> Answer:
        kind = otlp.JSON if request.media_type == otlp.JSON else otlp.PROTOBUF

        def answer_error(error: CandorError) -> Answer:
            if isinstance(error, OverloadedError):
                error = UnavailableError(error.detail, retry_after=error.retry_after)
            body = otlp.encode_error(error, kind)
            return Answer(error.status, body, kind, problem_headers(error))

        return await entrance.guarded(take, otlp.DOOR, answer_error)(request)

    return {("POST", "/v1/traces"): door}
