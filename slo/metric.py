"""The SLI kind: a ratio or a threshold, over Candor's telemetry or by PromQL.

Source: OpenSLO specification v1; the rules of its Go SDK.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from candor.kernel.document import Value
from slo.indicator import FIELDS, FRESHNESS, Filter, Indicator, Signal
from slo.metadata import read_description, read_name
from slo.promql import PromQL, scale_of
from slo.source import check_signal, read_filter, signal_of

DataSources = Mapping[str, str]
"""The types of data sources by their names."""

_RATIO_FIELDS = ("counter", "good", "bad", "total", "raw", "rawType")
_RAW_TYPES = ("success", "failure")
_WHICH_EVENTS = "Say which events these are: a filter with a condition."
_PARTS = ("good", "bad", "total", "raw")


@dataclass(frozen=True, slots=True)
class Metric:
    """An SLI as written: an indicator, whose threshold (if ``value``) waits for its limit.

    ``queries`` stand in its place where a Prometheus holds the data, of a threshold without its
    limit; where another system does, there is neither. ``is_countable`` says whether Candor itself
    can keep a budget over the queries, or only export them.
    """

    indicator: Indicator | None = None
    value: str | None = None
    queries: PromQL | None = None
    is_threshold: bool = False
    is_countable: bool = True


def read_sli(spec: Value, sources: DataSources) -> Metric | None:
    """Return the metric of an SLI spec, or none when a fault keeps it from meaning anything."""
    fields = spec.fields(("ratioMetric", "thresholdMetric", "description"))
    read_description(fields)
    ratio, threshold = fields.get("ratioMetric"), fields.get("thresholdMetric")
    if (ratio is None) == (threshold is None):
        spec.fault("one-of", "Give either ratioMetric or thresholdMetric.")
        return None
    if ratio is not None:
        return _read_ratio(ratio, sources)
    return _read_threshold(threshold, sources) if threshold is not None else None


def _read_ratio(ratio: Value, sources: DataSources) -> Metric | None:
    fields = ratio.fields(_RATIO_FIELDS)
    is_counter = bool(fields["counter"].boolean()) if "counter" in fields else False
    present = {name: fields[name] for name in _PARTS if name in fields}
    if ("total" in present) == ("raw" in present):
        ratio.fault("one-of", "A ratio needs total, and either good or bad; or raw alone.")
        return None
    read = {name: _read_source(value, sources) for name, value in present.items()}
    if "raw" in present:
        return _read_raw(ratio, fields, read)
    if "rawType" in fields:
        fields["rawType"].fault("one-of", "rawType belongs to raw.")
    if "good" in present and "bad" in present:
        ratio.fault("one-of", "A ratio needs total, and either good or bad.")
        return None
    sources_read = [source for source in read.values() if source is not None]
    if len(sources_read) < len(read):
        return None
    if any(source.is_foreign for source in sources_read):
        return _read_queries(ratio, read, is_counter=is_counter)
    return _read_candor_ratio(ratio, present, read)


def _read_raw(
    ratio: Value, fields: Mapping[str, Value], read: "Mapping[str, _Source | None]"
) -> Metric | None:
    kind = fields["rawType"].text() if "rawType" in fields else None
    if kind not in _RAW_TYPES:
        (fields.get("rawType") or ratio).fault("one-of", "raw needs rawType: success or failure.")
    if "good" in fields or "bad" in fields:
        ratio.fault("one-of", "A raw ratio has neither good nor bad.")
        return None
    raw = read["raw"]
    if raw is None or kind not in _RAW_TYPES:
        return None
    if not raw.is_foreign:
        ratio.fault("unsupported", "Candor counts events, so it needs good and total, not raw.")
        return None
    if raw.query is None:
        return Metric()
    is_success = kind == "success"
    return Metric(queries=PromQL(raw=raw.query, raw_is_success=is_success, source=raw.name))


def _read_queries(
    ratio: Value, read: "Mapping[str, _Source | None]", *, is_counter: bool
) -> Metric | None:
    sources = [source for source in read.values() if source is not None]
    if not all(source.is_foreign for source in sources) or len(sources) < 2:  # noqa: PLR2004 - total, and good or bad
        ratio.fault("one-of", "A ratio needs total, and either good or bad, of one type.")
        return None
    queries = {name: source.query for name, source in read.items() if source is not None}
    asked = [query for query in queries.values() if query is not None]
    if len(asked) < len(queries):
        return Metric()
    if len({source.name for source in sources}) > 1:
        ratio.fault("one-of", "The parts of a ratio come from one data source.")
        return None
    is_countable = is_counter or all(scale_of(query) is not None for query in asked)
    if not is_countable:
        ratio.warn(
            "unsupported",
            "Candor counts counters (counter: true), rate(...) and increase(...); other queries"
            " can only be exported with candor slo rules.",
        )
    promql = PromQL(
        good=queries.get("good"),
        bad=queries.get("bad"),
        total=queries.get("total"),
        is_counter=is_counter,
        source=sources[0].name,
    )
    return Metric(queries=promql, is_countable=is_countable)


def _read_candor_ratio(
    ratio: Value, present: Mapping[str, Value], read: "Mapping[str, _Source | None]"
) -> Metric | None:
    total, part = read["total"], read.get("good") or read.get("bad")
    if total is None:
        return None
    shorthand = total.fields.get("good")
    if (part is None) == (shorthand is None):
        ratio.fault("one-of", "Say once what is good: good, bad, or good inside the total's spec.")
        return None
    signal = signal_of(total.fields)
    valid = read_filter(total.fields["filter"], signal) if "filter" in total.fields else ()
    if shorthand is not None:
        if ratio.is_strict:
            ratio.fault("one-of", "total needs good or bad beside it; inside its spec is ours.")
        if shorthand.is_mapping and not shorthand.fields():
            shorthand.fault("required", _WHICH_EVENTS)
        good = read_filter(shorthand, signal)
        _doubt_contradiction(valid, good, shorthand)
        return Metric(Indicator(valid, good, signal=signal))
    place = present.get("good") or present.get("bad")
    if part is None or place is None:
        return None
    matched = _part_filter(part, place, signal)
    _doubt_contradiction(valid, matched or (), place)
    indicator = Indicator(valid, matched or (), inverted="bad" in present, signal=signal)
    return Metric(indicator) if matched else None


def _doubt_contradiction(valid: Filter, part: Filter, place: Value) -> None:
    """Report a part of the valid events that no valid event can be in."""
    asked = [(one.field, set(one.values)) for one in valid if one.operator == "any"]
    for field, values in asked:
        for one in part:
            if one.field == field and one.operator == "any" and not values & set(one.values):
                place.warn(
                    "contradiction",
                    f"Good and bad are counted among the valid events, and those have another"
                    f" {field}: nothing is both.",
                )


def _part_filter(part: "_Source", place: Value, signal: Signal) -> Filter | None:
    if signal_of(part.fields) != signal:
        place.fault("one-of", "Good and bad are counted in the same signal as total.")
        return None
    conditions = read_filter(part.fields["filter"], signal) if "filter" in part.fields else ()
    if "good" in part.fields:
        conditions += read_filter(part.fields["good"], signal)
    if not conditions:
        place.fault("required", _WHICH_EVENTS)
        return None
    return conditions


def _read_threshold(threshold: Value, sources: DataSources) -> Metric | None:
    source = _read_source(threshold, sources, ("signal", "filter", "value"))
    if source is None:
        return None
    if source.is_foreign:
        queries = PromQL(value=source.query, source=source.name) if source.query else None
        return Metric(queries=queries, is_threshold=True)
    value = source.fields.get("value")
    if value is None:
        threshold.fault("required", "Name the value that has the threshold: value: duration_ms.")
        return None
    name, signal = value.text(), signal_of(source.fields)
    known = FIELDS[signal].number | {FRESHNESS}
    if name not in known:
        value.fault("one-of", f"A value is one of {', '.join(sorted(known))}.")
        return None
    valid = read_filter(source.fields["filter"], signal) if "filter" in source.fields else ()
    return Metric(Indicator(valid, signal=signal), value=name, is_threshold=True)


@dataclass(frozen=True, slots=True)
class _Source:
    """The fields of ``metricSource.spec``; of another system's, only what PromQL it holds.

    ``name`` is that of the data source that it refers to.
    """

    fields: Mapping[str, Value]
    query: str | None = None
    is_foreign: bool = False
    name: str = ""


def _read_source(
    metric: Value, sources: DataSources, known: Iterable[str] = ("signal", "filter", "good")
) -> _Source | None:
    source = metric.fields(("metricSource",)).get("metricSource")
    if source is None:
        metric.fault("required", "metricSource is required.")
        return None
    fields = source.fields(("metricSourceRef", "type", "spec"))
    kind = _source_type(source, fields, sources)
    if "spec" not in fields:
        source.fault("required", "spec is required.")
        return None
    if kind is None:
        return None
    if kind != "candor":
        foreign = _read_foreign(fields["spec"], kind, fields.get("type") or source)
        reference = fields.get("metricSourceRef")
        return replace(foreign, name=(reference.text() or "") if reference is not None else "")
    spec = fields["spec"].fields(known)
    check_signal(spec, fields["spec"])
    return _Source(spec)


def _source_type(source: Value, fields: Mapping[str, Value], sources: DataSources) -> str | None:
    """Return the type that the source says, or that of the data source which it names."""
    reference = fields.get("metricSourceRef")
    referenced = None
    if reference is not None:
        name = read_name(reference, source, "metricSourceRef")
        referenced = sources.get(name or "")
        if referenced is None and name is not None:
            reference.fault("reference", f"There is no DataSource of the name {name}.")
            return None
    if referenced == "" and "type" not in fields:
        return None  # the fault is that of the DataSource
    written = fields["type"].text() if "type" in fields else referenced
    if not written:
        source.fault("required", "type is required: candor.")
        return None
    return written.lower()


def _read_foreign(spec: Value, kind: str, place: Value) -> _Source:
    """Return a source that is not Candor's own; of a system that it cannot ask, warn."""
    fields = spec.fields()
    query = fields["query"].text() if kind == "prometheus" and "query" in fields else None
    if not fields:
        spec.fault("required", "spec must say what to ask for.")
    if kind != "prometheus":
        place.warn(
            "unsupported",
            "Candor keeps budgets over sources of type candor and prometheus alone.",
        )
    elif fields and "query" not in fields:
        spec.fault("required", "A prometheus source needs its query.")
    return _Source({}, query, is_foreign=True)
