import string
from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.document import read_documents
from candor.kernel.yaml_tree import Mapping, Part, Scalar, compose_all, serialize

TEXTS = st.text(string.printable + "äß€\u2028", max_size=12) | st.sampled_from(
    ["2026-01-01", "1e3", "0x10", "yes", "~", "null", "true", "1_000", "1:30", "=", "<<", "!x", ""]
)
DOCUMENTS = st.recursive(
    TEXTS | st.integers() | st.booleans() | st.none() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def shape(part: Part) -> Any:  # noqa: ANN401 - nested lists
    if isinstance(part, Scalar):
        return (part.tag, part.text)
    if isinstance(part, Mapping):
        return [part.tag, *((shape(key), shape(value)) for key, value in part.pairs)]
    return [part.tag, *map(shape, part.items)]


def shape_of_node(node: Any) -> Any:  # noqa: ANN401 - the library ships no exact type
    if isinstance(node, yaml.ScalarNode):
        return (node.tag, node.value)
    if isinstance(node, yaml.MappingNode):
        return [
            node.tag,
            *((shape_of_node(key), shape_of_node(value)) for key, value in node.value),
        ]
    return [node.tag, *map(shape_of_node, node.value)]


def lines(part: Part) -> list[int]:
    if isinstance(part, Scalar):
        return [part.line]
    below = (
        [one for pair in part.pairs for one in pair] if isinstance(part, Mapping) else part.items
    )
    return [part.line, *(line for one in below for line in lines(one))]


def lines_of_node(node: Any) -> list[int]:  # noqa: ANN401 - as above
    below = [] if isinstance(node, yaml.ScalarNode) else list(node.value)
    if isinstance(node, yaml.MappingNode):
        below = [one for pair in node.value for one in pair]
    return [node.start_mark.line + 1, *(line for one in below for line in lines_of_node(one))]


@given(
    st.lists(DOCUMENTS, min_size=1, max_size=3),
    st.fixed_dictionaries({"default_flow_style": st.booleans(), "allow_unicode": st.booleans()}),
)
def test_the_tree_is_that_of_the_library_with_its_tags_and_lines(
    documents: list[Any], style: dict[str, Any]
) -> None:
    text = yaml.safe_dump_all(documents, **style)
    ours, theirs = list(compose_all(text)), list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    assert [shape(one) for one in ours] == [shape_of_node(one) for one in theirs]
    assert [lines(one) for one in ours] == [lines_of_node(one) for one in theirs]


@given(DOCUMENTS)
def test_what_is_serialized_says_the_same(document: Any) -> None:  # noqa: ANN401 - any YAML
    (part,) = compose_all(yaml.safe_dump(document))
    assert yaml.safe_load(serialize(part)) == document


def test_an_alias_is_the_very_part_that_it_names_within_its_document() -> None:
    (part,) = compose_all("a: &here [1, 2]\nb: *here\nc: &here 3\nd: *here\n")
    assert isinstance(part, Mapping)
    (_, a), (_, b), (_, c), (_, d) = part.pairs
    assert a is b
    assert c is d
    with pytest.raises(yaml.MarkedYAMLError, match="undefined alias"):
        list(compose_all("a: &here 1\n---\nb: *here\n"))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a:\n  b: " + "[" * 250 + "]" * 250, 2, "this nests too deeply."),
        ("a:\n" + "[" * 100_000, 2, "exceeded maximum nesting depth."),
        (
            "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(300)),
            200,
            "this nests too deeply.",
        ),
        ("a: &a\n  - 1\n  - *a\n", 3, "this holds itself."),
        ("a: 1\nb: {<<: [1]}\n", 2, "what << merges is a mapping, or a list of them."),
        ("a: 1\nb: *none\n", 2, "found undefined alias."),
        ("a: 1\nb: [1, 2\nc: 3\n", 3, "did not find expected ',' or ']'."),
        ("ä: 1\nb: \x01\n", 2, "U+0001 cannot stand in YAML. Leave it out."),
        ("a: 1\nb: \udcff\n", 2, "This must be UTF-8."),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, line: int, message: str) -> None:
    documents, (finding,) = read_documents(text)
    assert documents == []
    assert (finding.line, finding.rule) == (line, "yaml")
    assert finding.message == message


def test_aliases_may_repeat_much_and_not_without_bounds() -> None:
    once = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    lines = [f"{to}: &{to} [{', '.join([f'*{of}'] * 10)}]\n" for of, to in pairwise("abcdefghi")]
    (document,), _ = read_documents(once + "".join(lines[:3]))
    assert len(document.canonical_text()) > 10**4
    documents, (finding,) = read_documents(once + "".join(lines))
    assert documents == []
    assert (finding.line, finding.rule) == (6, "yaml")
    assert finding.message == "the aliases of this text stand for too much."


def test_a_merge_key_brings_what_a_mapping_does_not_say_itself() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2, z: 2}\nc: {y: 3, <<: [*b, {x: 4, w: 4}]}\n"
    (document,), _ = read_documents(text)
    assert document.plain() == yaml.safe_load(text)
    assert document.fields()["b"].fields()["x"].line == 1
    (quoted,), _ = read_documents("a: &a {x: 1}\nb: {'<<': *a}\n")
    assert quoted.plain()["b"] == {"<<": {"x": 1}}


def test_tags_that_are_written_are_those_of_the_library() -> None:
    text = "[! '1', !!str 1, ! 1, '1', 1, !mine {a: 1}, ! [1], !!set {a}]"
    (ours,) = compose_all(text)
    assert shape(ours) == shape_of_node(yaml.compose(text, Loader=yaml.CSafeLoader))
    assert shape(ours)[2] == ("tag:yaml.org,2002:str", "1")
