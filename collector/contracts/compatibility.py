"""Whether two versions of a schema understand each other's events, and where they do not.

``backward``: events of the earlier version keep the new one (readers change first). ``forward``:
events of the new version keep the earlier one (senders change first). ``full``: both.
``*_transitive``: against every earlier version, not the latest alone.

A field that a version does not declare counts as not sent under it, so a new optional field breaks
nothing. What cannot be shown to be kept counts as broken, so an answer "compatible" can be relied
upon; "not compatible" may be cautious where schemas are combined with ``oneOf``, ``not`` or ``if``.

Source: Confluent Schema Registry, compatibility types; SchemaVer, for the suggested version.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, get_args
from urllib.parse import unquote

from candor.kernel.errors import InvalidInputError
from collector.contracts.compilation import is_valid
from collector.contracts.contract import SchemaVer

Mode = Literal[
    "backward", "forward", "full", "backward_transitive", "forward_transitive", "full_transitive"
]
MODES: tuple[Mode, ...] = get_args(Mode)
Direction = Literal["backward", "forward"]

_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OPAQUE = (
    *("oneOf", "not", "if", "then", "else", "prefixItems", "contains", "minContains"),
    *("maxContains", "patternProperties", "propertyNames", "dependentRequired", "pattern"),
    *("dependentSchemas", "unevaluatedProperties", "unevaluatedItems", "dependencies"),
    *("additionalItems", "$dynamicRef", "$recursiveRef"),
)
_EVERY_TYPE = frozenset({"string", "number", "integer", "boolean", "null", "array", "object"})
_SUFFIX = "_transitive"
_MOST_REFERENCES = 100
_NOT_COMPARABLE = "A reference of the schema points nowhere that can be compared."
_MOST_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Break:
    """One place where one version's events may not keep another's schema.

    ``path`` is a JSON pointer into the event (``*`` for the items of an array), ``rule`` the
    keyword at fault, ``against`` the earlier version. ``is_total`` tells that no event of the other
    version can be expected to keep it.
    """

    path: str
    rule: str
    message: str
    direction: Direction = "backward"
    against: SchemaVer | None = None
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a comparison found; ``suggested`` is the honest number for the new schema."""

    breaks: tuple[Break, ...]
    suggested: SchemaVer

    @property
    def is_compatible(self) -> bool:
        """Whether nothing breaks."""
        return not self.breaks


def compare(
    schema: Mapping[str, Any],
    earlier: Sequence[tuple[SchemaVer, Mapping[str, Any]]],
    mode: Mode,
) -> Report:
    """Return how a new schema stands to the earlier versions, oldest first; registers nothing."""
    compared = earlier if mode.endswith(_SUFFIX) else earlier[-1:]
    wanted = mode.removesuffix(_SUFFIX)
    breaks = [
        one
        for version, old in compared
        for one in _both_ways(old, schema, version)
        if wanted in {"full", one.direction}
    ]
    return Report(tuple(breaks), _suggested(schema, earlier))


def _both_ways(
    old: Mapping[str, Any], new: Mapping[str, Any], version: SchemaVer
) -> Iterator[Break]:
    for direction, narrow, wide in (("backward", old, new), ("forward", new, old)):
        for one in Comparison(narrow, wide).breaks():
            told: Direction = "backward" if direction == "backward" else "forward"
            yield Break(one.path, one.rule, one.message, told, version, one.is_total)


def _suggested(
    schema: Mapping[str, Any], earlier: Sequence[tuple[SchemaVer, Mapping[str, Any]]]
) -> SchemaVer:
    if not earlier:
        return SchemaVer(1, 0, 0)
    latest, old = earlier[-1]
    breaks = list(_both_ways(old, schema, latest))
    if any(one.is_total and one.direction == "backward" for one in breaks):
        return latest.next_model()
    return latest.next_revision() if breaks else latest.next_addition()


