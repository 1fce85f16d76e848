"""The kinds around an SLO: AlertPolicy, AlertCondition, AlertNotificationTarget, DataSource.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TypeVar

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError
from slo.indicator import OPERATORS, Comparison
from slo.metadata import read_description, read_metadata, read_name
from slo.window import parse_duration

_WHEN = ("alertWhenBreaching", "alertWhenResolved", "alertWhenNoData")
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
    """One condition and whom it tells, by the names of targets."""

    name: str
    condition: AlertCondition
    targets: tuple[str, ...]


@dataclass(slots=True)
class Known:
    """What has been read so far, by name: what a reference may name.

    A name whose document has faults is known too, so that one fault is not reported as two.
    """

    conditions: dict[str, AlertCondition | None] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)
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


def read_target(spec: Value) -> None:
    """Check the spec of an AlertNotificationTarget."""
    fields = spec.fields(("description", "target"))
    read_description(fields)
    if "target" not in fields:
        spec.fault("required", "target is required.")
    else:
        fields["target"].text()


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
    lookback, after = (read_duration(parts.get(one)) for one in ("lookbackWindow", "alertAfter"))
    if severity is None or operator is None or threshold is None or lookback is None:
        return None
    at = parts["threshold"]
    return AlertCondition(
        name, severity, operator, threshold, lookback, after or timedelta(0), place=at
    )


def read_policy(spec: Value, name: str, known: Known) -> AlertPolicy | None:
    """Return what an AlertPolicy says, or none when it has a fault."""
    fields = spec.fields(("description", *_WHEN, "conditions", "notificationTargets"))
    read_description(fields)
    for word in _WHEN:
        if word in fields:
            fields[word].boolean()
    conditions = fields["conditions"].items() if "conditions" in fields else []
    if len(conditions) != 1:
        place = fields.get("conditions") or spec
        place.fault("required", "conditions must hold exactly one condition.")
    targets = fields["notificationTargets"].items() if "notificationTargets" in fields else []
    if not targets:
        place = fields.get("notificationTargets") or spec
        place.fault("required", "notificationTargets must hold at least one target.")
    names = [_read_named_target(one, known) for one in targets]
    read = [_read_named_condition(one, known) for one in conditions]
    if len(read) != 1 or read[0] is None:
        return None
    return AlertPolicy(name, read[0], tuple(one for one in names if one is not None))


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
            policies.append(read_policy(inline[1], inline[0], known))
    return [policy for policy in policies if policy is not None]


def read_operator(value: Value | None) -> Comparison | None:
    """Return a comparison; absence is none, and no fault."""
    if value is None:
        return None
    operator = OPERATORS.get(value.text() or "")
    if operator is None:
        value.fault("one-of", f"op is one of {', '.join(OPERATORS)}.")
    return operator


def read_duration(value: Value | None) -> timedelta | None:
    """Return a duration, or report that it is none; absence is no fault."""
    if value is None:
        return None
    try:
        return parse_duration(value.text() or "")
    except InvalidInputError as error:
        value.fault("format", error.detail)
        return None


def _read_named_condition(entry: Value, known: Known) -> AlertCondition | None:
    inline = _inline(entry, "conditionRef", "AlertCondition")
    if isinstance(inline, Value):
        return _referenced(inline, "AlertCondition", known.conditions)
    return read_condition(inline[1], inline[0]) if inline is not None else None


def _read_named_target(entry: Value, known: Known) -> str | None:
    inline = _inline(entry, "targetRef", "AlertNotificationTarget")
    if isinstance(inline, Value):
        name = inline.text()
        if name is not None and name not in known.targets:
            _missing(inline, "AlertNotificationTarget", name)
        return name
    if inline is None:
        return None
    read_target(inline[1])
    return inline[0]


def _referenced(reference: Value, kind: str, known: Mapping[str, T | None]) -> T | None:
    name = reference.text()
    if name is None:
        return None
    if name not in known:
        _missing(reference, kind, name)
    return known.get(name)


def _missing(reference: Value, kind: str, name: str) -> None:
    reference.fault("reference", f"There is no {kind} of the name {name}.")


def _inline(entry: Value, reference: str, kind: str) -> Value | tuple[str, Value] | None:
    """Return the reference that an entry holds, or the name and spec of an inline object."""
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
    return metadata.name or "", fields["spec"]
