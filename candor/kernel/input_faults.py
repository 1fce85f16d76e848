"""What is wrong with an input, in words of the house: where, what, and what to write instead.

The messages of the validation library reach nobody: they speak of its types, and some quote what
was sent. A place holds names of fields, and never a key that looks like a value of a person.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from candor.kernel.errors import InvalidInputError

_TEXT_AT_LEAST = "It needs at least {min_length} characters."
_TEXT_AT_MOST = "It has at most {max_length} characters."
_LIST_AT_LEAST = "It needs at least {min_length} entries."
_LIST_AT_MOST = "It has at most {max_length} entries."
_BOOL = "Write true or false."
_WHOLE = "Write a whole number."
_NUMBER = "Write a number."
_LIST = 'Write a list such as ["a", "b"].'
_MAPPING = "Write a mapping of names to values."
_INSTANT = "Write an instant as RFC 3339 with its zone, such as 2026-11-22T09:00:00Z."
_DATE = "Write a date such as 2026-11-22."
_PERIOD = "Write a time such as PT30M, P7D or a number of seconds."
_UNFORESEEN = "It has a value of another kind than the one that is needed."

RULES: Mapping[str, str] = {
    "extra_forbidden": "There is no such field. Is it misspelt? Leave it out or mend its name.",
    "missing": "It is needed: add it.",
    "json_invalid": "This is no JSON that can be read. Mend it from this place on.",
    "bool_parsing": _BOOL,
    "bool_type": _BOOL,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": "It must be more than {gt}.",
    "greater_than_equal": "It must be {ge} or more.",
    "less_than": "It must be less than {lt}.",
    "less_than_equal": "It must be {le} or less.",
    "literal_error": "It is one of {expected}.",
    "enum": "It is one of {expected}.",
    "union_tag_invalid": "It is one of {expected_tags}.",
    "none_required": "Leave it out, or write null.",
    "string_type": "Write a text.",
    "string_too_short": _TEXT_AT_LEAST,
    "string_too_long": _TEXT_AT_MOST,
    "string_pattern_mismatch": "It must match the pattern {pattern}.",
    "too_short": _LIST_AT_LEAST,
    "too_long": _LIST_AT_MOST,
    "time_delta_parsing": _PERIOD,
    "time_delta_type": _PERIOD,
    "datetime_parsing": _INSTANT,
    "datetime_from_date_parsing": _INSTANT,
    "datetime_object_invalid": _INSTANT,
    "datetime_type": _INSTANT,
    "timezone_aware": "Say its zone: " + _INSTANT[0].lower() + _INSTANT[1:],
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_type": _DATE,
    "uuid_parsing": "Write an id such as 01930000-0000-7000-8000-000000000000.",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "path_type": "Write a path.",
    "value_error": "{error}.",
}
_QUOTED = re.compile(r"'([^']*)'")
_NAME = re.compile(r"[A-Za-z_*][A-Za-z0-9_./*-]{0,79}")


@dataclass(frozen=True, slots=True)
class InputFault:
    """One fault: ``path`` is dotted and may be empty; ``allowed`` are the values, where few."""

    path: str
    message: str
    allowed: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The place and what is wrong there."""
        return f"{self.path}: {self.message}" if self.path else self.message

    @property
    def document(self) -> dict[str, object]:
        """The fault as a problem document tells it."""
        told: dict[str, object] = {"path": self.path, "message": self.message}
        return told | {"allowed": list(self.allowed)} if self.allowed else told


def faults_of(errors: Sequence[Mapping[str, object]]) -> list[InputFault]:
    """Return the faults that the validation library found, in its order and without any value."""
    return [_fault(one) for one in errors]


def first_fault(error: ValidationError) -> InputFault:
    """Return the first fault of a document."""
    return _fault(error.errors(include_input=False, include_url=False)[0])


def invalid_input(error: ValidationError) -> InvalidInputError:
    """Return the first fault of a document as an error of the house."""
    fault = first_fault(error)
    return InvalidInputError(fault.message, path=fault.path or None)


def message_of(kind: str, context: Mapping[str, object], rules: Mapping[str, str] = RULES) -> str:
    """Return what to write, for a kind of fault and what the library knows of its rule."""
    values = {name: str(value).removesuffix(".") for name, value in context.items()}
    return rules.get(kind, _UNFORESEEN).format_map(values)


def _fault(error: Mapping[str, object]) -> InputFault:
    kind, place, context = str(error["type"]), error["loc"], error.get("ctx") or {}
    if not isinstance(place, tuple) or not isinstance(context, Mapping):
        raise TypeError(kind)
    told = message_of(kind, context)
    named = context.get("expected") or context.get("expected_tags") or ""
    allowed = tuple(_QUOTED.findall(str(named)))
    return InputFault(".".join(map(_part, place)), told[0].upper() + told[1:], allowed)


def _part(part: object) -> str:
    return str(part) if isinstance(part, int) else told_name(str(part))


def unknown_parameter(name: str, known: Collection[str]) -> InvalidInputError:
    """Return what to raise of a query parameter that an operation does not know."""
    listed = f"it is one of {', '.join(known)}" if known else "none is taken here"
    return InvalidInputError(f"There is no such parameter: {listed}.", path=told_name(name))


def told_name(name: str) -> str:
    """Return a name as a place tells it; what is no name may be a value, and is not repeated."""
    return name if _NAME.fullmatch(name) else "?"
