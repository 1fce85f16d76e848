"""The SLO kind of OpenSLO v1, field by field: what is promised, over which window, counted how.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from candor.kernel.document import Value
from candor.kernel.errors import InvalidInputError
from slo.alert_policy import AlertPolicy, Known, read_duration, read_operator, read_policies
from slo.annotations import Terms, read_delay, read_terms
from slo.budgeting import OCCURRENCES, Budgeting, Method, has_too_many_slices
from slo.composite import Combination, Delay
from slo.indicator import FRESHNESS, Comparison, Condition, Indicator, Threshold
from slo.metadata import Metadata, read_description, read_metadata, read_name
from slo.metric import Metric, read_sli
from slo.period import CalendarPeriod, Period, RollingPeriod, calendar_period
from slo.promql import PromQL
from slo.window import MINUTE

_METHODS: dict[str, Method] = {
    "Occurrences": "Occurrences",
    "Timeslices": "Timeslices",
    "RatioTimeslices": "RatioTimeslices",
}
_ASSUMED_WINDOW = RollingPeriod(timedelta(days=30))
_MOST_SLICE_MINUTES = 10**6
_MOST_FRESH_MINUTES = 30 * 24 * 60
_LEAST_BUDGET = Decimal("1e-15")
_SLO_FIELDS = (
    "description", "service", "indicator", "indicatorRef", "timeWindow", "budgetingMethod",
    "objectives", "alertPolicies",
)  # fmt: skip
_OBJECTIVE_FIELDS = (
    "displayName", "op", "value", "target", "targetPercent", "timeSliceTarget",
    "timeSliceWindow", "indicator", "indicatorRef", "compositeWeight",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sli:
    """An SLI with its name, and how long its data may be late."""

    name: str
    metric: Metric
    delay: Delay | None = None


@dataclass(slots=True)
class References:
    """What the documents around an SLO are, by name.

    A name whose document has faults is known too, so that one fault is not reported as two.
    """

    sources: dict[str, str] = field(default_factory=dict)
    slis: dict[str, Sli | None] = field(default_factory=dict)
    alerts: Known = field(default_factory=Known)


@dataclass(frozen=True, slots=True)
class Goal:
    """One entry of ``objectives``; ``sli`` is its own in a composite, else that of the SLO."""

    place: Value
    target: Decimal
    target_place: Value
    operator: Comparison | None
    limit: Decimal | None
    budgeting: Budgeting
    slice_place: Value | None
    sli: Sli
    weight: Fraction


@dataclass(frozen=True, slots=True)
class Promise:
    """What an SLO document says, its references followed."""

    service: str
    description: str
    period: Period
    period_place: Value
    goals: tuple[Goal, ...]
    is_composite: bool
    terms: Terms
    policies: tuple[AlertPolicy, ...]


def read_slo(spec: Value, metadata: Metadata, known: References) -> Promise | None:
    """Return what an SLO spec says, or none when a fault keeps it from meaning anything."""
    fields = spec.fields(_SLO_FIELDS)
    description = read_description(fields)
    service = read_name(fields.get("service"), spec, "service")
    period = _read_window(fields.get("timeWindow"), spec)
    method = _read_method(fields.get("budgetingMethod"), spec)
    terms = read_terms(metadata.annotations, method)
    policies = (
        read_policies(fields["alertPolicies"], known.alerts) if "alertPolicies" in fields else []
    )
    entries = _objective_entries(fields.get("objectives"), spec)
    is_composite = any({"indicator", "indicatorRef"} & entry.keys() for _, entry in entries)
    shared = None if is_composite else _read_indicator(fields, spec, known)
    if is_composite:
        for name in {"indicator", "indicatorRef"} & fields.keys():
            fields[name].fault("one-of", "Indicators stand on the SLO or on its objectives.")
    goals = []
    for place, entry in entries:
        own = _read_indicator(entry, place, known) if is_composite else shared
        goal = _read_goal(place, entry, method, own)
        if goal is not None:
            if not is_composite and "compositeWeight" in entry:
                entry["compositeWeight"].warn("one-of", "Only a composite has weights.")
            goals.append(goal)
    place = fields.get("timeWindow") or spec
    if method != "Occurrences" and isinstance(period, CalendarPeriod) and period.start.second:
        place.fault("format", "Slices are made of whole minutes: let startTime end in :00.")
    if terms.no_data == "bad" and period is not None:
        _check_slices(place, goals, max(one.nominal for one in (period, *terms.windows)))
    if service is None or period is None or not goals or len(goals) < len(entries):
        return None
    return Promise(
        service, description, period, place, tuple(goals), is_composite, terms, tuple(policies)
    )


def combined_target(goals: Sequence[Goal], combination: Combination) -> Decimal:
    """Return the target of all goals together: their weighted mean, or a journey's product."""
    if len(goals) == 1:
        return goals[0].target
    target = Fraction(1)
    if combination == "journey":
        for goal in goals:
            target *= Fraction(goal.target)
    else:
        weights = sum(goal.weight for goal in goals)
        target = sum((goal.weight * Fraction(goal.target) for goal in goals), Fraction(0)) / weights
    return Decimal(target.numerator) / Decimal(target.denominator)


