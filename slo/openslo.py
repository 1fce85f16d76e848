"""OpenSLO v1 texts become objectives, or findings with file line, path and rule.

Two levels: by default the prose of the specification holds, and what its SDK refuses is a warning;
strictly, the rules of the SDK hold.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from candor.kernel.document import Finding, Value, read_documents, report_of
from slo.alert_policy import (
    read_condition,
    read_data_source,
    read_policy,
    read_service,
    read_target,
)
from slo.annotations import Terms
from slo.indicator import Indicator, text_field_fault
from slo.kinds import (
    Goal,
    Promise,
    References,
    combined_target,
    indicator_for,
    queries_for,
    read_named_sli,
    read_slo,
)
from slo.lint import lint_promise, lint_volume
from slo.metadata import Metadata, read_metadata
from slo.objective import Objective, Part

API_VERSION = "openslo/v1"
KINDS = (
    "DataSource",
    "Service",
    "AlertNotificationTarget",
    "AlertCondition",
    "SLI",
    "AlertPolicy",
    "SLO",
)
"""Every kind, each before those that refer to it."""

Placed = tuple[str, Finding]
"""A finding and the name of the text that it is about."""

Volume = Callable[[Sequence[Objective]], Sequence[int]]
"""Tells how many valid events each objective had in its window so far."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One document in its canonical spelling, and the labels by which it can be pruned."""

    kind: str
    name: str
    labels: Mapping[str, tuple[str, ...]]
    text: str

    def has_label(self, label: tuple[str, str]) -> bool:
        """Whether it bears a label with that value."""
        return label[1] in self.labels.get(label[0], ())


@dataclass(frozen=True, slots=True)
class Compiled:
    """An objective, the SLO that it comes from, and whether that is among the new texts."""

    objective: Objective
    slo: str
    is_new: bool
    goal: Goal


@dataclass(frozen=True, slots=True)
class Named:
    """A promise and the document that makes it."""

    name: str
    display_name: str
    labels: Mapping[str, tuple[str, ...]]
    promise: Promise


@dataclass(frozen=True, slots=True)
class DocumentSet:
    """Everything that holds once a set of texts is applied over what is stored.

    ``broken`` names the SLOs of the store that a newer Candor would refuse: they stay as they are.
    """

    objectives: tuple[Compiled, ...]
    applied: "tuple[_Document, ...]"
    removed: tuple[StoredDocument, ...]
    promises: tuple[Named, ...]
    findings: tuple[Placed, ...]
    broken: frozenset[str] = frozenset()

    @property
    def documents(self) -> tuple[StoredDocument, ...]:
        """The documents of the texts as they are stored.

        Cost: their canonical spelling takes longer than all that validation does.
        """
        return tuple(_stored(one) for one in self.applied)


@dataclass(slots=True)
class _Document:
    """One document that has a kind and a name."""

    text: str
    place: Value
    kind: str
    name: str
    metadata: Metadata
    spec: Value | None
    is_new: bool
    promise: Promise | None = None

    @property
    def has_errors(self) -> bool:
        return any(one.severity == "error" for one in report_of(self.place).findings)


@dataclass(slots=True)
class _Reading:
    documents: list[_Document] = field(default_factory=list)
    places: list[tuple[str, Value]] = field(default_factory=list)
    unreadable: list[Placed] = field(default_factory=list)
    known: References = field(default_factory=References)


def read_openslo(
    texts: Mapping[str, str], *, strict: bool = False
) -> tuple[list[Objective], list[Placed]]:
    """Return the objectives of a set of named texts, and the findings by text and line.

    References reach over all the texts. An SLO with one objective gives it its name; with several,
    they are ``name-1``, ``name-2`` and so on, in the order of their standing; a composite is one.
    Only documents without an error give objectives.
    """
    read = read_set(texts, strict=strict)
    return [one.objective for one in read.objectives], list(read.findings)


