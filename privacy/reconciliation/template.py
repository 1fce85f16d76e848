"""Texts with ``{{names}}`` in them, filled so that a value can never become something else.

In a path a value is percent-encoded, in a JSON pointer it is escaped, and in a body it stays inside
the text that it stands in. There ``{{#name}}`` alone is a number, and an entry ``{{*name}}`` of a
list stands for the entries of a list.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from candor.kernel.errors import InvalidInputError

Values = Mapping[str, Any]
_NAME = re.compile(r"\{\{\s*(?P<name>[a-z][a-z0-9_]*)\s*\}\}")
_SPREAD = re.compile(r"\{\{\s*\*\s*(?P<name>[a-z][a-z0-9_]*)\s*\}\}")
_NUMBER = re.compile(r"\{\{\s*#\s*(?P<name>[a-z][a-z0-9_]*)\s*\}\}")


def filled_path(text: str, values: Values) -> str:
    """Return a path of an address with its values percent-encoded."""
    return _filled(text, values, lambda value: quote(value, safe=""))


def filled_pointer(text: str, values: Values) -> str:
    """Return a JSON pointer with its values escaped. Source: RFC 6901, section 3."""
    return _filled(text, values, lambda value: value.replace("~", "~0").replace("/", "~1"))


def filled(value: Any, values: Values) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with the texts inside it filled."""
    if isinstance(value, str):
        number = _NUMBER.fullmatch(value)
        return _number(number["name"], values) if number else _filled(value, values, str)
    if isinstance(value, list):
        return [part for one in value for part in _entries(one, values)]
    if isinstance(value, dict):
        return {name: filled(one, values) for name, one in value.items()}
    return value


def names_in(value: Any) -> set[str]:  # noqa: ANN401 - any JSON value
    """Return every name that the texts of a JSON value mention."""
    if isinstance(value, str):
        found = [one for kind in (_NAME, _SPREAD, _NUMBER) for one in kind.finditer(value)]
        return {one["name"] for one in found}
    if isinstance(value, list):
        return set().union(*(names_in(one) for one in value))
    if isinstance(value, dict):
        return set().union(*(names_in(one) for one in value.values()))
    return set()


def _filled(text: str, values: Values, spelled: Callable[[str], str]) -> str:
    return _NAME.sub(lambda found: spelled(_value(found["name"], values)), text)


def _value(name: str, values: Values) -> str:
    value = values.get(name)
    if value is None or isinstance(value, list | dict):
        raise InvalidInputError(f"There is no single value for {name}.", path=name)
    return str(value)


def _number(name: str, values: Values) -> int:
    text = _value(name, values)
    if not text.isdecimal():
        raise InvalidInputError(f"The value for {name} is no number.", path=name)
    return int(text)


def _entries(entry: Any, values: Values) -> list[Any]:  # noqa: ANN401 - any JSON value
    found = _SPREAD.fullmatch(entry) if isinstance(entry, str) else None
    if found is None:
        return [filled(entry, values)]
    several = values.get(found["name"])
    return list(several) if isinstance(several, list) else []
