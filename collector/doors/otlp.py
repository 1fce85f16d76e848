"""``POST /v1/traces``, ``/v1/logs``, ``/v1/metrics``: OTLP over HTTP.

Errors are in the encoding of the request. A full spool is 503 and never 429, which some exporters
take for final.
"""

from candor.kernel.errors import CandorError
from candor.kernel.http import Answer, Door, DoorRequest, Doors
from candor.kernel.ports import OtlpSignal
from candor.kernel.problems import problem_headers
from collector.entrance import Entrance
from collector.intake import Submission
from collector.receivers import otlp
from collector.receivers.otlp_shape import DOOR, SHAPES


def otlp_doors(entrance: Entrance) -> Doors:
    """Return the door of each signal."""
    return {("POST", f"/v1/{signal}"): _door(entrance, signal) for signal in SHAPES}


def _door(entrance: Entrance, signal: OtlpSignal) -> Door:
    async def take(request: DoorRequest) -> Answer:
        source = await entrance.authenticate(request.bearer, DOOR)
        entrance.refuse_when_overloaded()
        media_type = request.media_type
        submission = submit(
            await request.body(entrance.services.settings.limits.body_bytes), media_type, source
        )
        receipt = await entrance.durable(submission, request)
        return Answer(200, otlp.encode_response(signal, receipt, media_type), media_type)

    def submit(body: bytes, media_type: str, source: str) -> Submission:
        request = otlp.read_request(signal, body, media_type, entrance.reception(source))
        return entrance.collector.intake.submit_otlp(signal, request)

    async def door(request: DoorRequest) -> Answer:
        kind = otlp.JSON if request.media_type == otlp.JSON else otlp.PROTOBUF

        def answer_error(error: CandorError) -> Answer:
            body = otlp.encode_error(error, kind)
            return Answer(error.status, body, kind, problem_headers(error))

        return await entrance.guarded(take, DOOR, answer_error)(request)

    return door
