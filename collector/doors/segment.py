"""``POST /v1/track`` and its siblings: the calls of Segment's clients."""

from functools import partial

from candor.kernel.errors import CandorError, TooLargeError
from candor.kernel.http import Answer, Door, DoorRequest, Doors
from candor.kernel.problems import problem_headers
from collector.entrance import Entrance
from collector.intake import Submission
from collector.receivers.segment import (
    BATCHES,
    BODY_BYTES,
    SegmentBody,
    SegmentLimitError,
    basic_user,
    decode_segment,
    encode_segment_error,
    encode_segment_receipt,
    split_segment,
)
from collector.receivers.segment_call import CALL_TYPES, DOOR


def segment_doors(entrance: Entrance) -> Doors:
    """Return a door for each of Segment's calls."""
    return {
        ("POST", f"/v1/{path_type}"): _door(entrance, path_type)
        for path_type in (*CALL_TYPES, *BATCHES)
    }


def _door(entrance: Entrance, path_type: str) -> Door:
    """Return the door for one of the calls; the key may travel in three places."""

    async def take(request: DoorRequest) -> Answer:
        authorization = request.header(b"authorization")
        source = ""
        if authorization:
            basic = basic_user(authorization)
            source = await entrance.authenticate(lambda: basic or request.bearer(), DOOR)
        entrance.admit(source)
        try:
            body = split_segment(await request.body(BODY_BYTES), path_type)
        except TooLargeError as error:
            raise SegmentLimitError(error.detail) from None
        if not authorization:
            write_key = body.write_key
            source = await entrance.authenticate(lambda: write_key or request.bearer(), DOOR)
            entrance.collector.spool.refuse_when_full(source)
        submission = await entrance.submitted(partial(submit, body, source))
        del body
        receipt = await entrance.durable(submission, request)
        return Answer(200, encode_segment_receipt(receipt))

    def submit(body: SegmentBody, source: str) -> Submission:
        batch = decode_segment(body, path_type, entrance.reception(source))
        return entrance.collector.submit(batch)

    return entrance.guarded(take, DOOR, _answer_error)


def _answer_error(error: CandorError) -> Answer:
    return Answer(error.status, encode_segment_error(error), headers=problem_headers(error))
