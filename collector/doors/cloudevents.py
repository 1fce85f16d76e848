"""``POST /v1/events``: CloudEvents, answered in the shape of the native door."""

from dataclasses import replace
from functools import partial

from candor.kernel.http import Answer, DoorRequest, Doors
from collector.entrance import Entrance, answer_problem
from collector.event import Receipt
from collector.intake import Submission
from collector.receivers.cloudevents import DOOR, decode_cloudevents, sent_id
from collector.receivers.native import encode_receipt


def cloudevents_doors(entrance: Entrance) -> Doors:
    """Return the door for CloudEvents."""

    async def take(request: DoorRequest) -> Answer:
        source = await entrance.authenticate(request.bearer, DOOR)
        entrance.admit(source)
        body = await request.body(entrance.services.settings.limits.body_bytes)
        submission = await entrance.submitted(partial(submit, body, request, source))
        del body
        receipt = await entrance.durable(submission, request)
        return Answer(200, encode_receipt(_as_sent(receipt)))

    def submit(body: bytes, request: DoorRequest, source: str) -> Submission:
        content_type = request.header(b"content-type")
        batch = decode_cloudevents(body, content_type, request.headers, entrance.reception(source))
        return entrance.collector.submit(batch)

    return {("POST", "/v1/events"): entrance.guarded(take, DOOR, answer_problem)}


def _as_sent(receipt: Receipt) -> Receipt:
    """Return a receipt that names events by the ids that their sender gave."""
    rejections = tuple(replace(one, id=sent_id(one.id or "")) for one in receipt.rejections)
    return replace(receipt, rejections=rejections)
