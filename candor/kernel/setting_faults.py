"""What is wrong with a setting, in one sentence that names it as the reader wrote it."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_AT_LEAST = "It needs at least {min_length} characters."
_RULES: Mapping[str, str] = {
    "extra_forbidden": "There is no such setting. Is it misspelt?",
    "missing": "It is needed.",
    "bool_parsing": "Write true or false.",
    "bool_type": "Write true or false.",
    "int_parsing": "Write a whole number.",
    "int_type": "Write a whole number.",
    "int_from_float": "Write a whole number.",
    "float_parsing": "Write a number.",
    "float_type": "Write a number.",
    "greater_than": "It must be more than {gt}.",
    "greater_than_equal": "It must be {ge} or more.",
    "less_than": "It must be less than {lt}.",
    "less_than_equal": "It must be {le} or less.",
    "literal_error": "It is one of {expected}.",
    "string_type": "Write a text.",
    "string_too_short": _AT_LEAST,
    "too_short": _AT_LEAST,
    "time_delta_parsing": "Write a time such as PT30M, P7D or a number of seconds.",
    "time_delta_type": "Write a time such as PT30M, P7D or a number of seconds.",
    "dict_type": "Write a mapping: as a variable in JSON, in the file as a table.",
    "model_type": "Write a group of settings: as a variable in JSON, in the file as a table.",
    "model_attributes_type": "Write a group of settings: in the file as a table.",
    "tuple_type": 'Write a list such as ["a", "b"].',
    "list_type": 'Write a list such as ["a", "b"].',
    "frozen_set_type": 'Write a list such as ["a", "b"].',
    "path_type": "Write a path.",
    "value_error": "{error}.",
}
_UNFORESEEN = "It has a value of another kind than the one that is needed."
_URL = "^https?://"


def complaints(error: ValidationError, file: Path, prefix: str) -> list[str]:
    """Return a sentence for each fault, in order, without the value that is at fault.

    A setting is named by its variable, or by its place in the file where it stands there and no
    variable is set.
    """
    written = _read(file)
    faults = error.errors(include_url=False, include_input=False)
    return [_complaint(fault, written, file.name, prefix) for fault in faults]


def _complaint(fault: ErrorDetails, written: Mapping[str, Any], file_name: str, prefix: str) -> str:
    told = _told(fault)
    place = [str(part) for part in fault["loc"]]
    if not place:
        return told[0].upper() + told[1:]
    variable = prefix + "__".join(place).upper()
    if _is_in(written, place) and not _is_set(variable):
        return f"{'.'.join(place)} in {file_name}: {told}"
    return f"{variable}: {told}"


def _told(fault: ErrorDetails) -> str:
    context = fault.get("ctx", {})
    kind = fault["type"]
    if kind == "string_pattern_mismatch":
        is_url = context["pattern"] == _URL
        return (
            "Write an address that begins with http:// or https://."
            if is_url
            else f"It must match the pattern {context['pattern']}."
        )
    rule = _RULES.get(kind, _UNFORESEEN)
    return rule.format_map({name: str(value).removesuffix(".") for name, value in context.items()})


def _is_set(variable: str) -> bool:
    """Whether this variable is set, or the one of a group that it is part of."""
    parts = variable.split("__")
    names = {"__".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return any(name.upper() in names for name in os.environ)


def _is_in(written: Mapping[str, Any], place: list[str]) -> bool:
    part: Any = written
    for name in place:
        if not isinstance(part, Mapping) or name not in part:
            return False
        part = part[name]
    return True


def _read(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what it lacks is looked for in the environment alone
        return {}
