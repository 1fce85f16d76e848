"""OpenSLO v1 texts become objectives, or findings with file line, path and rule.

Source: OpenSLO specification v1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from candor.kernel.document import Finding, Value, read_documents, report_of
from slo.kinds import (
    Metric,
    Promise,
    indicator_for,
    read_metadata,
    read_service,
    read_sli,
    read_slo,
)
from slo.objective import Objective

API_VERSION = "openslo/v1"
KINDS = (
    "SLO",
    "SLI",
    "Service",
    "AlertPolicy",
    "AlertCondition",
    "AlertNotificationTarget",
    "DataSource",
)

Placed = tuple[str, Finding]
"""A finding and the name of the text that it is about."""


@dataclass(slots=True)
class _Document:
    """One document that has a kind and a name."""

    text: str
    place: Value
    kind: str
    name: str
    display_name: str
    promise: Promise | None = None
    metric: Metric | None = None


@dataclass(slots=True)
class _Reading:
    documents: list[_Document] = field(default_factory=list)
    places: list[tuple[str, Value]] = field(default_factory=list)
    unreadable: list[Placed] = field(default_factory=list)


def read_openslo(texts: Mapping[str, str]) -> tuple[list[Objective], list[Placed]]:
    """Return the objectives of a set of named texts, and the findings by text and line.

    References reach over all the texts. An SLO with one objective gives it its name; with several,
    they are ``name-1``, ``name-2`` and so on, in the order of their standing. Only documents
    without an error give objectives.
    """
    reading = _Reading()
    for name, text in texts.items():
        values, unreadable = read_documents(text)
        reading.unreadable += ((name, finding) for finding in unreadable)
        for value in values:
            reading.places.append((name, value))
            document = _read(value, name)
            if document is not None:
                reading.documents.append(document)
    _report_duplicates(reading.documents)
    objectives = [one for document in reading.documents for one in _objectives(document, reading)]
    findings = reading.unreadable + [
        (name, finding) for name, value in reading.places for finding in report_of(value).findings
    ]
    order = {name: number for number, name in enumerate(texts)}
    findings.sort(key=lambda placed: (order[placed[0]], placed[1].line))
    return objectives, findings


def has_errors(findings: Sequence[Placed]) -> bool:
    """Whether anything in them keeps the texts from being applied."""
    return any(finding.severity == "error" for _, finding in findings)


def finding_document(name: str, finding: Finding) -> dict[str, object]:
    """Return a finding in the shape that machines read."""
    return {
        "file": name,
        "line": finding.line,
        "document": finding.document,
        "kind": finding.kind,
        "name": finding.name,
        "path": finding.path,
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
    }


def _read(value: Value, text: str) -> _Document | None:
    report = report_of(value)
    fields = value.fields(("apiVersion", "kind", "metadata", "spec"))
    version, kind = fields.get("apiVersion"), fields.get("kind")
    report.kind = kind.text() if kind is not None else None
    if version is None or version.text() != API_VERSION:
        (version or value).fault("api-version", f"apiVersion must be {API_VERSION}.")
        return None
    if report.kind not in KINDS:
        (kind or value).fault("kind", f"kind must be one of {', '.join(KINDS)}.")
        return None
    report.name, display_name = read_metadata(fields.get("metadata"), value)
    spec = fields.get("spec")
    if spec is None:
        value.fault("required", "spec is required.")
        return None
    document = _Document(text, value, report.kind, report.name or "", display_name)
    if report.kind == "SLO":
        document.promise = read_slo(spec)
    elif report.kind == "SLI":
        document.metric = read_sli(spec)
    elif report.kind == "Service":
        read_service(spec)
    else:
        value.fault("unsupported", f"{report.kind} is not supported yet; it is ignored.", "warning")
    return document if report.name is not None else None


def _report_duplicates(documents: Sequence[_Document]) -> None:
    seen: set[tuple[str, str]] = set()
    for document in documents:
        if (document.kind, document.name) in seen:
            document.place.fault("duplicate", f"Another {document.kind} bears this name.")
        seen.add((document.kind, document.name))


def _objectives(document: _Document, reading: _Reading) -> list[Objective]:
    promise = document.promise
    if promise is None:
        return []
    metric = promise.metric or _referenced(promise, reading)
    if metric is None:
        return []
    objectives = []
    for number, goal in enumerate(promise.goals, start=1):
        indicator = indicator_for(metric, goal)
        if indicator is not None:
            several = len(promise.goals) > 1
            objectives.append(
                Objective(
                    name=f"{document.name}-{number}" if several else document.name,
                    service=promise.service,
                    display_name=document.display_name,
                    description=promise.description,
                    target=goal.target,
                    window=promise.window,
                    indicator=indicator,
                )
            )
    faults = report_of(document.place).findings
    return [] if any(fault.severity == "error" for fault in faults) else objectives


def _referenced(promise: Promise, reading: _Reading) -> Metric | None:
    reference = promise.reference
    if reference is None:
        return None
    name = reference.text()
    for document in reading.documents:
        if document.kind == "SLI" and document.name == name:
            return document.metric
    reference.fault("reference", f"No SLI of the name {name} is among the documents.")
    return None
