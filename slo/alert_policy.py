"""The kinds around an SLO: AlertPolicy, AlertCondition, AlertNotificationTarget, DataSource.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError
from slo.alert_expression import alternatives
from slo.burn_rate import Severity
from slo.burn_rule import BurnCondition, BurnRule, Policy
from slo.indicator import OPERATORS, Comparison
from slo.metadata import Metadata, read_description, read_metadata, read_name
from slo.window import parse_duration

_WHEN = ("alertWhenBreaching", "alertWhenResolved", "alertWhenNoData")
_CONDITION = "candor.dev/condition"
_PAGING = frozenset({"page", "critical"})
"""The severities that wake somebody; OpenSLO leaves the words open."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AlertCondition:
    """When a policy alerts: the burn rate over the look-back compares so with the threshold."""

    name: str
    severity: str
    operator: Comparison
    threshold: Decimal
    lookback: timedelta
    alert_after: timedelta
    place: Value = field(compare=False)


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """A policy as it alerts, and the conditions that it was made from."""

    policy: Policy
    conditions: tuple[AlertCondition, ...]


@dataclass(slots=True)
class Known:
    """What has been read so far, by name: what a reference may name.

    A name whose document has faults is known too, so that one fault is not reported as two.
    """

    conditions: dict[str, AlertCondition | None] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    policies: dict[str, AlertPolicy | None] = field(default_factory=dict)


def read_service(spec: Value) -> None:
    """Check the spec of a Service."""
    read_description(spec.fields(("description",)))


def read_data_source(spec: Value) -> str | None:
    """Return the type of a DataSource."""
    fields = spec.fields(("description", "type", "connectionDetails"))
    read_description(fields)
    if "connectionDetails" not in fields:
        spec.doubt("required", "connectionDetails is required.")
    elif not fields["connectionDetails"].is_list:
        fields["connectionDetails"].fields()
    if "type" not in fields:
        spec.fault("required", "type is required.")
        return None
    return fields["type"].text()


def read_target(spec: Value) -> str:
    """Return what an AlertNotificationTarget calls its target, or nothing when it has a fault."""
    fields = spec.fields(("description", "target"))
    read_description(fields)
    if "target" not in fields:
        spec.fault("required", "target is required.")
        return ""
    return fields["target"].text() or ""


def read_condition(spec: Value, name: str) -> AlertCondition | None:
    """Return what an AlertCondition says, or none when it has a fault."""
    fields = spec.fields(("description", "severity", "condition"))
    read_description(fields)
    severity = fields["severity"].text() if "severity" in fields else None
    if "severity" not in fields:
        spec.fault("required", "severity is required.")
    if "condition" not in fields:
        spec.fault("required", "condition is required.")
        return None
    place = fields["condition"]
    parts = place.fields(("kind", "op", "threshold", "lookbackWindow", "alertAfter"))
    if "kind" not in parts:
        place.doubt("required", "kind is required: burnrate, which is assumed.")
    elif parts["kind"].text() != "burnrate":
        parts["kind"].fault("one-of", "The kind of a condition is burnrate.")
        return None
    for missing in {"op", "threshold", "lookbackWindow"} - parts.keys():
        place.fault("required", f"{missing} is required.")
    operator = read_operator(parts.get("op"))
    threshold = parts["threshold"].number() if "threshold" in parts else None
    lookback = read_duration(parts.get("lookbackWindow"))
    after = read_duration(parts.get("alertAfter"), " Leave alertAfter out to alert at once.")
    if severity is None or operator is None or threshold is None or lookback is None:
        return None
    at = parts["threshold"]
    return AlertCondition(
        name, severity, operator, threshold, lookback, after or timedelta(0), place=at
    )


def read_policy(
    spec: Value, name: str, annotations: Mapping[str, Value], known: Known
) -> AlertPolicy | None:
    """Return what an AlertPolicy says, or none when it has a fault.

    It has one condition, as OpenSLO has it; the annotation ``candor.dev/condition`` combines
    several AlertConditions by their names in its place: ``(a and b) or c``.
    """
    fields = spec.fields(("description", *_WHEN, "conditions", "notificationTargets"))
    read_description(fields)
    breaching, tells_end, no_data = (
        bool(fields[word].boolean()) if word in fields else usual
        for word, usual in zip(_WHEN, (True, True, False), strict=True)
    )
    conditions = fields["conditions"].items() if "conditions" in fields else []
    if len(conditions) != 1:
        place = fields.get("conditions") or spec
        place.fault("required", "conditions must hold exactly one condition.")
    targets = fields["notificationTargets"].items() if "notificationTargets" in fields else []
    if not targets:
        place = fields.get("notificationTargets") or spec
        place.fault("required", "notificationTargets must hold at least one target.")
    names = tuple(one for one in (_read_named_target(entry, known) for entry in targets) if one)
    read = [_read_named_condition(one, known) for one in conditions]
    if len(read) != 1 or read[0] is None:
        return None
    groups = _combined(annotations.get(_CONDITION), known) or [[read[0]]]
    used = tuple(dict.fromkeys(one for group in groups for one in group))
    policy = _policy(name, groups, used, names)
    if not breaching:
        policy = replace(policy, rules=())
    if no_data:
        policy = replace(policy, no_data_within=max(one.lookback for one in used))
    return AlertPolicy(replace(policy, tells_end=tells_end), used)


