"""What decoding doors share: naming a fault without repeating the value that is at fault."""

import re

import msgspec

from candor.kernel.ports import Refusal

_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]+)`")
_QUOTED = re.compile(r"'[^']*'")


def malformed(error: msgspec.MsgspecError | RecursionError) -> Refusal:
    """Return the refusal that a decoding error stands for: place and rule, never the value."""
    if isinstance(error, RecursionError):
        return Refusal("malformed", "It is nested too deeply.")
    text = str(error)
    found = _PLACE.search(text)
    path = found["path"] if found else ""
    rule = text[: found.start()] if found else text
    if missing := _MISSING.search(rule):
        return Refusal("malformed", "This field is required.", _join(path, missing["field"]))
    if unknown := _UNKNOWN.search(rule):
        return Refusal(
            "malformed",
            "There is no such field. Values of your own belong under attributes.",
            _join(path, unknown["field"]),
        )
    return Refusal("malformed", _QUOTED.sub("value", rule) + ".", path or None)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
