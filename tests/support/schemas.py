"""JSON Schemas, and documents that keep them or not, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

NAMES = st.sampled_from(["plan", "page", "größe", "a b", "f0", "id"])
NUMBERS = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([0.5, 1.0, -0.0, 2.5, 1e20, 2**53, 2**53 + 1, 2**64, -(2**63) - 1, 10**30]),
)
TEXTS = st.one_of(
    st.sampled_from(["", "pro", "free", "p1", "1", "1\n", "é", "😀😀", "a.b", "x" * 9, "٣"]),
    st.text(max_size=4),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
PATTERNS = st.sampled_from(
    [
        "^pro$",
        "^[a-z]+$",
        "[0-9]",
        "^\\d{1,2}$",
        "o",
        "^p.$",
        "^.{2}$",
        "^(a|b)$",
        "a+b+",
        "^[^a]*$",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]


def keyword(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda value: {name: value}, values)


def constraints(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Schemas of what the compiler knows, with a few keywords that it does not."""
    sizes = st.integers(0, 3)
    bounds = st.one_of(st.integers(-2, 4), st.sampled_from([0.5, 1.5, 2.0, 2**53, 1e19]))
    listed = st.lists(SCALARS, min_size=1, max_size=4, unique_by=repr)
    parts = [
        keyword("type", st.sampled_from(TYPES)),
        keyword("type", st.lists(st.sampled_from(TYPES), min_size=1, max_size=3, unique=True)),
        keyword("enum", listed),
        keyword("const", SCALARS),
        keyword("minLength", sizes),
        keyword("maxLength", sizes),
        keyword("pattern", PATTERNS),
        keyword("minimum", bounds),
        keyword("maximum", bounds),
        keyword("exclusiveMinimum", bounds),
        keyword("exclusiveMaximum", bounds),
        keyword("minItems", sizes),
        keyword("maxItems", sizes),
        keyword("items", inner),
        keyword("properties", st.dictionaries(NAMES, inner, max_size=3)),
        keyword("required", st.lists(NAMES, max_size=2, unique=True)),
        keyword("additionalProperties", st.booleans()),
        keyword("format", st.just("date-time")),
        keyword("uniqueItems", st.just(True)),  # noqa: FBT003 - a JSON value
    ]
    return st.lists(st.one_of(parts), max_size=4).map(
        lambda found: {key: value for part in found for key, value in part.items()}
    )


SCHEMAS = st.recursive(st.booleans() | constraints(st.just(True)), constraints, max_leaves=5)  # noqa: FBT003 - a JSON Schema
OBJECT_SCHEMAS = constraints(SCHEMAS)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
