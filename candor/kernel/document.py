"""YAML documents whose every value knows its file line and its path."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import yaml

from candor.kernel.errors import InvalidInputError
from candor.kernel.yaml_tree import (
    Mapping,
    Part,
    Scalar,
    Sequence,
    compose_all,
    name_of,
    serialize,
)

Severity = Literal["error", "warning"]
_INTEGER, _FLOAT, _BOOLEAN, _NULL = (
    f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null")
)
_DIGITS = 300
_EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", re.ASCII)
"""A number of JSON and YAML 1.2, of which YAML 1.1, and so the library, makes a text."""

_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault or doubt about a document, with its place."""

    line: int
    document: int
    kind: str | None
    name: str | None
    path: str
    rule: str
    severity: Severity
    message: str


@dataclass(slots=True)
class Report:
    """The findings about one document, in the order in which they were made.

    ``strict`` makes errors of what the prose of the specification allows and its SDK refuses.
    """

    document: int
    kind: str | None = None
    name: str | None = None
    findings: list[Finding] = field(default_factory=list)
    strict: bool = False

    def add(self, line: int, path: str, rule: str, message: str, severity: Severity) -> None:
        """Note a finding; the same again is noted once."""
        found = Finding(line, self.document, self.kind, self.name, path, rule, severity, message)
        if found not in self.findings:
            self.findings.append(found)


