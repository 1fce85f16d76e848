"""Compiled checks and jsonschema-rs agree, whatever the schema and the document."""

from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from collector.contracts.compilation import Check, compile_schema
from collector.contracts.pattern import python_pattern
from tests.support.schemas import OBJECT_SCHEMAS, OBJECTS, PATTERNS, TEXTS


def compiled_says(check: Check, document: bytes) -> bool:
    assert check.accepts is not None
    try:
        check.accepts(document)
    except msgspec.MsgspecError:
        return False
    return True


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(schema=OBJECT_SCHEMAS, value=OBJECTS)
def test_a_check_says_what_the_specification_says(schema: dict[str, Any], value: object) -> None:
    check = compile_schema(schema)
    valid = jsonschema_rs.Draft202012Validator(schema, validate_formats=False).is_valid(value)
    document = msgspec.json.encode(value)
    event(f"compiled {check.compiled}, valid {valid}")
    assert (check.fault(document) is None) is valid
    if check.compiled and compiled_says(check, document):
        assert valid


@settings(max_examples=300)
@given(pattern=PATTERNS, text=TEXTS | st.text("pro1é\n\r\u2028", max_size=5))
def test_a_pattern_means_the_same_in_both_engines(pattern: str, text: str) -> None:
    check = compile_schema({"properties": {"a": {"type": "string", "pattern": pattern}}})
    valid = jsonschema_rs.Draft202012Validator({"pattern": pattern}).is_valid(text)
    assert (check.fault(msgspec.json.encode({"a": text})) is None) is valid


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "a+b", "^a+a+$", "(?=a)", "^\\w$", "a{2,}", "\\bx", "^[a-z", "a??"]
)
def test_a_pattern_that_could_run_long_or_mean_something_else_is_not_given_to_python(
    pattern: str,
) -> None:
    assert python_pattern(pattern) is None


@pytest.mark.parametrize(
    ("schema", "is_compiled"),
    [
        ({}, True),
        ({"properties": {"a": {"type": ["string", "null"], "maxLength": 3}}}, True),
        ({"properties": {"a": {"enum": ["x", None, 3]}}}, True),
        ({"properties": {"a": {"const": True}}}, False),
        ({"properties": {"a": {"multipleOf": 2}}}, False),
        ({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {}}}, False),
        ({"patternProperties": {"^x": {"type": "string"}}}, False),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, False),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema"}, True),
    ],
)
def test_what_a_type_can_say_is_compiled(schema: dict[str, Any], is_compiled: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert compile_schema(schema).compiled is is_compiled


CLOSED: dict[str, Any] = {"properties": {"y": {}}, "additionalProperties": False}
FAULTS: list[tuple[dict[str, Any], object, str | None, str]] = [
    ({"type": "integer"}, "secret", "attributes.x", "must be of type integer"),
    ({"enum": ["pro", "free"]}, "secret", "attributes.x", "none of those"),
    ({"const": "pro"}, "secret", "attributes.x", "demands"),
    ({"minimum": 3}, 2, "attributes.x", "at least 3"),
    ({"exclusiveMaximum": 3}, 3, "attributes.x", "under 3"),
    ({"maxLength": 3}, "secret", "attributes.x", "may have 3"),
    ({"pattern": "^a"}, "secret", "attributes.x", "pattern"),
    ({"items": {"type": "string"}}, ["a", 1], "attributes.x.1", "type string"),
    ({"required": ["y"]}, {}, "attributes.x.y", "required"),
    (CLOSED, {"other": "secret"}, "attributes.x.other", "no such field"),
    (CLOSED, {"customer@example.org": 1}, "attributes.x", "no such"),
    ({"oneOf": [{"type": "null"}]}, "secret", "attributes.x", "oneOf"),
    (False, "secret", "attributes.x", "nothing here"),  # type: ignore[list-item]  # a schema too
]


@pytest.mark.parametrize(("schema", "value", "path", "words"), FAULTS)
def test_a_fault_names_place_and_rule_and_never_the_value(
    schema: dict[str, Any], value: object, path: str | None, words: str
) -> None:
    check = compile_schema({"properties": {"attributes": {"properties": {"x": schema}}}})
    fault = check.fault(msgspec.json.encode({"attributes": {"x": value}}))
    assert fault is not None
    assert (fault.code, fault.path) == ("schema_violation", path)
    assert words in fault.message
    assert "secret" not in fault.message


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "schema/properties/a/type"),
        ({"required": "a"}, "schema/required"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "schema/properties/a/pattern"),
        ({"$ref": "https://example.org/schema.json"}, "schema"),
        ({"$ref": "#/nowhere"}, "schema"),
    ],
)
def test_what_is_no_usable_schema_is_refused_with_its_place(
    schema: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        compile_schema(schema)
    assert refused.value.path == path


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(50):
        schema = {"properties": {"a": schema}}
    with pytest.raises(InvalidInputError, match="levels deep"):
        compile_schema(schema)


def test_an_event_nested_too_deeply_is_malformed() -> None:
    fault = compile_schema({"required": ["x"]}).fault(b'{"a":' + b"[" * 100_000 + b"]" * 100_000)
    assert fault is not None
    assert fault.code == "malformed"