def queries_for(goal: Goal) -> PromQL | None:
    """Return what a Prometheus is asked for a goal; none where nothing can be counted from it."""
    metric = goal.sli.metric
    queries = metric.queries
    if queries is None or not metric.is_countable:
        return None
    if queries.raw is not None and goal.budgeting.method == "Occurrences":
        return None
    if queries.value is not None and goal.limit is not None:
        return replace(queries, operator=goal.operator, limit=float(goal.limit))
    return queries


def indicator_for(goal: Goal) -> Indicator | None:
    """Return the indicator of one goal; none where its metric is nothing that Candor can count."""
    metric = goal.sli.metric
    queries = queries_for(goal)
    if queries is not None:
        source = Condition("source", "any", (queries.digest,))
        return Indicator((source,), (Condition("outcome", "any", ("good",)),), signal="prometheus")
    if metric.indicator is None or metric.value is None:
        return metric.indicator
    if goal.operator is None or goal.limit is None:
        return None
    if metric.value == FRESHNESS:
        return replace(metric.indicator, freshness=int(goal.limit) * MINUTE)
    threshold = Threshold(metric.value, goal.operator, float(goal.limit))
    return replace(metric.indicator, threshold=threshold)


def read_named_sli(spec: Value, metadata: Metadata, known: References) -> Sli | None:
    """Return the SLI of an SLI document or of an inline indicator."""
    metric = read_sli(spec, known.sources)
    delay = read_delay(metadata.annotations)
    return Sli(metadata.name or "", metric, delay) if metric is not None else None


def _check_slices(place: Value, goals: Sequence[Goal], longest: timedelta) -> None:
    if any(has_too_many_slices(goal.budgeting, longest) for goal in goals):
        place.fault(
            "range",
            "Where silence is bad, a window has at most a million slices. Take longer ones.",
        )


def _read_window(value: Value | None, spec: Value) -> Period | None:
    if value is None:
        spec.doubt("required", "timeWindow is required; a rolling 30d is assumed.")
        return None if spec.is_strict else _ASSUMED_WINDOW
    windows = value.items()
    if len(windows) != 1:
        value.fault("required", "timeWindow must hold exactly one window.")
        return None
    fields = windows[0].fields(("duration", "isRolling", "calendar"))
    rolling = fields["isRolling"].boolean() if "isRolling" in fields else False
    calendar = fields.get("calendar")
    if not rolling and calendar is None:
        windows[0].fault("required", "A window is rolling (isRolling: true) or has a calendar.")
    elif rolling and calendar is not None:
        calendar.fault("one-of", "A rolling window has no calendar.")
    if "duration" not in fields:
        windows[0].fault("required", "duration is required.")
        return None
    length = read_duration(fields["duration"])
    if length is None:
        return None
    if rolling or calendar is None:
        return RollingPeriod(length)
    return _read_calendar(calendar, fields["duration"].text() or "")


def _read_calendar(calendar: Value, duration: str) -> Period | None:
    fields = calendar.fields(("startTime", "timeZone"))
    for missing in ("startTime", "timeZone"):
        if missing not in fields:
            calendar.fault("required", f"{missing} is required.")
            return None
    zone, start = fields["timeZone"].text() or "", fields["startTime"].text() or ""
    for place, asked in (("timeZone", (duration, zone)), ("startTime", (duration, zone, start))):
        try:
            period = calendar_period(*asked)
        except InvalidInputError as error:
            fields[place].fault("format", error.detail)
            return None
    return period


def _read_method(value: Value | None, spec: Value) -> Method | None:
    listed = ", ".join(_METHODS)
    if value is None:
        spec.fault("required", f"budgetingMethod is required: {listed}.")
        return None
    method = _METHODS.get(value.text() or "")
    if method is None:
        value.fault("one-of", f"budgetingMethod is one of {listed}.")
    return method


def _read_indicator(fields: Mapping[str, Value], place: Value, known: References) -> Sli | None:
    inline, reference = fields.get("indicator"), fields.get("indicatorRef")
    if (inline is None) == (reference is None):
        (reference or place).fault("one-of", "Give either indicator or indicatorRef.")
        return None
    if reference is not None:
        name = read_name(reference, place, "indicatorRef")
        if name is not None and name not in known.slis:
            reference.fault("reference", f"There is no SLI of the name {name}.")
        return known.slis.get(name or "")
    parts = inline.fields(("metadata", "spec", "kind", "apiVersion")) if inline is not None else {}
    metadata = read_metadata(parts.get("metadata"), inline or place)
    if "spec" not in parts:
        (inline or place).fault("required", "An indicator needs its spec.")
        return None
    return read_named_sli(parts["spec"], metadata, known)


