"""What a detector found in one text, and where a finding stands in a payload."""

from typing import NamedTuple

Path = tuple[str, ...]
"""The way from the root of a payload to a value: the keys and indices that lead there."""


class Finding(NamedTuple):
    """One personal value in a text: ``[start, end)`` counts characters, ``score`` is in [0, 1]."""

    entity: str
    start: int
    end: int
    score: float
    recognizer: str


class Located(NamedTuple):
    """A finding, where its text stands in the payload, and what the policy does with it."""

    path: Path
    finding: Finding
    action: str


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer. Source: RFC 6901."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)


def field_of(path: Path) -> str:
    """Return the field that a path leads to: names with dots, and one ``[]`` for any index.

    Policies and findings speak of fields, so that a list has one however long it is.
    """
    parts: list[str] = []
    for part in path:
        if part.isdigit() and parts:
            parts[-1] += "[]" if not parts[-1].endswith("[]") else ""
        else:
            parts.append(part)
    return ".".join(parts)
