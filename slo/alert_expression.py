"""Conditions of alerts combined by name: ``(fast-1h and fast-5m) or slow-24h``.

``and`` binds tighter than ``or``. OpenSLO v1 has one condition a policy; this extends it.
"""

import re
from collections.abc import Iterator
from itertools import product

from candor.kernel.errors import InvalidInputError

_TOKEN = re.compile(r"\s*(?:([()])|([A-Za-z0-9][-_.A-Za-z0-9]*))")
_MOST_ALTERNATIVES = 64
_SENTENCE = "Combine the names of AlertConditions by and, or and brackets: (a and b) or c."

Alternatives = list[tuple[str, ...]]
"""Groups of names: all of a group together, or all of another."""


def alternatives(text: str) -> Alternatives:
    """Return the groups of names of which one whole group is enough.

    Raises:
        InvalidInputError: it is no such expression, or has more than 64 groups.
    """
    tokens = list(_tokens(text))
    groups, rest = _any_of(tokens)
    if rest:
        raise InvalidInputError(_SENTENCE)
    return list(dict.fromkeys(groups))


def _tokens(text: str) -> Iterator[str]:
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidInputError(_SENTENCE)
        position = match.end()
        yield match[1] or match[2]


def _any_of(tokens: list[str]) -> tuple[Alternatives, list[str]]:
    groups, rest = _all_of(tokens)
    while rest and rest[0] == "or":
        more, rest = _all_of(rest[1:])
        groups = _bounded([*groups, *more])
    return groups, rest


def _all_of(tokens: list[str]) -> tuple[Alternatives, list[str]]:
    groups, rest = _one(tokens)
    while rest and rest[0] == "and":
        more, rest = _one(rest[1:])
        groups = _bounded([tuple(dict.fromkeys(a + b)) for a, b in product(groups, more)])
    return groups, rest


def _one(tokens: list[str]) -> tuple[Alternatives, list[str]]:
    if not tokens or tokens[0] in {")", "and", "or"}:
        raise InvalidInputError(_SENTENCE)
    if tokens[0] != "(":
        return [(tokens[0],)], tokens[1:]
    groups, rest = _any_of(tokens[1:])
    if not rest or rest[0] != ")":
        raise InvalidInputError(_SENTENCE)
    return groups, rest[1:]


def _bounded(groups: Alternatives) -> Alternatives:
    if len(groups) > _MOST_ALTERNATIVES:
        raise InvalidInputError("This has too many alternatives. Write several policies.")
    return groups
