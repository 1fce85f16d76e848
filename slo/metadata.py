"""What every OpenSLO document says about itself: names, labels, annotations, a description.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PROSE_NAME = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_LABEL = _PROSE_NAME
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_MOST_DISPLAY_NAME = 63
_MOST_DESCRIPTION = 1050
_MOST_DOMAIN = 253


@dataclass(frozen=True, slots=True)
class Metadata:
    """A document's name, if it has a good one, and what it is called and sorted by."""

    name: str | None
    display_name: str
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotations: Mapping[str, Value] = field(default_factory=dict)


def read_metadata(metadata: Value | None, document: Value) -> Metadata:
    """Return what a document says about itself; each fault is reported."""
    if metadata is None:
        document.fault("required", "metadata with a name is required.")
        return Metadata(None, "")
    fields = metadata.fields(("name", "displayName", "labels", "annotations"))
    name = read_name(fields.get("name"), metadata, "name")
    display = fields["displayName"].text() if "displayName" in fields else None
    if display is not None and len(display) > _MOST_DISPLAY_NAME:
        fields["displayName"].fault("length", f"At most {_MOST_DISPLAY_NAME} characters.")
    labels = _read_labels(fields["labels"]) if "labels" in fields else {}
    annotations = _read_annotations(fields["annotations"]) if "annotations" in fields else {}
    return Metadata(name, display or name or "", labels, annotations)


def read_name(value: Value | None, parent: Value, what: str) -> str | None:
    """Return a DNS label, or report what is wrong with it.

    The prose of the specification has names in mixed case; its SDK refuses them.
    """
    if value is None:
        parent.fault("required", f"{what} is required.")
        return None
    text = value.text()
    if text is None or _NAME.fullmatch(text):
        return text
    sentence = "A name has 1 to 63 of a-z, 0-9 and -, and ends in neither -."
    if not _PROSE_NAME.fullmatch(text):
        value.fault("format", sentence)
        return None
    value.doubt("format", sentence)
    return None if value.is_strict else text


def parse_label(text: str) -> tuple[str, str]:
    """Return label and value of ``LABEL=VALUE``.

    Raises:
        InvalidInputError: the text is something else.
    """
    label, equals, value = text.partition("=")
    if not equals or not value or not _LABEL.fullmatch(label):
        raise InvalidInputError("Prune by LABEL=VALUE, such as team=checkout.")
    return label, value


def read_description(fields: Mapping[str, Value]) -> str:
    """Return the description of a spec, or the empty text."""
    value = fields.get("description")
    text = value.text() if value is not None else None
    if value is not None and text is not None and len(text) > _MOST_DESCRIPTION:
        value.fault("length", f"At most {_MOST_DESCRIPTION} characters.")
    return text or ""


def _read_labels(labels: Value) -> dict[str, tuple[str, ...]]:
    result: dict[str, tuple[str, ...]] = {}
    for name, value in labels.fields().items():
        if not _LABEL.fullmatch(name):
            value.fault("format", "A label has 1 to 63 letters, digits, and -._ inside.")
        texts = [entry.text() for entry in (value.items() if value.is_list else [value])]
        result[name] = tuple(text for text in texts if text is not None)
    return result


def _read_annotations(annotations: Value) -> dict[str, Value]:
    result: dict[str, Value] = {}
    for key, value in annotations.fields().items():
        domain, slash, name = key.rpartition("/")
        if not _LABEL.fullmatch(name) or (
            slash and (len(domain) > _MOST_DOMAIN or not _DOMAIN.fullmatch(domain))
        ):
            value.fault("format", "An annotation is named NAME or DOMAIN/NAME.")
        if domain == "openslo.com":
            value.warn("reserved", "openslo.com/ is reserved for the specification.")
        if value.text() is not None:
            result[key] = value
    return result
