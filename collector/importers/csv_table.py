"""CSV tables whose rows a mapping turns into events.

A mapping is a YAML file::

    fields:                                # fields of a native event
      name: permit.step                    # a text is the same for every row
      id: {column: "task id"}              # the value of a column
      time: {column: "at", zone: UTC}      # zone: for times that name none (an IANA name)
      channel: {column: "via", values: {Internet: web}}   # other values stay as they are
      subject: {type: user_id, column: "user"}
    attributes:                            # further columns, under a name each
      deadline: "case deadline"

``id`` may be left out: then it is a digest of the whole row and of how often it came before.
Empty cells are absent values.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

from candor.kernel.errors import InvalidInputError
from collector.importers.record import Record, open_text

_FIELDS = frozenset(
    {
        *("id", "name", "time", "schema", "journey", "instance", "step", "outcome", "channel"),
        *("service", "duration_ms", "subject", "error_code"),
    }
)
_REQUIRED = ("name", "time")
_NUMBERS = frozenset({"duration_ms"})
_KEYS = frozenset({"column", "values", "zone", "type"})


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field's value comes from: a column, or the same text for every row."""

    column: str | None = None
    constant: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    zone: ZoneInfo | None = None
    subject_type: str | None = None


@dataclass(frozen=True, slots=True)
class TableMapping:
    """A mapping that was read and checked."""

    fields: Mapping[str, FieldSource]
    attributes: Mapping[str, str]

    def columns(self) -> set[str]:
        """Return every column that a row must have."""
        named = {source.column for source in self.fields.values() if source.column is not None}
        return named | set(self.attributes.values())


def read_mapping(text: str) -> TableMapping:
    """Return the mapping that a YAML text describes.

    Raises:
        InvalidInputError: a key is unknown, missing or of the wrong shape; it is named.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        raise InvalidInputError("The mapping is not YAML.") from None
    if not isinstance(document, dict) or not isinstance(document.get("fields"), dict):
        raise InvalidInputError("A mapping needs its fields.", path="fields")
    unknown = sorted(set(document) - {"fields", "attributes"})
    unknown += sorted(f"fields.{name}" for name in set(document["fields"]) - _FIELDS)
    if unknown:
        raise InvalidInputError(f"A mapping has no {', '.join(unknown)}.", path=unknown[0])
    for name in _REQUIRED:
        if name not in document["fields"]:
            raise InvalidInputError("Every event needs this field.", path=f"fields.{name}")
    attributes = document.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise InvalidInputError("Attributes are names and their columns.", path="attributes")
    return TableMapping(
        {name: _source(name, value) for name, value in document["fields"].items()},
        {str(name): str(column) for name, column in attributes.items()},
    )


def read_csv(path: Path, mapping: TableMapping) -> Iterator[Record]:
    """Yield an event for each row; ``line`` is where the row ends in the file.

    Raises:
        InvalidInputError: the file lacks a column that the mapping names.
    """
    seen: Counter[bytes] = Counter()
    with open_text(path) as file:
        rows = csv.DictReader(file)
        missing = sorted(mapping.columns() - set(rows.fieldnames or ()))
        if missing:
            raise InvalidInputError(f"The file has no column {', '.join(missing)}.")
        for row in rows:
            yield _record(rows.line_num, row, mapping, seen)


def _source(name: str, value: object) -> FieldSource:
    if not isinstance(value, dict):
        return FieldSource(constant=str(value))
    place = f"fields.{name}"
    if "column" not in value or set(value) - _KEYS:
        raise InvalidInputError("Name a column, and nothing but values, zone or type.", path=place)
    if (name == "subject") != ("type" in value):
        raise InvalidInputError("type belongs to subject, and subject needs it.", path=place)
    values = value.get("values") or {}
    zone = value.get("zone")
    try:
        return FieldSource(
            column=str(value["column"]),
            values={str(key): str(text) for key, text in values.items()},
            zone=ZoneInfo(str(zone)) if zone is not None else None,
            subject_type=str(value["type"]) if "type" in value else None,
        )
    except (ZoneInfoNotFoundError, ValueError, AttributeError):
        raise InvalidInputError("zone is an IANA name; values are pairs.", path=place) from None


def _record(
    line: int, row: Mapping[str, Any], mapping: TableMapping, seen: Counter[bytes]
) -> Record:
    event: dict[str, Any] = {}
    for name, source in mapping.fields.items():
        cell = source.constant if source.column is None else row[source.column]
        if not cell:
            continue
        value: object = source.values.get(cell, cell)
        try:
            if name == "time":
                value = _instant(cell, source.zone)
            elif name in _NUMBERS:
                value = float(cell)
        except ValueError:
            return Record(line, fault=f"The column of {name} does not hold one.")
        event[name] = value if name != "subject" else {"type": source.subject_type, "value": value}
    cells = {name: row[column] for name, column in mapping.attributes.items() if row[column]}
    if cells:
        event["attributes"] = cells
    if "id" not in mapping.fields:
        event["id"] = _digest(row, seen)
    return Record(line, event)


def _instant(cell: str, zone: ZoneInfo | None) -> str:
    at = datetime.fromisoformat(cell)
    if at.tzinfo is None:
        if zone is None:
            raise ValueError("no zone")
        at = at.replace(tzinfo=zone)
    return at.isoformat()


def _digest(row: Mapping[str, Any], seen: Counter[bytes]) -> str:
    digest = sha256(repr(sorted(row.items(), key=repr)).encode()).digest()
    seen[digest] += 1
    return sha256(digest + str(seen[digest]).encode()).hexdigest()[:32]