def _objective_entries(value: Value | None, spec: Value) -> list[tuple[Value, dict[str, Value]]]:
    entries = value.items() if value is not None else []
    if not entries:
        (value or spec).fault("required", "objectives must hold at least one objective.")
    return [(entry, entry.fields(_OBJECTIVE_FIELDS)) for entry in entries]


def _read_goal(
    place: Value, fields: Mapping[str, Value], method: Method | None, sli: Sli | None
) -> Goal | None:
    operator = read_operator(fields.get("op"))
    limit = fields["value"].number() if "value" in fields else None
    fits = sli is None or _check_threshold(sli.metric, fields, place)
    target, target_place = _read_target(fields, place)
    budgeting = _read_budgeting(fields, place, method)
    weight = Fraction(1)
    if "compositeWeight" in fields:
        number = fields["compositeWeight"].number()
        if number is None or number <= 0:
            fields["compositeWeight"].fault("range", "A weight is above 0.")
            return None
        weight = Fraction(number)
    if sli is None or not fits or target is None or target_place is None or budgeting is None:
        return None
    if (
        sli.metric.queries is not None
        and sli.metric.queries.raw is not None
        and budgeting.method == "Occurrences"
    ):
        place.warn(
            "unsupported",
            "A raw ratio has no events to count: its budget needs Timeslices or RatioTimeslices."
            " It can be exported with candor slo rules.",
        )
    slices = fields.get("timeSliceWindow")
    return Goal(place, target, target_place, operator, limit, budgeting, slices, sli, weight)


def _check_threshold(metric: Metric, fields: Mapping[str, Value], place: Value) -> bool:
    """Report where op and value do not fit the kind of metric; return whether they can be used."""
    given = {"op", "value"} & fields.keys()
    if metric.is_threshold:
        if len(given) == 2:  # noqa: PLR2004 - both
            return metric.value != FRESHNESS or _check_freshness(fields)
        place.fault("required", "A thresholdMetric needs op and value on its objective.")
        return False
    if given:
        place.doubt("one-of", "op and value belong to a thresholdMetric; a ratio ignores them.")
    return True


def _check_freshness(fields: Mapping[str, Value]) -> bool:
    """Report an age that no count of minutes can decide; return whether one can."""
    limit = fields["value"].number()
    if limit is None or limit != int(limit) or not 1 <= limit <= _MOST_FRESH_MINUTES:
        fields["value"].fault("range", "An age is a whole number of minutes, from 1 to 43200.")
        return False
    if fields["op"].text() != "lte":
        fields["op"].fault("one-of", "The op of freshness is lte: no older than.")
        return False
    return True


def _read_target(fields: Mapping[str, Value], entry: Value) -> tuple[Decimal | None, Value | None]:
    ratio, percent = fields.get("target"), fields.get("targetPercent")
    if (ratio is None) == (percent is None):
        entry.fault("one-of", "Give either target (0 to 1) or targetPercent (0 to 100).")
        return None, None
    value = ratio or percent
    number = value.number() if value is not None else None
    if value is None or number is None:
        return None, value
    target = number / 100 if percent is not None else number
    if target <= 1 and 1 - target < _LEAST_BUDGET:
        value.fault("range", "A target of all events leaves no error budget. Aim lower.")
    elif not 0 <= target < 1:
        value.fault("range", "The target must lie between none and all events.")
    else:
        return target, value
    return None, value


def _read_budgeting(
    fields: Mapping[str, Value], place: Value, method: Method | None
) -> Budgeting | None:
    target, window = fields.get("timeSliceTarget"), fields.get("timeSliceWindow")
    if method in {None, "Occurrences"}:
        for value in (target, window):
            if value is not None and method is not None:
                value.warn("one-of", "Occurrences have no time slices; this is ignored.")
        return OCCURRENCES if method is not None else None
    if method == "RatioTimeslices" and target is not None:
        target.warn("one-of", "The slices of RatioTimeslices have no target; it is ignored.")
    ratio = _slice_target(target, place) if method == "Timeslices" else None
    if window is None:
        place.fault("required", "timeSliceWindow is required.")
        return None
    length = _slice_length(window)
    if length is None or (method == "Timeslices" and ratio is None):
        return None
    return Budgeting(method or "Occurrences", length, ratio)


def _slice_target(value: Value | None, place: Value) -> Decimal | None:
    if value is None:
        place.fault("required", "Timeslices need timeSliceTarget.")
        return None
    number = value.number()
    if number is None or not 0 <= number <= 1:
        value.fault("range", "timeSliceTarget lies above 0, up to 1.")
        return None
    if number == 0:
        value.doubt("range", "At a timeSliceTarget of 0 every slice is good.")
    return number


def _slice_length(value: Value) -> timedelta | None:
    if not value.is_number:
        return read_duration(value)
    number = value.number()
    if number is None or number != int(number) or not 0 < number <= _MOST_SLICE_MINUTES:
        value.fault("format", "A slice is a number of minutes above 0, better written as 5m.")
        return None
    value.doubt("format", "Write the minutes of a slice with their unit, such as 5m.")
    return int(number) * MINUTE
