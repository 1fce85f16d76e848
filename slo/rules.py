"""Objectives as Prometheus rules, under the names and labels that sloth's dashboards read.

Two things differ from sloth on purpose. The error ratio of the period is counted over the whole
period and is no average of short ratios. And of one severity one alert fires, whose ``tier`` is
the fastest that burns; a page mutes the ticket with this rule of the Alertmanager::

    inhibit_rules:
      - source_matchers: [sloth_severity="page"]
        target_matchers: [sloth_severity="ticket"]
        equal: [sloth_id]

Without events there is no sample, rather than NaN; and a series of good or bad events that was
never seen has counted none.

Source: sloth's recording rules; SRE Workbook, chapter 5, for the alerts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import yaml

from slo.annotations import PREFIX, Terms
from slo.burn_rate import Severity, Tier, is_firable, tiers_of
from slo.indicator import FRESHNESS
from slo.kinds import Goal
from slo.openslo import DocumentSet, Named
from slo.promql import PromQL
from slo.window import format_duration

BAD_EVENTS = "candor_objective_bad_events_total"
VALID_EVENTS = "candor_objective_valid_events_total"
"""The counters on ``/metrics`` from which the rules of Candor's own indicators are made."""

_QUOTED = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
_COMMENT = re.compile(rf"(?P<quoted>{_QUOTED})|#[^\n]*", re.DOTALL)
_TEMPLATE = re.compile(r"\{\{\s*\.window\s*\}\}")
_RANGE = re.compile(rf"(?P<quoted>{_QUOTED})|\[(?P<length>[^\]\"'`]*)\]", re.DOTALL)
_PLAIN_RANGE = re.compile(r"\$\w+|\$\{\w+\}|(\d+[a-z]+)+")
_MATCHERS = rf"\{{(?:{_QUOTED}|[^{{}}\"'`])*\}}"
_SELECTOR = re.compile(rf"[a-zA-Z_:][\w:]*\s*({_MATCHERS})?|{_MATCHERS}", re.ASCII | re.DOTALL)
_UNRANGED = (
    "a query names no range that could be the window, or several. Write [{{.window}}] where it"
    " belongs, or name a plain counter."
)
_TAKEN = (
    "its service and name make the sloth_id of another one here. Rename one, or export it alone."
)
_ON = "on(sloth_id, sloth_service, sloth_slo)"
_WIDTH = 1000
_CURRENT = timedelta(minutes=5)
_SEVERITIES: tuple[Severity, ...] = ("page", "ticket")


@dataclass(frozen=True, slots=True)
class _Exported:
    """One objective in terms of a Prometheus."""

    slo: str
    service: str
    display_name: str
    target: Decimal
    period: timedelta
    queries: PromQL
    tiers: tuple[Tier, ...]

    @property
    def labels(self) -> dict[str, str]:
        """What names it in every recording."""
        return {
            "sloth_id": f"{self.service}-{self.slo}",
            "sloth_service": self.service,
            "sloth_slo": self.slo,
        }

    @property
    def is_own(self) -> bool:
        """Whether Candor counts it, and so shows both counters from the start on."""
        return self.queries.bad is not None and self.queries.bad.startswith(BAD_EVENTS)

    @property
    def budget(self) -> str:
        """1 - target, exactly."""
        return format(1 - self.target, "f")


def prometheus_rules(documents: DocumentSet) -> tuple[dict[str, Any], list[str]]:
    """Return a Prometheus rule file as plain values, and a sentence for what it leaves out."""
    groups: list[dict[str, Any]] = []
    left_out: list[str] = []
    known: set[str] = set()
    for named in documents.promises:
        reason = _reason_against(named)
        if reason is not None:
            left_out.append(f"{named.name}: {reason}")
            continue
        if named.promise.period.kind == "calendar":
            left_out.append(
                f"{named.name}: a Prometheus knows no calendar; its period rolls over"
                f" {format_duration(named.promise.period.nominal)}."
            )
        if ours := _held_here(named.promise.terms):
            left_out.append(f"{named.name}: these rules do not follow {', '.join(ours)}.")
        several = len(named.promise.goals) > 1
        for number, goal in enumerate(named.promise.goals, start=1):
            slo = f"{named.name}-{number}" if several else named.name
            exported = _exported(slo, named, goal)
            if exported is None:
                left_out.append(f"{slo}: {_UNRANGED}")
                continue
            if exported.labels["sloth_id"] in known:
                left_out.append(f"{slo}: {_TAKEN}")
                continue
            known.add(exported.labels["sloth_id"])
            groups += _groups(exported)
    return {"groups": groups}, left_out