def read_policies(value: Value, known: Known) -> list[AlertPolicy]:
    """Return the policies that an SLO names or holds; a plain name is of an older prose."""
    policies = []
    for entry in value.items():
        if not entry.is_mapping:
            entry.doubt("type", "Name a policy as alertPolicyRef.")
            policies.append(_referenced(entry, "AlertPolicy", known.policies))
            continue
        inline = _inline(entry, "alertPolicyRef", "AlertPolicy")
        if isinstance(inline, Value):
            policies.append(_referenced(inline, "AlertPolicy", known.policies))
        elif inline is not None:
            metadata, spec = inline
            name = metadata.name or ""
            policies.append(read_policy(spec, name, metadata.annotations, known))
    return [policy for policy in policies if policy is not None]


def read_operator(value: Value | None) -> Comparison | None:
    """Return a comparison; absence is none, and no fault."""
    if value is None:
        return None
    operator = OPERATORS.get(value.text() or "")
    if operator is None:
        value.fault("one-of", f"op is one of {', '.join(OPERATORS)}.")
    return operator


def read_duration(value: Value | None, advice: str = "") -> timedelta | None:
    """Return a duration, or report that it is none, with advice; absence is no fault."""
    if value is None:
        return None
    try:
        return parse_duration(value.text() or "")
    except InvalidInputError as error:
        value.fault("format", error.detail + advice)
        return None


def _read_named_condition(entry: Value, known: Known) -> AlertCondition | None:
    inline = _inline(entry, "conditionRef", "AlertCondition")
    if isinstance(inline, Value):
        return _referenced(inline, "AlertCondition", known.conditions)
    return read_condition(inline[1], inline[0].name or "") if inline is not None else None


def _read_named_target(entry: Value, known: Known) -> str | None:
    inline = _inline(entry, "targetRef", "AlertNotificationTarget")
    if isinstance(inline, Value):
        return _referenced(inline, "AlertNotificationTarget", known.targets)
    return read_target(inline[1]) if inline is not None else None


def _referenced(reference: Value, kind: str, known: Mapping[str, T | None]) -> T | None:
    name = reference.text()
    if name is None:
        return None
    if name not in known:
        _missing(reference, kind, name)
    return known.get(name)


def _missing(reference: Value, kind: str, name: str) -> None:
    reference.fault("reference", f"There is no {kind} of the name {name}.")


def _inline(entry: Value, reference: str, kind: str) -> Value | tuple[Metadata, Value] | None:
    """Return the reference that an entry holds, or the metadata and spec of an inline object."""
    fields = entry.fields((reference, "kind", "metadata", "spec", "apiVersion"))
    named = fields.pop(reference, None)
    if (named is None) == (not fields):
        entry.fault("one-of", f"Give either {reference} or the whole {kind}.")
        return None
    if named is not None:
        return named if read_name(named, entry, reference) is not None else None
    written = fields["kind"].text() if "kind" in fields else None
    if written != kind:
        (fields.get("kind") or entry).fault("kind", f"kind must be {kind}.")
    metadata = read_metadata(fields.get("metadata"), entry)
    if "spec" not in fields:
        entry.fault("required", "spec is required.")
        return None
    return metadata, fields["spec"]


def _combined(annotation: Value | None, known: Known) -> list[list[AlertCondition]] | None:
    """Return the conditions that an expression combines, or none when there is none to follow."""
    text = annotation.text() if annotation is not None else None
    if annotation is None or text is None:
        return None
    try:
        groups = alternatives(text)
    except InvalidInputError as error:
        annotation.fault("annotation", error.detail)
        return None
    names = dict.fromkeys(name for group in groups for name in group)
    for name in names:
        if name not in known.conditions:
            _missing(annotation, "AlertCondition", name)
    found = {name: condition for name in names if (condition := known.conditions.get(name))}
    if len(found) < len(names):
        return None
    return [[found[name] for name in group] for group in groups]


def _policy(
    name: str,
    groups: Sequence[Sequence[AlertCondition]],
    used: Sequence[AlertCondition],
    targets: tuple[str, ...],
) -> Policy:
    """Return a policy of the gravest severity and the longest patience of its conditions."""
    severity: Severity = "ticket"
    if any(one.severity.lower() in _PAGING for one in used):
        severity = "page"
    rules = tuple(
        BurnRule(
            name,
            severity,
            tuple(
                BurnCondition(one.lookback, Fraction(one.threshold), one.operator) for one in group
            ),
        )
        for group in groups
    )
    patience = max(one.alert_after for one in used)
    return Policy(name, severity, rules, patience, targets=targets)