def read_set(
    texts: Mapping[str, str],
    stored: Sequence[StoredDocument] = (),
    *,
    strict: bool = False,
    prune: tuple[str, str] | None = None,
    volume: Volume | None = None,
) -> DocumentSet:
    """Return what holds once the texts are applied over what is stored.

    A document replaces the stored one of its kind and name; references reach the rest of the
    store, whose objectives are made anew from what they refer to. With ``prune``, stored documents
    of that label and value that are not among the texts are left out; whoever still refers to one
    of them is told so.
    """
    reading = _Reading()
    for name, text in texts.items():
        _collect(reading, name, text, strict=strict, is_new=True)
    _report_duplicates(reading.documents)
    mine = {(one.kind, one.name) for one in reading.documents}
    others = [one for one in stored if (one.kind, one.name) not in mine]
    removed = [one for one in others if prune is not None and one.has_label(prune)]
    for one in others:
        if one not in removed:
            _collect(reading, f"{one.kind}/{one.name}", one.text, strict=False, is_new=False)
    for document in sorted(reading.documents, key=lambda one: KINDS.index(one.kind)):
        _read_spec(document, reading.known)
    compiled = [one for document in reading.documents for one in _compile(document)]
    _report_clashes(compiled, reading.documents)
    if volume is not None and compiled:
        _lint_volumes(compiled, volume)
    return DocumentSet(
        objectives=tuple(compiled),
        applied=tuple(one for one in reading.documents if one.is_new),
        removed=tuple(removed),
        promises=tuple(
            Named(one.name, one.metadata.display_name, one.metadata.labels, one.promise)
            for one in reading.documents
            if one.promise is not None and one.is_new and not one.has_errors
        ),
        findings=tuple(_findings(reading, texts)),
        broken=frozenset(
            one.name
            for one in reading.documents
            if one.kind == "SLO" and not one.is_new and (one.has_errors or one.promise is None)
        ),
    )


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


def _collect(reading: _Reading, name: str, text: str, *, strict: bool, is_new: bool) -> None:
    values, unreadable = read_documents(text, strict=strict, may_be_listed=True)
    reading.unreadable += ((name, finding) for finding in unreadable)
    for value in values:
        reading.places.append((name, value))
        document = _read_head(value, name, is_new=is_new)
        if document is not None:
            reading.documents.append(document)


def _read_head(value: Value, text: str, *, is_new: bool) -> _Document | None:
    report = report_of(value)
    fields = value.fields(("apiVersion", "kind", "metadata", "spec"))
    version, kind = fields.get("apiVersion"), fields.get("kind")
    report.kind = kind.text() if kind is not None else None
    is_ours = version is not None and version.text() == API_VERSION
    if not is_ours:
        (version or value).fault("api-version", f"apiVersion must be {API_VERSION}.")
    if report.kind not in KINDS:
        if is_ours:
            (kind or value).fault("kind", f"kind must be one of {', '.join(sorted(KINDS))}.")
        return None
    metadata = read_metadata(fields.get("metadata"), value)
    report.name = metadata.name
    spec = fields.get("spec") if is_ours else None
    if spec is None and is_ours and report.kind != "Service":
        value.fault("required", "spec is required.")
    name = metadata.name or ""
    return _Document(text, value, report.kind, name, metadata, spec, is_new)


def _read_spec(document: _Document, known: References) -> None:
    spec, name = document.spec, document.name
    alerts = known.alerts
    if spec is None:
        _hold_name(document, known)
    elif document.kind == "SLO":
        document.promise = read_slo(spec, document.metadata, known)
        if document.promise is not None:
            lint_promise(document.promise)
    elif document.kind == "SLI":
        known.slis[name] = read_named_sli(spec, document.metadata, known)
    elif document.kind == "DataSource":
        known.sources[name] = read_data_source(spec) or ""
    elif document.kind == "AlertPolicy":
        alerts.policies[name] = read_policy(spec, name, document.metadata.annotations, alerts)
    elif document.kind == "AlertCondition":
        alerts.conditions[name] = read_condition(spec, name)
    elif document.kind == "AlertNotificationTarget":
        alerts.targets[name] = read_target(spec)
    else:
        read_service(spec)


def _hold_name(document: _Document, known: References) -> None:
    """Make a document that has no spec known, so that its fault is not told of each reference."""
    alerts = known.alerts
    if document.kind == "SLI":
        known.slis[document.name] = None
    elif document.kind == "AlertPolicy":
        alerts.policies[document.name] = None
    elif document.kind == "AlertCondition":
        alerts.conditions[document.name] = None
    elif document.kind in {"AlertNotificationTarget", "DataSource"}:
        named = known.sources if document.kind == "DataSource" else alerts.targets
        named[document.name] = ""


