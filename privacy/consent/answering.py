"""Bodies in, decisions out: one check, or a batch that is decided as a set."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from candor.kernel.errors import CandorError, MalformedError, TooLargeError
from candor.kernel.secrets import Secrets
from privacy.consent.checking import Asked, Checker
from privacy.consent.questions import (
    CORRELATION_ID,
    CheckBody,
    FaultAnswer,
    answer_of,
    correlation_id,
    read_batch,
    read_check,
    read_whole_batch,
)

MOST_ITEMS = 1000
_ENCODER = msgspec.json.Encoder()


async def answer_check(  # noqa: PLR0913 - a request, and all that it is answered with
    checker: Checker, secrets: Secrets, now: datetime, body: bytes, caller: str, *, gpc: bool
) -> tuple[bytes, bool]:
    """Return the answer to one check, and whether it could be decided.

    Raises:
        MalformedError: the body is no JSON.
        InvalidInputError: it is no check; the place is named.
    """
    asked = read_check(body).asked(secrets, now, caller, gpc=gpc)
    answered = await checker.check_one(asked)
    could = answered.decision.reason != "state_unavailable"
    return _ENCODER.encode(answer_of(answered, asked)), could


async def answer_batch(  # noqa: PLR0913 - a request, and all that it is answered with
    checker: Checker, secrets: Secrets, now: datetime, body: bytes, caller: str, *, gpc: bool
) -> tuple[bytes, bool]:
    """Return the answer, a map by correlation id, and whether anything could be decided.

    An item that cannot be read is denied alone.

    Raises:
        TooLargeError: there are too many items.
        MalformedError: it is no batch, or an item has no correlation id, or that of another.
    """
    items: Sequence[CheckBody | msgspec.Raw] | None = read_whole_batch(body)
    if items is None:
        items = read_batch(body)
    answers: dict[str, object] = dict.fromkeys(_names(items))
    asked: dict[str, Asked] = {}
    for name, item in zip(answers, items, strict=True):
        try:
            check = item if isinstance(item, CheckBody) else read_check(item)
            asked[name] = check.asked(secrets, now, caller, gpc=gpc)
        except CandorError as error:
            answers[name] = FaultAnswer(error.detail, error.path)
    decided = await checker.check(list(asked.values())) if asked else []
    for (name, one), answered in zip(asked.items(), decided, strict=True):
        answers[name] = answer_of(answered, one)
    could = not decided or any(one.decision.reason != "state_unavailable" for one in decided)
    return _ENCODER.encode(answers), could


def _names(items: Sequence[CheckBody | msgspec.Raw]) -> list[str]:
    """Return the correlation ids of the items, in order.

    Raises:
        TooLargeError: there are too many.
        MalformedError: one has no correlation id, or that of another.
    """
    if len(items) > MOST_ITEMS:
        raise TooLargeError(f"A batch has at most {MOST_ITEMS} checks. Send several.")
    names: dict[str, None] = {}
    for number, item in enumerate(items):
        name = item.correlation_id if isinstance(item, CheckBody) else correlation_id(item)
        if name is None or name in names or not CORRELATION_ID.fullmatch(name):
            told = "has the correlation_id of another" if name else "has no correlation_id"
            raise MalformedError(
                f"Item {number} {told}: 1 to 36 letters, digits, dashes or underscores, each once.",
                path=f"{number}.correlation_id",
            )
        names[name] = None
    return list(names)