class Comparison:
    """Finds where events that keep ``narrow`` may not keep ``wide``."""

    def __init__(self, narrow: Mapping[str, Any], wide: Mapping[str, Any]) -> None:
        self._narrow = narrow
        self._wide = wide
        self._open: set[tuple[str, str, str]] = set()
        self._left = _MOST_STEPS

    def breaks(self) -> list[Break]:
        """Return every such place, in the order of the schema."""
        root = {"type": "object"}
        return self._within(root | dict(self._narrow), root | dict(self._wide), "")

    def _within(self, narrow: Any, wide: Any, path: str) -> list[Break]:  # noqa: ANN401 - schemas
        """Return the breaks below a place.

        A pair of references that is being compared already is taken to hold: it breaks where it is
        looked at first, or not at all.
        """
        if narrow is False or wide is True or wide == {}:
            return []
        self._left -= 1
        if self._left < 0:
            return [Break(path or "/", "$ref", "The schemas are too entangled to be compared.")]
        first, second = (_reference(one) for one in (narrow, wide))
        pair = (first, second, "" if first and second else path)
        if pair in self._open:
            return []
        if first or second:
            self._open.add(pair)
        try:
            resolved = _resolved(self._narrow, narrow), _resolved(self._wide, wide)
            return list(self._differing(*resolved, path))
        finally:
            self._open.discard(pair)

    def _differing(self, narrow: Any, wide: Any, path: str) -> Iterator[Break]:  # noqa: ANN401 - schemas
        if wide is False:
            yield Break(path or "/", "false", "Nothing is allowed here any more.", is_total=True)
        elif narrow == wide or narrow is False or wide is True:
            return
        elif isinstance(narrow, list) or isinstance(wide, list):
            yield Break(path or "/", "items", "The rule differs and cannot be shown to be kept.")
        else:
            left: Mapping[str, Any] = {} if narrow is True else narrow
            yield from self._values(left, wide, path)
            yield from self._combined(left, wide, path)
            yield from self._objects(left, wide, path)
            if "array" in _types(left) & _types(wide):
                items = left.get("items", True), wide.get("items", True)
                yield from self._within(*items, f"{path}/*")

    def _values(
        self, narrow: Mapping[str, Any], wide: Mapping[str, Any], path: str
    ) -> Iterator[Break]:
        """Yield the breaks of one value alone: its type, its listed values, its bounds."""
        place = path or "/"
        listed = _listed(narrow)
        if listed is not None:
            if lost := [value for value in listed if not is_valid(self._wide, wide, value)]:
                told = f"{len(lost)} of {len(listed)} listed values are not allowed."
                yield Break(place, "enum", told, is_total=len(lost) == len(listed))
            return
        lost_types = _types(narrow) - _types(wide)
        if lost_types:
            told = f"Values of type {', '.join(sorted(lost_types))} are not allowed."
            yield Break(place, "type", told, is_total=not _types(narrow) & _types(wide))
            return
        if _listed(wide) is not None:
            yield Break(place, "enum", "Only listed values are allowed.")
        for rule in chain(_LEAST, _MOST):
            if rule in wide and not _keeps_bound(narrow, wide, rule):
                yield Break(place, rule, "The bound is tighter.")
        if "multipleOf" in wide and not _divides(narrow.get("multipleOf"), wide["multipleOf"]):
            yield Break(place, "multipleOf", "Fewer numbers are allowed.")
        if wide.get("uniqueItems", False) and not narrow.get("uniqueItems", False):
            yield Break(place, "uniqueItems", "Items may not repeat.")

    def _combined(
        self, narrow: Mapping[str, Any], wide: Mapping[str, Any], path: str
    ) -> Iterator[Break]:
        """Yield the breaks of schemas that are made of others."""
        for part in wide.get("allOf", ()):
            if part not in narrow.get("allOf", ()) or _reference(part):
                yield from self._within(narrow, part, path)
        parts = wide.get("anyOf")
        if parts is not None and narrow.get("anyOf") != parts:
            bare = {key: value for key, value in narrow.items() if key != "anyOf"}
            for branch in narrow.get("anyOf", [{}]):
                sent = bare | branch if isinstance(branch, dict) else branch
                if all(self._within(sent, part, path) for part in parts):
                    told = "None of the alternatives is sure to be kept."
                    yield Break(path or "/", "anyOf", told)
                    return
        for rule in _OPAQUE:
            if rule in wide and narrow.get(rule) != wide[rule]:
                yield Break(path or "/", rule, "The rule differs and cannot be shown to be kept.")

    def _objects(
        self, narrow: Mapping[str, Any], wide: Mapping[str, Any], path: str
    ) -> Iterator[Break]:
        """Yield the breaks of an object's fields."""
        if "object" not in _types(narrow) & _types(wide):
            return
        declared, expected = narrow.get("properties", {}), wide.get("properties", {})
        others, others_wide = (one.get("additionalProperties", True) for one in (narrow, wide))
        certain = set(narrow.get("required", ()))
        for name in wide.get("required", ()):
            if name not in certain:
                told = "The field is required." if name in declared else "A new field is required."
                total = name not in declared
                yield Break(_under(path, name), "required", told, is_total=total)
        for name in dict.fromkeys([*declared, *expected]):
            place = _under(path, name)
            if name not in declared and (others is False or others is True):
                continue
            sent = declared.get(name, others)
            if name not in expected and others_wide is False:
                if sent is not False:
                    told = "The field is no longer allowed."
                    yield Break(place, "additionalProperties", told, is_total=name in certain)
                continue
            yield from self._within(sent, expected.get(name, others_wide), place)
        if others is not False and others_wide is False and others != others_wide:
            yield Break(path or "/", "additionalProperties", "Other fields are not allowed.")
        elif isinstance(others_wide, dict):
            yield from self._within(others, others_wide, f"{path}/*")


