"""What is wrong with a setting, in one sentence that names it as the reader wrote it."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from candor.kernel.input_faults import RULES, message_of

_GROUP = "Write a group of settings: as a variable in JSON, in the file as a table."
_RULES: Mapping[str, str] = {
    **RULES,
    "extra_forbidden": "There is no such setting. Is it misspelt?",
    "missing": "It is needed.",
    "too_short": RULES["string_too_short"],
    "dict_type": "Write a mapping: as a variable in JSON, in the file as a table.",
    "model_type": _GROUP,
    "model_attributes_type": "Write a group of settings: in the file as a table.",
}
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
    if fault["type"] == "string_pattern_mismatch" and context["pattern"] == _URL:
        return "Write an address that begins with http:// or https://."
    return message_of(fault["type"], context, _RULES)


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
