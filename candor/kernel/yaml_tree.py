"""YAML as a tree whose every part knows its tag and its file line, built at the C parser's pace.

The library's own nodes carry two marks each, and so many of them keep the garbage collector busy.
No part can hold itself here, so none is the collector's business.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_DEEPEST = 200
_MOST_PARTS = 1_000_000
"""How many parts the aliases of a text may stand for: a few lines could mean thousands of
millions, which would be written out when the document is stored."""

_Event = Any
"""An event of the parser, whose types would have it that an event may stand nowhere."""
_MAPPING, _LIST, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "merge"))


class Scalar(msgspec.Struct, gc=False):
    """A single value as it is written, with the tag that its spelling means."""

    tag: str
    text: str
    line: int


class Sequence(msgspec.Struct, gc=False):
    """A list of parts."""

    tag: str
    items: "list[Part]"
    line: int


class Mapping(msgspec.Struct, gc=False):
    """Pairs of parts as they stand, repeated ones too."""

    tag: str
    pairs: "list[tuple[Part, Part]]"
    line: int


Part = Scalar | Sequence | Mapping
"""What a document is made of; an alias is the very part that it names."""


def compose_all(text: str) -> Iterator[Part]:
    """Yield the tree of each document of a text; an empty document is a null.

    Raises:
        yaml.YAMLError: the text is not YAML, nests more than 200 deep, holds itself, or stands by
            its aliases for more than a million parts.
    """
    loader = yaml.CSafeLoader(text)
    try:
        yield from _Composer(loader).documents()
    finally:
        loader.dispose()


def serialize(part: Part) -> str:
    """Return a tree as YAML in one spelling, the fields of mappings in the order of their names."""
    return str(yaml.serialize(_node(part), Dumper=yaml.SafeDumper, allow_unicode=True))


def name_of(key: Part) -> str:
    """Return the name that a key is; what is no single value has none."""
    return key.text if isinstance(key, Scalar) else "?"


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end is still to come; of a mapping, keys and values in turn."""

    event: "_Event"
    parts: list[Part]


class _Composer:
    def __init__(self, loader: yaml.CSafeLoader) -> None:
        self._loader = loader
        self._tags: dict[tuple[str, tuple[bool, bool]], str] = {}
        self._anchors: dict[str, Part | None] = {}
        self._extents: dict[int, tuple[int, int]] = {}
        self._copied = 0
        self._merges = False

    def documents(self) -> Iterator[Part]:
        """Yield each document; most of the time that validation takes is spent in this loop."""
        loader = self._loader
        parts: list[Part] = []
        around: list[_Open] = []
        while loader.check_event():
            event: _Event = loader.get_event()
            kind = type(event)
            if kind is ScalarEvent:
                part: Part = self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._begin(event, len(around))
                around.append(_Open(event, parts))
                parts = []
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                opened = around.pop()
                part = self._end(opened.event, parts)
                parts = opened.parts
            elif kind is AliasEvent:
                part = self._alias(event, len(around))
            else:
                if kind is DocumentEndEvent:
                    yield parts.pop()
                    self._anchors.clear()
                    self._extents.clear()
                continue
            parts.append(part)

    def _scalar(self, event: _Event) -> Scalar:
        tag = event.tag
        if tag is None or tag == "!":
            asked = (event.value, event.implicit)
            tag = self._tags.get(asked)
            if tag is None:  # the texts of many documents repeat
                resolve: Callable[..., str] = self._loader.resolve
                tag = resolve(ScalarNode, *asked)
                self._tags[asked] = tag
                self._merges = self._merges or tag == _MERGE
        scalar = Scalar(tag, event.value, event.start_mark.line + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = scalar
        return scalar

    def _begin(self, event: _Event, depth: int) -> None:
        if depth >= _DEEPEST:
            raise yaml.MarkedYAMLError(
                problem="this nests too deeply", problem_mark=event.start_mark
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _end(self, event: _Event, parts: list[Part]) -> Part:
        line = event.start_mark.line + 1
        tag = event.tag if event.tag != "!" else None
        part: Part
        if type(event) is MappingStartEvent:
            pairs = list(zip(parts[::2], parts[1::2], strict=True))
            if self._merges:
                pairs = _merged(pairs, event)
            part = Mapping(tag or _MAPPING, pairs, line)
        else:
            part = Sequence(tag or _LIST, parts, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = part
        return part

    def _alias(self, event: _Event, depth: int) -> Part:
        if event.anchor not in self._anchors:
            raise yaml.MarkedYAMLError(
                problem="found undefined alias", problem_mark=event.start_mark
            )
        part = self._anchors[event.anchor]
        if part is None:
            raise yaml.MarkedYAMLError(problem="this holds itself", problem_mark=event.start_mark)
        size, deep = self._extent(part)
        self._copied += size
        problem = None
        if self._copied > _MOST_PARTS:
            problem = "the aliases of this text stand for too much"
        elif depth + deep > _DEEPEST:
            problem = "this nests too deeply"
        if problem is not None:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return part

    def _extent(self, part: Part) -> tuple[int, int]:
        """Return of how many parts a part consists, its aliases written out, and how deep it is.

        Cost: each part that an alias names is gone through once.
        """
        if isinstance(part, Scalar):
            return 1, 0
        known = self._extents.get(id(part))
        if known is None:
            pairs = part.pairs if isinstance(part, Mapping) else [part.items]
            below = [self._extent(one) for pair in pairs for one in pair]
            size = 1 + sum(size for size, _ in below)
            known = size, 1 + max((deep for _, deep in below), default=0)
            self._extents[id(part)] = known
        return known


def _merged(pairs: list[tuple[Part, Part]], event: _Event) -> list[tuple[Part, Part]]:
    """Return the pairs of a mapping, and what its merge keys bring of other names.

    Source: YAML, "Merge Key Language-Independent Type".
    """
    own = [(key, part) for key, part in pairs if key.tag != _MERGE]
    taken = {name_of(key) for key, _ in own}
    for merged in (part for key, part in pairs if key.tag == _MERGE):
        for mapping in merged.items if isinstance(merged, Sequence) else [merged]:
            if not isinstance(mapping, Mapping):
                raise yaml.MarkedYAMLError(
                    problem="what << merges is a mapping, or a list of them",
                    problem_mark=event.start_mark,
                )
            new = [(key, part) for key, part in mapping.pairs if name_of(key) not in taken]
            own += new
            taken |= {name_of(key) for key, _ in new}
    return own


def _node(part: Part) -> Node:
    if isinstance(part, Mapping):
        pairs = sorted(part.pairs, key=lambda pair: name_of(pair[0]))
        nodes = [(_node(key), _node(value)) for key, value in pairs]
        return MappingNode(part.tag, nodes, flow_style=False)
    if isinstance(part, Sequence):
        return SequenceNode(part.tag, [_node(one) for one in part.items], flow_style=False)
    return ScalarNode(part.tag, part.text)