def _reference(schema: Any) -> str:  # noqa: ANN401 - a schema
    return str(schema.get("$ref", "")) if isinstance(schema, dict) else ""


def _resolved(root: Mapping[str, Any], schema: Any) -> Any:  # noqa: ANN401 - a schema
    """Return a schema with its local reference followed.

    Raises:
        InvalidInputError: it refers to an anchor, in circles, or to nothing.
    """
    for _ in range(_MOST_REFERENCES):
        reference = _reference(schema)
        if not reference:
            return schema
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        target = _target(root, reference)
        schema = {**target, **rest} if rest and isinstance(target, dict) else target
    raise InvalidInputError(_NOT_COMPARABLE, path="schema")


def _target(root: Mapping[str, Any], reference: str) -> Any:  # noqa: ANN401 - a schema
    target: Any = root
    if not re.fullmatch(r"#(/.*)?", reference):
        raise InvalidInputError(_NOT_COMPARABLE, path="schema")
    for part in unquote(reference).split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            target = target[int(key)] if isinstance(target, list) else target[key]
        except (LookupError, TypeError, ValueError):
            raise InvalidInputError(_NOT_COMPARABLE, path="schema") from None
    return target


def _listed(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    listed: list[Any] | None = schema.get("enum")
    return listed


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    kinds = schema.get("type")
    if kinds is None:
        return _EVERY_TYPE
    names = frozenset({kinds} if isinstance(kinds, str) else kinds)
    return names | {"integer"} if "number" in names else names


def _keeps_bound(narrow: Mapping[str, Any], wide: Mapping[str, Any], rule: str) -> bool:
    """Whether a bound of ``wide`` is no tighter than those of ``narrow``, where it applies."""
    if not _types(narrow) & _APPLIES[rule]:
        return True
    exclusive = f"exclusive{rule[:1].upper()}{rule[1:]}"
    inclusive = rule.removeprefix("exclusive").lower()
    at, sign = wide[rule], 1 if rule in _LEAST else -1
    kept = rule in narrow and sign * (narrow[rule] - at) >= 0
    if rule.startswith("exclusive"):
        return kept or (inclusive in narrow and sign * (narrow[inclusive] - at) > 0)
    if rule in {"minLength", "minItems", "minProperties"} and at == 0:
        return True
    return kept or (exclusive in narrow and sign * (narrow[exclusive] - at) >= 0)


_NUMBERS = frozenset({"number", "integer"})
_APPLIES = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"), _NUMBERS),
    **dict.fromkeys(("minLength", "maxLength"), frozenset({"string"})),
    **dict.fromkeys(("minItems", "maxItems"), frozenset({"array"})),
    **dict.fromkeys(("minProperties", "maxProperties"), frozenset({"object"})),
}


def _divides(narrow: float | None, wide: float) -> bool:
    return narrow is not None and narrow % wide == 0


def _under(path: str, name: str) -> str:
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
