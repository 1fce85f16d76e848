"""The kinds of OpenSLO v1 that Candor reads: SLO, SLI and Service, field by field.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError
from slo.indicator import FIELDS, Comparison, Filter, Indicator, Signal, Threshold
from slo.source import check_signal, read_filter, signal_of
from slo.window import parse_duration

_METHODS = ("Occurrences", "Timeslices", "RatioTimeslices")
_OPERATORS: dict[str, Comparison] = {"lte": "lte", "gte": "gte", "lt": "lt", "gt": "gt"}
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?")
_MOST_DISPLAY_NAME = 63
_MOST_DESCRIPTION = 1050
_SLO_FIELDS = (
    "description", "service", "indicator", "indicatorRef", "timeWindow", "budgetingMethod",
    "objectives", "alertPolicies",
)  # fmt: skip
_OBJECTIVE_FIELDS = (
    "displayName", "op", "value", "target", "targetPercent", "timeSliceTarget",
    "timeSliceWindow", "indicator", "indicatorRef", "compositeWeight",
)  # fmt: skip
_RATIO_FIELDS = ("counter", "good", "bad", "total", "raw", "rawType")


@dataclass(frozen=True, slots=True)
class Metric:
    """An SLI as written: an indicator, whose threshold (if ``value``) waits for its limit."""

    indicator: Indicator
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """One entry of ``objectives``: how much must be good and, for a threshold, what good is."""

    place: Value
    target: Decimal
    operator: Comparison | None
    limit: Decimal | None


@dataclass(frozen=True, slots=True)
class Promise:
    """What an SLO document says; its SLI stands inside it or is named by ``reference``."""

    service: str
    description: str
    window: timedelta
    goals: tuple[Goal, ...]
    metric: Metric | None
    reference: Value | None


def read_metadata(metadata: Value | None, document: Value) -> tuple[str | None, str]:
    """Return name and display name; each fault is reported."""
    if metadata is None:
        document.fault("required", "metadata with a name is required.")
        return None, ""
    fields = metadata.fields(("name", "displayName", "labels", "annotations"))
    name = read_name(fields.get("name"), metadata, "name")
    display = fields["displayName"].text() if "displayName" in fields else None
    if display is not None and len(display) > _MOST_DISPLAY_NAME:
        fields["displayName"].fault("length", f"At most {_MOST_DISPLAY_NAME} characters.")
    if "labels" in fields:
        _check_labels(fields["labels"])
    if "annotations" in fields:
        for annotation in fields["annotations"].fields().values():
            annotation.text()
    return name, display or name or ""


def read_name(value: Value | None, parent: Value, what: str) -> str | None:
    """Return a DNS label, or report what is wrong with it."""
    if value is None:
        parent.fault("required", f"{what} is required.")
        return None
    text = value.text()
    if text is not None and not _NAME.fullmatch(text):
        value.fault("format", "A name has 1 to 63 of a-z, 0-9 and -, and ends in neither -.")
        return None
    return text


def read_service(spec: Value) -> None:
    """Check the spec of a Service."""
    _description(spec.fields(("description",)))


def read_sli(spec: Value, more_fields: Iterable[str] = ("description",)) -> Metric | None:
    """Return the metric of an SLI spec: a ratio or a threshold."""
    fields = spec.fields(("ratioMetric", "thresholdMetric", *more_fields))
    _description(fields)
    ratio, threshold = fields.get("ratioMetric"), fields.get("thresholdMetric")
    if (ratio is None) == (threshold is None):
        spec.fault("one-of", "Give either ratioMetric or thresholdMetric.")
        return None
    if ratio is not None:
        return _read_ratio(ratio)
    return _read_threshold(threshold) if threshold is not None else None


def read_slo(spec: Value) -> Promise | None:
    """Return what an SLO spec says, or none when a fault keeps it from meaning anything."""
    fields = spec.fields(_SLO_FIELDS)
    description = _description(fields)
    service = read_name(fields.get("service"), spec, "service")
    window = _read_window(fields.get("timeWindow"), spec)
    _read_method(fields.get("budgetingMethod"), spec)
    metric, reference = _read_indicator(fields, spec)
    if "alertPolicies" in fields:
        fields["alertPolicies"].fault(
            "unsupported", "Alert policies are read, but not evaluated yet.", "warning"
        )
    goals = _read_goals(fields.get("objectives"), spec)
    if service is None or window is None or not goals or (metric or reference) is None:
        return None
    return Promise(service, description, window, goals, metric, reference)


def indicator_for(metric: Metric, goal: Goal) -> Indicator | None:
    """Return the indicator of one goal, or report that metric and goal do not fit."""
    if metric.value is None:
        if goal.operator is not None or goal.limit is not None:
            goal.place.fault("one-of", "op and value belong to a thresholdMetric, not to a ratio.")
            return None
        return metric.indicator
    if goal.operator is None or goal.limit is None:
        goal.place.fault("required", "A thresholdMetric needs op and value on its objective.")
        return None
    threshold = Threshold(metric.value, goal.operator, float(goal.limit))
    return replace(metric.indicator, threshold=threshold)


def _description(fields: dict[str, Value]) -> str:
    value = fields.get("description")
    text = value.text() if value is not None else None
    if value is not None and text is not None and len(text) > _MOST_DESCRIPTION:
        value.fault("length", f"At most {_MOST_DESCRIPTION} characters.")
    return text or ""


def _check_labels(labels: Value) -> None:
    for name, value in labels.fields().items():
        if not _LABEL.fullmatch(name):
            value.fault("format", "A label has 1 to 63 letters, digits, and -._ inside.")
        for entry in value.items() if value.is_list else [value]:
            entry.text()


def _read_window(value: Value | None, spec: Value) -> timedelta | None:
    windows = value.items() if value is not None else []
    if len(windows) != 1:
        (value or spec).fault("required", "timeWindow must hold exactly one window.")
        return None
    fields = windows[0].fields(("duration", "isRolling", "calendar"))
    rolling = fields["isRolling"].boolean() if "isRolling" in fields else False
    if not rolling and "calendar" in fields:
        windows[0].fault("unsupported", "Calendar windows are not supported yet: isRolling: true.")
    elif not rolling:
        windows[0].fault("required", "A window is rolling (isRolling: true) or has a calendar.")
    elif "calendar" in fields:
        fields["calendar"].fault("one-of", "A rolling window has no calendar.")
    duration = fields.get("duration")
    if duration is None:
        windows[0].fault("required", "duration is required.")
        return None
    try:
        return parse_duration(duration.text() or "")
    except InvalidInputError as error:
        duration.fault("format", error.detail)
        return None


def _read_method(value: Value | None, spec: Value) -> None:
    method = value.text() if value is not None else None
    if value is None:
        spec.fault("required", f"budgetingMethod is required: {', '.join(_METHODS)}.")
    elif method not in _METHODS:
        value.fault("one-of", f"budgetingMethod is one of {', '.join(_METHODS)}.")
    elif method != "Occurrences":
        value.fault("unsupported", f"{method} is not supported yet. Use Occurrences.")


def _read_indicator(fields: dict[str, Value], spec: Value) -> tuple[Metric | None, Value | None]:
    inline, reference = fields.get("indicator"), fields.get("indicatorRef")
    if (inline is None) == (reference is None):
        (reference or spec).fault("one-of", "Give either indicator or indicatorRef.")
        return None, None
    if inline is None:
        named = read_name(reference, spec, "indicatorRef")
        return None, reference if named is not None else None
    parts = inline.fields(("metadata", "spec"))
    read_metadata(parts.get("metadata"), inline)
    if "spec" not in parts:
        inline.fault("required", "An indicator needs its spec.")
        return None, None
    return read_sli(parts["spec"]), None


def _read_goals(value: Value | None, spec: Value) -> tuple[Goal, ...]:
    entries = value.items() if value is not None else []
    if not entries:
        (value or spec).fault("required", "objectives must hold at least one objective.")
    goals = [_read_goal(entry) for entry in entries]
    return tuple(goal for goal in goals if goal is not None)


def _read_goal(entry: Value) -> Goal | None:
    fields = entry.fields(_OBJECTIVE_FIELDS)
    for name in ("indicator", "indicatorRef", "compositeWeight"):
        if name in fields:
            fields[name].fault("unsupported", "Composite objectives are not supported yet.")
    for name in ("timeSliceTarget", "timeSliceWindow"):
        if name in fields:
            fields[name].fault("one-of", "Time slices do not go with Occurrences.")
    operator = _read_operator(fields.get("op"))
    limit = fields["value"].number() if "value" in fields else None
    target = _read_target(fields, entry)
    return Goal(entry, target, operator, limit) if target is not None else None


def _read_operator(value: Value | None) -> Comparison | None:
    if value is None:
        return None
    operator = _OPERATORS.get(value.text() or "")
    if operator is None:
        value.fault("one-of", f"op is one of {', '.join(_OPERATORS)}.")
    return operator


def _read_target(fields: dict[str, Value], entry: Value) -> Decimal | None:
    ratio, percent = fields.get("target"), fields.get("targetPercent")
    if (ratio is None) == (percent is None):
        entry.fault("one-of", "Give either target (0 to 1) or targetPercent (0 to 100).")
        return None
    value = ratio or percent
    number = value.number() if value is not None else None
    if value is None or number is None:
        return None
    target = number / 100 if percent is not None else number
    if target == 1:
        value.fault("range", "A target of all events leaves no error budget. Aim lower.")
    elif not 0 < target < 1:
        value.fault("range", "The target must lie between none and all events.")
    else:
        return target
    return None


def _read_ratio(ratio: Value) -> Metric | None:
    fields = ratio.fields(_RATIO_FIELDS)
    if "raw" in fields or "rawType" in fields:
        ratio.fault("unsupported", "Raw ratios are not supported yet. Give good and total.")
        return None
    if "counter" in fields:
        fields["counter"].boolean()
    good, bad, total = fields.get("good"), fields.get("bad"), fields.get("total")
    spec = _metric_spec(total, ("signal", "filter", "good")) if total is not None else None
    if total is None or (good is not None and bad is not None):
        ratio.fault("one-of", "A ratio needs total, and either good or bad.")
        return None
    if spec is None:
        return None
    signal = signal_of(spec)
    valid = read_filter(spec["filter"], signal) if "filter" in spec else ()
    shorthand = spec.get("good")
    part = good or bad
    if (part is None) == (shorthand is None):
        ratio.fault("one-of", "Say once what is good: good, bad, or good inside the total's spec.")
        return None
    if shorthand is not None:
        return Metric(Indicator(valid, read_filter(shorthand, signal), signal=signal))
    matched = _part_filter(part, signal) if part is not None else None
    indicator = Indicator(valid, matched or (), inverted=bad is not None, signal=signal)
    return Metric(indicator) if matched else None


def _part_filter(part: Value, signal: Signal) -> Filter | None:
    spec = _metric_spec(part, ("signal", "filter", "good"))
    if spec is None:
        return None
    if signal_of(spec) != signal:
        part.fault("one-of", "Good and bad are counted in the same signal as total.")
        return None
    conditions = read_filter(spec["filter"], signal) if "filter" in spec else ()
    if "good" in spec:
        conditions += read_filter(spec["good"], signal)
    if not conditions:
        part.fault("required", "Say which events these are: a filter with a condition.")
        return None
    return conditions


def _read_threshold(threshold: Value) -> Metric | None:
    spec = _metric_spec(threshold, ("signal", "filter", "value"))
    if spec is None:
        return None
    value = spec.get("value")
    if value is None:
        threshold.fault("required", "Name the value that has the threshold: value: duration_ms.")
        return None
    name, signal = value.text(), signal_of(spec)
    known = FIELDS[signal].number
    if name not in known:
        value.fault("one-of", f"A value is one of {', '.join(sorted(known))}.")
        return None
    valid = read_filter(spec["filter"], signal) if "filter" in spec else ()
    return Metric(Indicator(valid, signal=signal), value=name)


def _metric_spec(metric: Value, known: Iterable[str]) -> dict[str, Value] | None:
    """Return the fields of ``metricSource.spec``."""
    source = metric.fields(("metricSource",)).get("metricSource")
    if source is None:
        metric.fault("required", "metricSource is required.")
        return None
    fields = source.fields(("metricSourceRef", "type", "spec"))
    if "metricSourceRef" in fields:
        fields["metricSourceRef"].fault("unsupported", "Data sources are not supported yet.")
    kind = fields["type"].text() if "type" in fields else None
    if kind != "candor":
        (fields.get("type") or source).fault("one-of", "type must be candor.")
        return None
    if "spec" not in fields:
        source.fault("required", "spec is required.")
        return None
    spec = fields["spec"].fields(known)
    check_signal(spec, fields["spec"])
    return spec