def rule_file(rules: Mapping[str, Any]) -> str:
    """Return the text of a rule file, expressions as they would be typed."""
    return str(yaml.dump(dict(rules), Dumper=_Typed, sort_keys=False, width=_WIDTH))


class _Typed(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Typed.add_representer(str, _write_text)


def _reason_against(named: Named) -> str | None:
    promise = named.promise
    if promise.is_composite:
        return "a composite cannot be exported. Export its parts as SLOs of their own."
    if promise.goals[0].budgeting.method != "Occurrences":
        return "time slices cannot be exported; Candor itself evaluates them."
    metric = promise.goals[0].sli.metric
    if metric.value == FRESHNESS:
        return "freshness cannot be exported; Candor itself evaluates it."
    queries = metric.queries
    if metric.indicator is None and (queries is None or queries.value is not None):
        return "its indicator is no ratio in PromQL. Write one, for a threshold over buckets."
    return None


def _held_here(terms: Terms) -> list[str]:
    """Return the annotations that these rules do not follow."""
    said = {
        "windows": terms.windows,
        "no-data": terms.no_data != "exclude",
        "minimum-events": terms.minimum_events,
        "minimum-bad-events": terms.minimum_bad_events,
        "by": terms.by,
    }
    return [f"{PREFIX}{name}" for name, value in said.items() if value]


def _exported(slo: str, named: Named, goal: Goal) -> _Exported | None:
    queries = goal.sli.metric.queries
    if queries is None:
        selector = f'{{objective="{slo}"}}'
        queries = PromQL(bad=BAD_EVENTS + selector, total=VALID_EVENTS + selector)
    for query in (queries.good, queries.bad, queries.total):
        if query is not None and _ranged(query, _CURRENT) is None:
            return None
    promise = named.promise
    period = promise.period.nominal
    tiers = tuple(
        tier
        for tier in tiers_of(period)
        if is_firable(tier, goal.target) and tier.name not in promise.terms.disabled_tiers
    )
    return _Exported(slo, promise.service, named.display_name, goal.target, period, queries, tiers)


def _groups(exported: _Exported) -> Iterator[dict[str, Any]]:
    name = exported.labels["sloth_id"]
    lengths = {exported.period, _CURRENT}
    for tier in tiers_of(exported.period):
        lengths |= {tier.long, tier.short}
    yield {
        "name": f"sloth-slo-sli-recordings-{name}",
        "rules": [_error_ratio(exported, length) for length in sorted(lengths)],
    }
    yield {"name": f"sloth-slo-meta-recordings-{name}", "rules": _meta_recordings(exported)}
    alerts = [
        _alert(exported, severity, chosen)
        for severity in _SEVERITIES
        if (chosen := [tier for tier in exported.tiers if tier.severity == severity])
    ]
    if alerts:
        yield {"name": f"sloth-slo-alerts-{name}", "rules": alerts}


def _error_ratio(exported: _Exported, length: timedelta) -> dict[str, Any]:
    queries = exported.queries
    window = _spelled(length)
    if queries.raw is not None:
        mean = _mean(queries.raw, window)
        expression = f"1 - ({mean})" if queries.raw_is_success else mean
    else:
        part = _ranged(queries.bad or queries.good or "", length)
        of = _ranged(queries.total or "", length)
        if not exported.is_own:
            part = f"({part})\n  or\n  ({of}) * 0"
        ratio = f"(\n  {part}\n)\n/\n(\n  ({of})\n  > 0\n)"
        expression = ratio if queries.bad is not None else f"1 - (\n{ratio}\n)"
    labels = exported.labels | {"sloth_window": window}
    return _recording(f"slo:sli_error:ratio_rate{window}", expression, labels)


def _mean(query: str, window: str) -> str:
    """Return a ratio over a window: its own where the query names it, else the mean of many."""
    text = _uncommented(query)
    if _TEMPLATE.search(text):
        return _TEMPLATE.sub(window, text)
    return f"avg_over_time(({text})[{window}:])"


def _meta_recordings(exported: _Exported) -> list[dict[str, Any]]:
    labels = exported.labels
    chosen = _selector(labels)
    budget = f"{_ON} group_left slo:error_budget:ratio{chosen}"
    period = _spelled(exported.period)
    info = labels | {
        "sloth_mode": "cli-gen-openslo",
        "sloth_objective": format((exported.target * 100).normalize(), "f"),
        "sloth_spec": "openslo/v1",
        "sloth_version": "candor",
    }
    days = format(Decimal(exported.period / timedelta(days=1)).normalize(), "f")
    values = (
        ("slo:objective:ratio", f"vector({exported.target:f})"),
        ("slo:error_budget:ratio", f"vector({exported.budget})"),
        ("slo:time_period:days", f"vector({days})"),
        (
            "slo:current_burn_rate:ratio",
            f"slo:sli_error:ratio_rate{_spelled(_CURRENT)}{chosen}\n/ {budget}",
        ),
        ("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{period}{chosen}\n/ {budget}"),
        (
            "slo:period_error_budget_remaining:ratio",
            f"1 - slo:period_burn_rate:ratio{chosen}",
        ),
    )
    recordings = [_recording(record, expression, labels) for record, expression in values]
    return [*recordings, _recording("sloth_slo_info", "vector(1)", info)]


def _alert(exported: _Exported, severity: Severity, tiers: Sequence[Tier]) -> dict[str, Any]:
    pairs = "\nor on(sloth_id)\n".join(_pair(exported, tier) for tier in tiers)
    return {
        "alert": "ErrorBudgetBurn",
        "expr": pairs,
        "labels": exported.labels | {"sloth_severity": severity, "severity": severity},
        "annotations": {
            "title": f"({severity}) {{{{ $labels.sloth_slo }}}} burns its error budget",
            "summary": (
                f"{_literal(exported.display_name)}: the error ratio over the long window is"
                " {{ $value | humanizePercentage }}, above what the tier"
                " {{ $labels.tier }} allows."
            ),
        },
    }


def _literal(text: str) -> str:
    """Return a text as a template of Prometheus that says the same."""
    return text.replace("{{", '{{ "{{" }}')


def _pair(exported: _Exported, tier: Tier) -> str:
    chosen = _selector(exported.labels)
    threshold = f"({format(_decimal(tier), 'f')} * {exported.budget})"
    long, short = (
        f"max(slo:sli_error:ratio_rate{_spelled(length)}{chosen} > {threshold})"
        " without (sloth_window)"
        for length in (tier.long, tier.short)
    )
    return f'label_replace(\n  {long}\n  and\n  {short},\n  "tier", "{tier.name}", "", ""\n)'


def _decimal(tier: Tier) -> Decimal:
    return Decimal(tier.factor.numerator) / Decimal(tier.factor.denominator)


def _recording(record: str, expression: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"record": record, "expr": expression, "labels": dict(labels)}


def _ranged(query: str, length: timedelta) -> str | None:
    """Return a query over a window, or none where it does not say what the window stands for.

    That is ``{{.window}}`` wherever it is written, else the one range of the query; a plain counter
    gets one. What is quoted is left as it is.
    """
    window = _spelled(length)
    text = _uncommented(query)
    if _TEMPLATE.search(text):
        return _TEMPLATE.sub(window, text)
    if _SELECTOR.fullmatch(text):
        return f"sum(rate({text}[{window}]))"
    found = {one["length"].strip() for one in _RANGE.finditer(text) if one["quoted"] is None}
    if len(found) != 1 or not _PLAIN_RANGE.fullmatch(found.pop()):
        return None
    return _RANGE.sub(lambda one: one["quoted"] or f"[{window}]", text)


def _uncommented(query: str) -> str:
    return _COMMENT.sub(lambda found: found["quoted"] or "", query).strip()


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _spelled(length: timedelta) -> str:
    """Return a duration as Prometheus and sloth write it: ``1d``, not ``24h``."""
    day = timedelta(days=1)
    return f"{length // day}d" if length % day == timedelta(0) else format_duration(length)
