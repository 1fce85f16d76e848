"""Which changes of a schema break whom, and the version that says so."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from collector.contracts.compatibility import Mode, compare
from collector.contracts.contract import SchemaVer
from tests.support.schemas import OBJECT_SCHEMAS, OBJECTS

FIRST, SECOND = SchemaVer(1, 0, 0), SchemaVer(1, 0, 1)


def with_(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - schemas
    inner = {"type": "object", "properties": properties, "required": list(required)}
    return {"type": "object", "properties": {"attributes": inner}}


B = "backward"
PLAN = {"type": "string"}
OLD = with_(plan=PLAN)
LISTED = with_(plan={"enum": ["pro", "free"]})
CLOSED: dict[str, Any] = {"properties": {"plan": {}}, "additionalProperties": False}
REFERENCE: dict[str, Any] = {"$ref": "#/$defs/a"}
REFERRED = {"properties": {"plan": {"$ref": "#/$defs/p"}}, "$defs": {"p": {"type": "string"}}}

CHANGES = [
    (OLD, OLD, "full", [], "1-0-1"),
    (OLD, with_(plan=PLAN, page=PLAN), "full", [], "1-0-1"),
    (with_(plan=PLAN, page=PLAN), OLD, "full", [], "1-0-1"),
    (OLD, with_(("page",), page=PLAN, plan=PLAN), "full", ["/attributes/page"], "2-0-0"),
    (OLD, with_(("page",), page=PLAN, plan=PLAN), "forward", [], "2-0-0"),
    (OLD, with_(("plan",), plan=PLAN), B, ["/attributes/plan"], "1-1-0"),
    (with_(("plan",), plan=PLAN), OLD, B, [], "1-1-0"),
    (with_(("plan",), plan=PLAN), OLD, "forward", ["/attributes/plan"], "1-1-0"),
    (OLD, with_(plan={"type": "integer"}), B, ["/attributes/plan"], "2-0-0"),
    (OLD, with_(plan={"type": ["string", "null"]}), B, [], "1-1-0"),
    (OLD, LISTED, B, ["/attributes/plan"], "1-1-0"),
    (LISTED, OLD, B, [], "1-1-0"),
    (LISTED, with_(plan={"enum": ["pro", "max"]}), "full", ["/attributes/plan"] * 2, "1-1-0"),
    (with_(n={"minimum": 1}), with_(n={"minimum": 2}), B, ["/attributes/n"], "1-1-0"),
    (with_(n={"minimum": 2}), with_(n={"exclusiveMinimum": 1}), B, [], "1-1-0"),
    (with_(t={"maxLength": 3}), with_(t={"maxLength": 2}), B, ["/attributes/t"], "1-1-0"),
    (with_(t={"items": PLAN}), with_(t={"items": LISTED}), B, ["/attributes/t/*"], "2-0-0"),
    ({}, CLOSED, B, ["/"], "1-1-0"),
    (CLOSED, {}, B, [], "1-1-0"),
    (CLOSED, CLOSED | {"properties": {"plan": {}, "b": {}}}, B, [], "1-1-0"),
    (REFERRED, {"properties": {"plan": {"type": "string"}}}, "full", [], "1-0-1"),
    (with_(t={"pattern": "^a"}), with_(t={"pattern": "^b"}), B, ["/attributes/t"], "1-1-0"),
    (with_(t={"multipleOf": 4}), with_(t={"multipleOf": 2}), B, [], "1-1-0"),
    (with_(t=PLAN), with_(t={"anyOf": [PLAN, {"type": "null"}]}), B, [], "1-1-0"),
    (with_(t={"items": [PLAN]}), with_(t={"items": PLAN}), B, ["/attributes/t/*"], "1-1-0"),
    (with_(t={"allOf": [PLAN]}), with_(t={"allOf": [PLAN], "title": "t"}), "full", [], "1-0-1"),
    (with_(t=True), with_(t=False), B, ["/attributes/t"], "2-0-0"),
    (with_(t={}), with_(t={"allOf": [{"minLength": 1}]}), B, ["/attributes/t"], "1-1-0"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "mode", "paths", "suggested"), CHANGES)
def test_a_change_breaks_where_and_is_numbered_as_the_specification_says(
    old: dict[str, Any], new: dict[str, Any], mode: Mode, paths: list[str], suggested: str
) -> None:
    report = compare(new, [(FIRST, old)], mode)
    assert [one.path for one in report.breaks] == paths
    assert str(report.suggested) == suggested


def test_the_latest_version_decides_unless_all_are_asked() -> None:
    integers = with_(plan={"type": "integer"})
    earlier = [(FIRST, OLD), (SECOND, with_())]
    assert compare(integers, earlier, "full").is_compatible
    breaks = compare(integers, earlier, "full_transitive").breaks
    assert {(one.against, one.path, one.rule) for one in breaks} == {
        (FIRST, "/attributes/plan", "type")
    }


def test_the_first_version_of_a_contract_is_1_0_0() -> None:
    report = compare(OLD, [], "full")
    assert (report.is_compatible, str(report.suggested)) == (True, "1-0-0")


def test_schemas_that_refer_to_themselves_are_compared_once() -> None:
    tree = {"properties": {"child": {"$ref": "#"}, "n": {"type": "integer"}}}
    stricter = {"properties": {"child": {"$ref": "#"}, "n": {"type": "integer", "minimum": 1}}}
    assert [one.path for one in compare(stricter, [(FIRST, tree)], "backward").breaks] == [
        "/child/n",
        "/n",
    ]
    assert compare(tree, [(FIRST, stricter)], "backward").is_compatible


def test_a_reference_that_goes_in_circles_cannot_be_compared() -> None:
    circle = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    with pytest.raises(InvalidInputError):
        compare(circle, [(FIRST, OLD)], "full")


REFERENCES = ["#anchor", "#/nowhere", "#/$defs/a/b"]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_to_what_cannot_be_found_cannot_be_compared(reference: str) -> None:
    schema = {"properties": {"plan": {"$ref": reference}}, "$defs": {"a": True}}
    with pytest.raises(InvalidInputError):
        compare(schema, [(FIRST, {"properties": {"plan": {"minLength": 1}}})], "full")


def test_a_pair_of_references_that_broke_once_is_not_taken_to_hold_later() -> None:
    def schema(kind: str) -> dict[str, Any]:
        return {"$defs": {"a": {"type": kind}}, "properties": dict.fromkeys("xy", REFERENCE)}

    breaks = compare(schema("string"), [(FIRST, schema("integer"))], "backward").breaks
    assert [one.path for one in breaks] == ["/x", "/y"]


def test_entangled_schemas_are_not_called_compatible() -> None:
    parts = [{"anyOf": [{"$ref": "#/$defs/a"}] * 3 + [{"type": "null"}]} for _ in range(2)]
    old = {"$defs": {"a": {"properties": dict.fromkeys("abcdefgh", parts[0])}}, **REFERENCE}
    new = {"$defs": {"a": {"properties": dict.fromkeys("abcdefgi", parts[1])}}, **REFERENCE}
    new["$defs"]["a"]["minProperties"] = 1
    assert not compare(new, [(FIRST, old)], "full").is_compatible


def declared_only(value: Any, schema: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a document without the fields that a schema does not declare."""
    if isinstance(value, list):
        inner = schema.get("items", True) if isinstance(schema, dict) else True
        return [declared_only(one, inner) for one in value]
    if isinstance(value, dict):
        known = schema.get("properties", {}) if isinstance(schema, dict) else {}
        return {key: declared_only(one, known[key]) for key, one in value.items() if key in known}
    return value


@settings(max_examples=500, suppress_health_check=list(HealthCheck))
@given(
    old=OBJECT_SCHEMAS,
    other=OBJECT_SCHEMAS,
    dropped=st.sets(st.sampled_from(["type", "required", "properties", "maximum", "enum"])),
    values=st.lists(OBJECTS, max_size=5),
)
def test_what_kept_the_earlier_version_keeps_a_compatible_one(
    old: dict[str, Any], other: dict[str, Any], dropped: set[str], values: list[object]
) -> None:
    new = {key: value for key, value in (old | other).items() if key not in dropped}
    compatible = compare(new, [(FIRST, old)], "backward").is_compatible
    event(f"compatible {compatible}")
    if compatible:
        before, after = (jsonschema_rs.Draft202012Validator(one) for one in (old, new))
        for value in (declared_only(one, old) for one in values):
            assert not before.is_valid(value) or after.is_valid(value)