def _report_duplicates(documents: Sequence[_Document]) -> None:
    seen: set[tuple[str, str]] = set()
    for document in documents:
        if document.name and (document.kind, document.name) in seen:
            document.place.fault("duplicate", f"Another {document.kind} bears this name.")
        seen.add((document.kind, document.name))


def _lint_volumes(compiled: Sequence[Compiled], volume: Volume) -> None:
    volumes = volume([one.objective for one in compiled])
    for one, events in zip(compiled, volumes, strict=True):
        if one.is_new:
            lint_volume(one.objective.target, events, one.goal, one.objective.no_data)


def _report_clashes(compiled: Sequence[Compiled], documents: Sequence[_Document]) -> None:
    """Report an SLO whose objective has the name of another SLO's: one would hide the other."""
    places = {one.name: one.place for one in documents if one.kind == "SLO"}
    owners: dict[str, str] = {}
    for one in compiled:
        owner = owners.setdefault(one.objective.name, one.slo)
        if owner != one.slo:
            places[one.slo].fault(
                "duplicate", f"The objective {one.objective.name} is one of the SLO {owner} too."
            )


def _compile(document: _Document) -> list[Compiled]:
    promise = document.promise
    if promise is None or document.has_errors:
        return []
    goals = promise.goals
    names = [f"{document.name}-{number}" for number in range(1, len(goals) + 1)]
    if promise.is_composite or len(goals) == 1:
        names = [document.name]
    groups = [goals] if promise.is_composite else [(goal,) for goal in goals]
    return [
        Compiled(objective, document.name, document.is_new, group[0])
        for name, group in zip(names, groups, strict=True)
        if (objective := _objective(name, document, promise, group)) is not None
    ]


def _objective(
    name: str, document: _Document, promise: Promise, goals: Sequence[Goal]
) -> Objective | None:
    parts = []
    for goal in goals:
        indicator = indicator_for(goal)
        if indicator is None:
            return None
        delay = goal.sli.delay or promise.terms.delay
        queries = queries_for(goal)
        part = Part(goal.sli.name, indicator, goal.weight, goal.budgeting, delay, queries)
        parts.append(part)
        _check_breakdown(promise.terms, indicator)
    return Objective(
        name=name,
        service=promise.service,
        display_name=document.metadata.display_name,
        description=promise.description,
        target=combined_target(goals, promise.terms.combination),
        period=promise.period,
        parts=tuple(parts),
        combination=promise.terms.combination,
        is_composite=promise.is_composite,
        windows=promise.terms.windows,
        no_data=promise.terms.no_data,
        minimum_events=promise.terms.minimum_events,
        minimum_bad_events=promise.terms.minimum_bad_events,
        expected_events=promise.terms.expected_events,
        labels=document.metadata.labels,
        policies=tuple(one.policy for one in promise.policies),
        disabled_tiers=promise.terms.disabled_tiers,
        by=promise.terms.by,
    )


def _check_breakdown(terms: Terms, indicator: Indicator) -> None:
    if terms.by is None or terms.by_place is None:
        return
    fault = text_field_fault(terms.by, indicator.signal)
    if fault is not None:
        terms.by_place.fault("annotation", fault)


def _stored(document: _Document) -> StoredDocument:
    text = document.place.canonical_text()
    return StoredDocument(document.kind, document.name, document.metadata.labels, text)


def _findings(reading: _Reading, texts: Mapping[str, str]) -> list[Placed]:
    """Return the findings about the texts, and the references of the store that they break.

    Where a text cannot be read to its end, what is referred to may stand in the rest of it.
    """
    findings = reading.unreadable + [
        (name, finding)
        for name, value in reading.places
        for finding in report_of(value).findings
        if (name in texts and finding.rule != "reference")
        or (finding.rule == "reference" and not reading.unreadable)
    ]
    order = {name: number for number, name in enumerate(texts)}
    return sorted(findings, key=lambda one: (order.get(one[0], len(order)), one[1].line))
