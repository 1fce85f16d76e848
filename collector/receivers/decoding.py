"""What decoding doors share: naming a fault without repeating the value that is at fault."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, get_args

import msgspec

from candor.kernel.ports import Refusal
from candor.kernel.secrets import Secrets
from candor.kernel.settings import JourneySettings, LimitSettings
from collector.event import Outcome

_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]+)`")
MOST_AMOUNT = 1e13
Attributes = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=100)], msgspec.Raw], msgspec.Meta(max_length=250)
]
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding an item may raise: no JSON, not of its shape, no UTF-8, or nested too deeply."""

_NOT_TEXT = b"\xff"
_ONE_VALUE = json.JSONDecoder()
_SPACE = " \t\r\n"
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_NO_SUCH_WORD = "Invalid enum value"
_QUOTE = re.compile(r"['\"]")
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_JOURNEYS = JourneySettings()
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Reception:
    """The circumstances under which a request is decoded.

    ``source`` names who sent it: the name of the key. ``latest`` is the last instant that an event
    of this request may bear. ``journeys`` says what makes a span or log record a journey event.
    """

    received_at: datetime
    limits: LimitSettings
    secrets: Secrets
    source: str = ""
    journeys: JourneySettings = _JOURNEYS
    latest: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "latest", self.received_at + self.limits.future_skew)


class RefusedError(Exception):
    """Carries a refusal out of the reading of one item; it never leaves the receiver."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def time_fault(at: datetime, reception: Reception, path: str) -> Refusal | None:
    """Return the refusal of an instant that no honest clock can show; none for all others."""
    if _EARLIEST <= at <= reception.latest:
        return None
    return Refusal("clock_skew", "The time is before 1970 or too far in the future.", path)


def split_array(body: bytes) -> list[bytes]:
    """Return the items of a JSON array of which msgspec refuses one, such as a lone surrogate.

    Slow, and only used when the quick way failed: one such item must not fail the others.

    Raises:
        ValueError: it is not a JSON array even so.
    """
    text = body.decode()
    items: list[bytes] = []
    mark, position = ",", text.index("[")
    while mark == ",":
        start = _after_space(text, position + 1)
        _, end = _ONE_VALUE.raw_decode(text, start)
        items.append(text[start:end].encode())
        position = _after_space(text, end)
        mark = text[position : position + 1]
    if mark != "]" or text[position + 1 :].strip():
        raise ValueError("this is not one array")
    return items


def text_items(body: bytes, items: Sequence[bytes | msgspec.Raw]) -> Sequence[bytes | msgspec.Raw]:
    """Return the items of a body, with bytes that no decoder takes for those that are no UTF-8.

    Decoders do not look into values that they leave raw, and such a value would be stored.
    """
    if body.isascii() or _is_text(body):
        return items
    return [item if _is_text(bytes(item)) else _NOT_TEXT for item in items]


def malformed(error: msgspec.MsgspecError | UnicodeDecodeError | RecursionError) -> Refusal:
    """Return the refusal that a decoding error stands for: place and rule, never the value."""
    if isinstance(error, UnicodeDecodeError):
        return Refusal("malformed", "It is not UTF-8.")
    if isinstance(error, RecursionError):
        return Refusal("malformed", "It is nested too deeply.")
    text = str(error)
    found = _PLACE.search(text)
    path = found["path"] if found else ""
    rule = text[: found.start()] if found else text
    if missing := _MISSING.search(rule):
        return Refusal("malformed", "This field is required.", _join(path, missing["field"]))
    if unknown := _UNKNOWN.search(rule):
        name = unknown["field"]
        return Refusal(
            "malformed",
            "There is no such field. Values of your own belong under attributes.",
            _join(path, name) if is_plain_name(name) else path or None,
        )
    if rule.startswith(_NO_SUCH_WORD) and path == "outcome":
        return Refusal("malformed", f"An outcome is one of {', '.join(get_args(Outcome))}.", path)
    quoted = _QUOTE.search(rule)
    told = rule[: quoted.start()].rstrip() if quoted else rule
    return Refusal("malformed", told + ".", path or None)


def is_plain_name(name: str) -> bool:
    """Whether a name that a sender made up can be shown: nothing that may be a personal value."""
    return _PLAIN_NAME.fullmatch(name) is not None


def text_field(item: bytes | msgspec.Raw, name: str) -> str | None:
    """Return one text of an object that could not be read as a whole, if it has it."""
    try:
        return _TEXT.decode(_FIELDS.decode(item)[name])
    except (*UNREADABLE, KeyError):
        return None


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _after_space(text: str, position: int) -> int:
    while text[position : position + 1] and text[position] in _SPACE:
        position += 1
    return position


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
