"""JSON Schemas as checks: a msgspec type where one can say the same, jsonschema-rs otherwise.

The compiled type is only ever asked whether an event is valid. What it refuses, jsonschema-rs looks
at again: it has the last word and names the place, so both kinds of check give the same faults.
The type may therefore be stricter than the schema (``1.0`` where an integer is wanted), never
more lenient; schemas that it cannot express strictly enough are not compiled.

Source: JSON Schema, draft 2020-12, "Validation"; formats are annotations.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from types import GenericAlias
from typing import Annotated, Any, Literal

import jsonschema_rs
import msgspec

from candor.kernel.errors import InvalidInputError
from candor.kernel.ports import Refusal
from collector.contracts.pattern import python_pattern
from collector.receivers.decoding import is_plain_name

MOST_DEPTH = 40
_ALL_TYPES = ("string", "number", "boolean", "null", "array", "object")
_DIALECTS = re.compile(
    r"https?://json-schema\.org/(draft/2020-12|draft/2019-09|draft-07|draft-06)/schema#?"
)
_ANNOTATIONS = frozenset(
    {
        *("$schema", "$id", "$comment", "title", "description", "default", "examples", "format"),
        *("deprecated", "readOnly", "writeOnly", "contentEncoding", "contentMediaType"),
    }
)
_EXPRESSED = _ANNOTATIONS | {
    *("type", "enum", "const", "properties", "required", "additionalProperties", "items"),
    *("minItems", "maxItems", "minLength", "maxLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
_EXACT = 2**53
_COMPARISONS = {
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
}
_NUMBERS_IN_RULES = {
    "minimum": "The value must be at least {limit}.",
    "maximum": "The value must be at most {limit}.",
    "exclusiveMinimum": "The value must be over {limit}.",
    "exclusiveMaximum": "The value must be under {limit}.",
    "multipleOf": "The value must be a multiple of {multiple_of}.",
    "minLength": "The text must have at least {limit} characters.",
    "maxLength": "The text may have {limit} characters.",
    "minItems": "There must be at least {limit} items.",
    "maxItems": "There may be {limit} items.",
    "minProperties": "There must be at least {limit} fields.",
    "maxProperties": "There may be {limit} fields.",
}
_RULES = {
    "required": "This field is required.",
    "enum": "The value is none of those that the contract lists.",
    "const": "The value is not the one that the contract demands.",
    "pattern": "The text does not match the contract's pattern.",
    "additionalProperties": "The contract knows no such field.",
    "unevaluatedProperties": "The contract knows no such field.",
    "falseSchema": "The contract allows nothing here.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """Tells whether a document keeps a schema. Safe to share between threads."""

    accepts: Callable[[bytes | msgspec.Raw], object] | None
    validator: jsonschema_rs.Validator

    @property
    def compiled(self) -> bool:
        """Whether valid documents are recognised without jsonschema-rs."""
        return self.accepts is not None

    def fault(self, document: bytes | msgspec.Raw) -> Refusal | None:
        """Return the first fault of a JSON document, or none.

        ``path`` is dotted; ``message`` names the rule and never the value.
        """
        try:
            if self.accepts is not None:
                self.accepts(document)
                return None
        except (msgspec.MsgspecError, RecursionError):
            pass
        try:
            value = msgspec.json.decode(document)
            fault = next(iter(self.validator.iter_errors(value)), None)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return Refusal("malformed", "It cannot be read as JSON of reasonable depth.")
        return _refusal(fault) if fault is not None else None


def compile_schema(schema: Mapping[str, Any]) -> Check:
    """Return the check of a schema that describes an object.

    Raises:
        InvalidInputError: it is no JSON Schema, is nested too deeply, refers to another document,
            or has a pattern that cannot be matched in linear time; the path says where.
    """
    if is_too_deep(schema):
        raise InvalidInputError(
            f"A schema may be nested {MOST_DEPTH} levels deep. Flatten it.", path="schema"
        )
    try:
        validator = _validator(dict(schema))
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{part}" for part in error.instance_path)
        raise InvalidInputError(
            "This is no JSON Schema that can be used: it breaks its own specification, refers to"
            " another document, or has a pattern with look-around or a back reference.",
            path=f"schema{place}",
        ) from None
    except (ValueError, TypeError, RecursionError):
        raise InvalidInputError("The schema is no JSON Schema.", path="schema") from None
    try:
        root = _type_of({"type": "object"} | dict(schema))
        return Check(msgspec.json.Decoder(root).decode, validator)
    except (_NotExpressibleError, TypeError, ValueError):  # msgspec refuses unions it cannot tell
        return Check(None, validator)


def is_valid(root: Mapping[str, Any], schema: Any, value: object) -> bool:  # noqa: ANN401 - a JSON Schema
    """Whether a value is sure to keep a part of a schema; ``root`` has what it may refer to."""
    if not isinstance(schema, dict):
        return schema is True
    definitions = {key: root[key] for key in ("$defs", "definitions", "$schema") if key in root}
    try:
        return _validator(definitions | schema).is_valid(value)
    except jsonschema_rs.ValidationError:  # it refers to another part of the whole
        return False


def is_too_deep(value: object, left: int = MOST_DEPTH) -> bool:
    """Whether a JSON value is nested deeper than schemas may be."""
    if isinstance(value, dict):
        return left == 0 or any(is_too_deep(one, left - 1) for one in value.values())
    return isinstance(value, list) and (
        left == 0 or any(is_too_deep(one, left - 1) for one in value)
    )


def _validator(schema: Any) -> jsonschema_rs.Validator:  # noqa: ANN401 - a JSON Schema
    """Return the last word on a schema: nothing is fetched, and patterns run in linear time."""
    return jsonschema_rs.validator_for(
        schema,
        validate_formats=False,
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


class _NotExpressibleError(Exception):
    """A schema says what no type of msgspec says; it never leaves this module."""


def _type_of(schema: Any) -> Any:  # noqa: ANN401 - a type for msgspec
    """Return a type that accepts only what ``schema`` accepts."""
    if schema is True or (isinstance(schema, dict) and not schema.keys() - _ANNOTATIONS):
        return msgspec.Raw
    if schema is False or schema.keys() - _EXPRESSED:
        raise _NotExpressibleError
    if "$schema" in schema and not _DIALECTS.fullmatch(schema["$schema"]):
        raise _NotExpressibleError
    if "enum" in schema or "const" in schema:
        return _one_of(schema)
    kinds = schema.get("type", _ALL_TYPES)
    names = {kinds} if isinstance(kinds, str) else set(kinds)
    if "number" in names:
        names.discard("integer")
    if "pattern" in schema and not names <= {"string", "null"}:
        # In a union with a list, msgspec 0.22 frees the pattern of a text once too often.
        raise _NotExpressibleError
    types = [_BY_TYPE[name](schema) for name in sorted(names)]
    return reduce(operator.or_, types)


def _one_of(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Return the listed values that the rest of the schema accepts too."""
    rest = {key: value for key, value in schema.items() if key not in {"enum", "const", "$schema"}}
    validator = _validator(rest)
    values = [schema["const"]] if "const" in schema else schema["enum"]
    if "const" in schema and "enum" in schema:
        values = [value for value in schema["enum"] if _same(value, schema["const"])]
    allowed = [value for value in values if validator.is_valid(value)]
    if not allowed or not all(
        value is None or type(value) is str or (type(value) is int and abs(value) < _EXACT)
        for value in allowed
    ):
        raise _NotExpressibleError
    return Literal[tuple(allowed)]


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _string(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    limits: dict[str, Any] = {
        name: int(schema[keyword])
        for keyword, name in (("minLength", "min_length"), ("maxLength", "max_length"))
        if keyword in schema
    }
    if "pattern" not in schema:
        return Annotated[str, msgspec.Meta(**limits)] if limits else str
    pattern = python_pattern(schema["pattern"])
    if pattern is None:
        raise _NotExpressibleError
    return Annotated[str, msgspec.Meta(pattern=pattern, **limits)]


def _integer(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    least = [math.ceil(bound) for bound in _bounds(schema, "minimum")]
    least += [math.floor(bound) + 1 for bound in _bounds(schema, "exclusiveMinimum")]
    most = [math.floor(bound) for bound in _bounds(schema, "maximum")]
    most += [math.ceil(bound) - 1 for bound in _bounds(schema, "exclusiveMaximum")]
    limits: dict[str, Any] = {"ge": max(least)} if least else {}
    limits |= {"le": min(most)} if most else {}
    return Annotated[int, msgspec.Meta(**limits)] if limits else int


def _number(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    limits: dict[str, Any] = {
        name: bound for key, name in _COMPARISONS.items() for bound in _bounds(schema, key)
    }
    if {"ge", "gt"} <= limits.keys() or {"le", "lt"} <= limits.keys():
        raise _NotExpressibleError
    return Annotated[float, msgspec.Meta(**limits)] if limits else float


def _bounds(schema: Mapping[str, Any], keyword: str) -> Iterator[float]:
    """Yield the bound of that keyword, if there is one that floating point holds exactly."""
    if keyword in schema:
        bound = schema[keyword]
        if isinstance(bound, bool) or abs(bound) >= _EXACT:
            raise _NotExpressibleError
        yield bound


def _array(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    if not isinstance(schema.get("items", True), dict | bool):
        raise _NotExpressibleError
    of_items = GenericAlias(list, (_type_of(schema.get("items", True)),))
    limits: dict[str, Any] = {
        name: int(schema[keyword])
        for keyword, name in (("minItems", "min_length"), ("maxItems", "max_length"))
        if keyword in schema
    }
    return Annotated[of_items, msgspec.Meta(**limits)] if limits else of_items


def _object(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Return a Struct of the constrained fields; all others are read over."""
    others = schema.get("additionalProperties", True)
    if not isinstance(others, bool):
        raise _NotExpressibleError
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    fields: list[Any] = []
    renamed: dict[str, str] = {}
    for name in dict.fromkeys([*properties, *sorted(required)]):
        kind = _type_of(properties.get(name, True))
        if kind is msgspec.Raw and name not in required and others:
            continue
        field = f"f{len(fields)}"
        renamed[field] = name
        if name in required:
            fields.append((field, kind))
        else:
            fields.append((field, kind | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(
        "Checked",
        sorted(fields, key=len),
        rename=renamed,
        forbid_unknown_fields=not others,
        gc=False,
    )


_BY_TYPE: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: bool,
    "null": lambda _: None,
    "array": _array,
    "object": _object,
}


def _refusal(error: jsonschema_rs.ValidationError) -> Refusal:
    rule, facts = error.kind.name, error.kind.as_dict()
    path = list(error.instance_path)
    if rule == "required":
        path.append(facts["property"])
    elif "unexpected" in facts:
        path.append(next(iter(facts["unexpected"]), ""))
    template = _NUMBERS_IN_RULES.get(rule)
    message = template.format(**facts) if template is not None else _RULES.get(rule)
    if rule == "type":
        message = f"The value must be of type {' or '.join(sorted(facts['types']))}."
    told = message or f"The contract's rule {rule} is not kept."
    return Refusal("schema_violation", told, _shown(path))


def _shown(path: list[str | int]) -> str | None:
    """Return a path as dotted text, up to the first key that may itself be a personal value."""
    shown: list[str] = []
    for part in path:
        if isinstance(part, str) and not is_plain_name(part):
            break
        shown.append(str(part))
    return ".".join(shown) or None
