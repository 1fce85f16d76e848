"""``POST /v1/traces``, ``/v1/logs``, ``/v1/metrics``: OTLP over HTTP.

Errors are in the encoding of the request. A full spool is 503 and never 429, which some exporters
take for final.
"""

from collections.abc import Mapping
from functools import partial

from candor.kernel.errors import CandorError, OverloadedError, UnavailableError
from candor.kernel.http import Answer, Door, DoorRequest, Doors
from candor.kernel.ports import OtlpSignal
from candor.kernel.problems import problem_headers
from collector.entrance import Entrance
from collector.intake import Submission
from collector.pressure import Kind
from collector.receivers import otlp
from collector.receivers.otlp_shape import DOOR, SHAPES

_LARGE_JSON_BYTES = 128 * 1024
"""From here on reading JSON, which is slow, would hold up every other request."""
KINDS: Mapping[OtlpSignal, Kind] = {"traces": "traces", "logs": "other", "metrics": "other"}
"""How the pressure on the spool sees each signal; of logs, single records are shed."""


def otlp_doors(entrance: Entrance) -> Doors:
    """Return the door of each signal."""
    return {("POST", f"/v1/{signal}"): _door(entrance, signal) for signal in SHAPES}


def submit_otlp(
    entrance: Entrance, signal: OtlpSignal, body: bytes, media_type: str, source: str
) -> Submission:
    """Read a request and send it through the pipeline; under pressure debug logs are left out."""
    pressure = entrance.collector.spool.pressure
    sheds = signal == "logs" and pressure.sheds("debug_logs")
    request = otlp.read_request(
        signal, body, media_type, entrance.reception(source), shed_debug=sheds
    )
    if sheds:
        pressure.count_shed("debug_logs", len(request.shed))
    return entrance.collector.intake.submit_otlp(signal, request, source)


def _door(entrance: Entrance, signal: OtlpSignal) -> Door:
    async def take(request: DoorRequest) -> Answer:
        source = await entrance.authenticate(request.bearer, DOOR)
        entrance.admit(source, KINDS[signal])
        media_type = request.media_type
        body = await request.body(entrance.services.settings.limits.body_bytes)
        is_slow = media_type == otlp.JSON and len(body) > _LARGE_JSON_BYTES
        submission = await entrance.submitted(
            partial(submit, body, media_type, source), is_slow=is_slow
        )
        del body
        receipt = await entrance.durable(submission, request)
        return Answer(200, otlp.encode_response(signal, receipt, media_type), media_type)

    def submit(body: bytes, media_type: str, source: str) -> Submission:
        return submit_otlp(entrance, signal, body, media_type, source)

    async def door(request: DoorRequest) -> Answer:
        kind = otlp.JSON if request.media_type == otlp.JSON else otlp.PROTOBUF

        def answer_error(error: CandorError) -> Answer:
            if isinstance(error, OverloadedError):
                error = UnavailableError(error.detail, retry_after=error.retry_after)
            body = otlp.encode_error(error, kind)
            return Answer(error.status, body, kind, problem_headers(error))

        return await entrance.guarded(take, DOOR, answer_error)(request)

    return door
