"""``POST /api/v1/events``: Candor's own events."""

from functools import partial

from candor.kernel.http import Answer, DoorRequest, Doors
from collector.entrance import Entrance, answer_problem
from collector.intake import Submission
from collector.receivers.native import DOOR, decode_native, encode_receipt


def native_doors(entrance: Entrance) -> Doors:
    """Return the door for native events."""

    async def take(request: DoorRequest) -> Answer:
        source = await entrance.authenticate(request.bearer, DOOR)
        entrance.admit(source)
        body = await request.body(entrance.services.settings.limits.body_bytes)
        submission = await entrance.submitted(partial(submit, body, request.media_type, source))
        del body
        return Answer(200, encode_receipt(await entrance.durable(submission, request)))

    def submit(body: bytes, media_type: str, source: str) -> Submission:
        batch = decode_native(body, media_type, entrance.reception(source))
        return entrance.collector.intake.submit(batch)

    return {("POST", "/api/v1/events"): entrance.guarded(take, DOOR, answer_problem)}