class Value:
    """One value of a document: asks for a shape, and reports where it is not of that shape."""

    __slots__ = ("_part", "_report", "path")

    def __init__(self, part: Part, path: str, report: Report) -> None:
        self._part = part
        self._report = report
        self.path = path

    @property
    def line(self) -> int:
        """The line in the file, from 1."""
        return self._part.line

    def fault(self, rule: str, message: str, severity: Severity = "error") -> None:
        """Report a finding at this place."""
        self._report.add(self.line, self.path, rule, message, severity)

    def doubt(self, rule: str, message: str) -> None:
        """Report what the SDK of the specification refuses and its prose allows."""
        strict = self._report.strict
        self.fault(rule, message, "error" if strict else "warning")

    def warn(self, rule: str, message: str) -> None:
        """Report what is allowed, but can hardly be meant."""
        self.fault(rule, message, "warning")

    @property
    def is_strict(self) -> bool:
        """Whether the rules of the SDK apply."""
        return self._report.strict

    @property
    def is_mapping(self) -> bool:
        """Whether it holds named fields."""
        return isinstance(self._part, Mapping)

    @property
    def is_list(self) -> bool:
        """Whether it holds a list."""
        return isinstance(self._part, Sequence)

    @property
    def is_null(self) -> bool:
        """Whether it is null, written out or left empty."""
        return self._part.tag == _NULL

    def fields(self, known: Iterable[str] | None = None) -> "dict[str, Value]":
        """Return the fields of a mapping; unknown and repeated ones are faults.

        A field that is null counts as absent. Something else than a mapping is a fault, and gives
        no field.
        """
        if not isinstance(self._part, Mapping):
            self.fault("type", "This must be a mapping of fields.")
            return {}
        allowed = None if known is None else set(known)
        fields: dict[str, Value] = {}
        for key, part in self._part.pairs:
            name = name_of(key)
            value = Value(part, self._below(name), self._report)
            if allowed is not None and name not in allowed:
                value.fault("unknown-field", f"There is no such field here: {_listed(allowed)}.")
            elif name in fields:
                value.fault("duplicate", "This field stands here twice.")
            elif part.tag != _NULL:
                fields[name] = value
        return fields

    def pairs(self) -> "list[tuple[str, Value]]":
        """Return names and values of a mapping as they stand, null and repeated ones too."""
        if not isinstance(self._part, Mapping):
            self.fault("type", "This must be a mapping of fields.")
            return []
        return [
            (name_of(key), Value(part, self._below(name_of(key)), self._report))
            for key, part in self._part.pairs
        ]

    def items(self) -> "list[Value]":
        """Return the entries of a list; something else is a fault, and gives none."""
        if not isinstance(self._part, Sequence):
            self.fault("type", "This must be a list.")
            return []
        return [
            Value(part, f"{self.path}[{number}]", self._report)
            for number, part in enumerate(self._part.items)
        ]

    def text(self) -> str | None:
        """Return a scalar as it is written; dates and numbers are not interpreted."""
        if isinstance(self._part, Scalar):
            return self._part.text
        self.fault("type", "This must be a text.")
        return None

    def number(self) -> Decimal | None:
        """Return a number exactly as it is written; ``1e-3`` is one, as in JSON."""
        if isinstance(self._part, Scalar) and self.is_number:
            try:
                number = Decimal(self._part.text)
            except InvalidOperation:
                number = Decimal("NaN")
            if number.is_finite():
                if _can_be_counted_with(number):
                    return number
                self.fault("range", f"A number has at most {_DIGITS} digits.")
                return None
        self.fault("type", "This must be a number.")
        return None

    @property
    def is_number(self) -> bool:
        """Whether it is written as a number."""
        return isinstance(self._part, Scalar) and (
            self._part.tag in {_INTEGER, _FLOAT} or _EXPONENT.fullmatch(self._part.text) is not None
        )

    @property
    def is_boolean(self) -> bool:
        """Whether it is true or false; YAML's yes, no, on and off are texts."""
        if not isinstance(self._part, Scalar) or self._part.tag != _BOOLEAN:
            return False
        return self._part.text.lower() in _BOOLEANS

    def canonical_text(self) -> str:
        """Return it as YAML in one spelling: equal texts say the same, comments left out."""
        return serialize(self._part)

    def boolean(self) -> bool | None:
        """Return true or false."""
        value = self.scalar()
        if isinstance(value, bool):
            return value
        self.fault("type", "This must be true or false.")
        return None

    def scalar(self) -> str | int | float | bool | None:
        """Return a text, number or boolean; quoted values and dates are texts."""
        if not isinstance(self._part, Scalar):
            self.fault("type", "This must be a single value.")
            return None
        text = self._part.text
        if self.is_boolean:
            return _BOOLEANS[text.lower()]
        if self._part.tag in {_INTEGER, _FLOAT}:
            number = self.number()
            if number is None:
                return None
            return int(number) if number == number.to_integral_value() else float(number)
        return text

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def plain(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return everything from here down as JSON values; null is None."""
        if self.is_mapping:
            return {name: value.plain() for name, value in self.pairs()}
        if self.is_list:
            return [value.plain() for value in self.items()]
        return None if self.is_null else self.scalar()


def read_documents(
    text: str, *, strict: bool = False, may_be_listed: bool = False
) -> tuple[list[Value], list[Finding]]:
    """Return the documents of a YAML text (JSON is YAML), and what keeps it from being read.

    Bytes that are no UTF-8 may come as lone surrogates: their line is told. Where documents
    ``may_be_listed``, each entry of a list is one.
    """
    documents: list[Value] = []
    try:
        for whole in compose_all(text):
            for part in whole.items if may_be_listed and isinstance(whole, Sequence) else [whole]:
                if not (isinstance(part, Scalar) and part.tag == _NULL):
                    documents.append(Value(part, "", Report(len(documents), strict=strict)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = error.problem or "This is not YAML"
        return documents, [_unreadable(line, len(documents), f"{problem}.")]
    except yaml.reader.ReaderError as error:
        line = text.encode()[: error.position].count(b"\n") + 1
        problem = f"U+{int(error.character):04X} cannot stand in YAML. Leave it out"
        return documents, [_unreadable(line, len(documents), f"{problem}.")]
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return documents, [_unreadable(line, len(documents), "This must be UTF-8.")]
    if not documents:
        return [], [_unreadable(1, 0, "There is no document in it.")]
    return documents, []


def value_of(plain: object, path: str) -> Value:
    """Return plain JSON values as a document that stands at ``path``.

    Raises:
        InvalidInputError: a text holds characters that no name or value needs.
    """
    try:
        (part,) = compose_all(json.dumps(plain, ensure_ascii=False))
    except (yaml.YAMLError, RecursionError, UnicodeEncodeError):
        raise InvalidInputError("This holds characters that cannot be read.", path=path) from None
    return Value(part, path, Report(0))


def report_of(value: Value) -> Report:
    """Return the report that a document's values write to."""
    return value._report  # noqa: SLF001 - of this module's own class


def _can_be_counted_with(number: Decimal) -> bool:
    """Whether it is no more than a float holds, and its fraction no more than a moment's work."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and number.adjusted() <= _DIGITS and exponent >= -_DIGITS


def _unreadable(line: int, document: int, message: str) -> Finding:
    return Finding(line, document, None, None, "", "yaml", "error", message)


def _listed(names: Iterable[str]) -> str:
    return "known are " + ", ".join(sorted(names))
