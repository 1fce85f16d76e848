"""Objectives as plain documents for the state store, and back; equal ones say the same."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeGuard

from slo.budgeting import Budgeting
from slo.burn_rule import BurnCondition, BurnRule, Policy
from slo.composite import Delay
from slo.indicator import Condition, Filter, Indicator, Threshold
from slo.objective import Objective, Part
from slo.period import CalendarPeriod, Period, RollingPeriod
from slo.promql import PromQL


def definition_of(objective: Objective) -> dict[str, Any]:
    """Return an objective as JSON values; what few have is left out where it is not there."""
    optional = {
        "policies": [_policy(one) for one in objective.policies],
        "disabled_tiers": sorted(objective.disabled_tiers),
        "by": objective.by,
        "minimum_bad_events": objective.minimum_bad_events,
    }
    return {name: value for name, value in optional.items() if value} | {
        "name": objective.name,
        "service": objective.service,
        "labels": {name: list(values) for name, values in objective.labels.items()},
        "display_name": objective.display_name,
        "description": objective.description,
        "target": str(objective.target),
        "period": _period(objective.period),
        "parts": [_part(part) for part in objective.parts],
        "combination": objective.combination,
        "is_composite": objective.is_composite,
        "windows": [_period(one) for one in objective.windows],
        "no_data": objective.no_data,
        "minimum_events": objective.minimum_events,
        "expected_events": objective.expected_events,
    }


def objective_from(definition: Mapping[str, Any]) -> Objective:
    """Return the objective that a definition says."""
    return Objective(
        name=definition["name"],
        service=definition["service"],
        labels={name: tuple(values) for name, values in definition["labels"].items()},
        display_name=definition["display_name"],
        description=definition["description"],
        target=Decimal(definition["target"]),
        period=_period_from(definition["period"]),
        parts=tuple(_part_from(part) for part in definition["parts"]),
        combination=definition["combination"],
        is_composite=definition["is_composite"],
        windows=tuple(_period_from(one) for one in definition["windows"]),
        no_data=definition["no_data"],
        minimum_events=definition["minimum_events"],
        minimum_bad_events=definition.get("minimum_bad_events", 0),
        expected_events=definition["expected_events"],
        policies=tuple(_policy_from(one) for one in definition.get("policies", ())),
        disabled_tiers=frozenset(definition.get("disabled_tiers", ())),
        by=definition.get("by"),
    )


def changed_places(before: Objective, after: Objective) -> list[str]:
    """Return the places of two definitions that differ, such as ``parts[0].indicator.valid``."""
    return list(_differences(definition_of(before), definition_of(after), ""))


def _differences(before: object, after: object, place: str) -> Iterator[str]:
    """Yield where two values differ; lists of mappings are compared one by one if as long."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys((*before, *after)):
            inner = f"{place}.{name}" if place else name
            yield from _differences(before.get(name), after.get(name), inner)
    elif _is_list_of_mappings(before) and _is_list_of_mappings(after) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _differences(*pair, f"{place}[{number}]")
    elif before != after:
        yield place


def _is_list_of_mappings(value: object) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def _period(period: Period) -> dict[str, Any]:
    if isinstance(period, RollingPeriod):
        return {"kind": period.kind, "seconds": period.length.total_seconds()}
    return {
        "kind": period.kind,
        "count": period.count,
        "unit": period.unit,
        "zone": period.zone,
        "start": period.start.isoformat(),
    }


def _period_from(period: Mapping[str, Any]) -> Period:
    if period["kind"] == "rolling":
        return RollingPeriod(timedelta(seconds=period["seconds"]))
    start = datetime.fromisoformat(period["start"])
    return CalendarPeriod(period["count"], period["unit"], period["zone"], start)


def _part(part: Part) -> dict[str, Any]:
    indicator = asdict(part.indicator)
    for conditions in ("valid", "good"):
        indicator[conditions] = [
            condition | {"values": list(condition["values"])}
            for condition in sorted(indicator[conditions], key=_by_field)
        ]
    freshness = indicator.pop("freshness")
    if freshness is not None:
        indicator["freshness_seconds"] = freshness.total_seconds()
    budgeting, delay = part.budgeting, part.delay
    target = budgeting.slice_target
    queries = {"queries": asdict(part.queries)} if part.queries is not None else {}
    return queries | {
        "name": part.name,
        "indicator": indicator,
        "weight": str(part.weight),
        "method": budgeting.method,
        "slice_seconds": budgeting.slice_length.total_seconds(),
        "slice_target": None if target is None else str(target),
        "max_delay_seconds": None if delay is None else delay.longest.total_seconds(),
        "when_delayed": None if delay is None else delay.when_delayed,
    }


def _by_field(condition: Mapping[str, Any]) -> tuple[str, str]:
    """Return what conditions are sorted by: their order in a file says nothing."""
    return condition["field"], condition["operator"]


def _part_from(part: Mapping[str, Any]) -> Part:
    indicator, target, longest = part["indicator"], part["slice_target"], part["max_delay_seconds"]
    threshold, freshness = indicator["threshold"], indicator.get("freshness_seconds")
    return Part(
        name=part["name"],
        indicator=Indicator(
            valid=_filter(indicator["valid"]),
            good=_filter(indicator["good"]),
            inverted=indicator["inverted"],
            threshold=Threshold(**threshold) if threshold is not None else None,
            signal=indicator.get("signal", "events"),
            freshness=None if freshness is None else timedelta(seconds=freshness),
        ),
        weight=Fraction(part["weight"]),
        budgeting=Budgeting(
            part["method"],
            timedelta(seconds=part["slice_seconds"]),
            None if target is None else Decimal(target),
        ),
        delay=None if longest is None else Delay(timedelta(seconds=longest), part["when_delayed"]),
        queries=PromQL(**part["queries"]) if "queries" in part else None,
    )


def _filter(conditions: Sequence[Mapping[str, Any]]) -> Filter:
    return tuple(
        Condition(one["field"], one["operator"], tuple(one["values"])) for one in conditions
    )


def _policy(policy: Policy) -> dict[str, Any]:
    silence = policy.no_data_within
    return {
        "name": policy.name,
        "severity": policy.severity,
        "rules": [
            [
                {
                    "lookback_seconds": one.lookback.total_seconds(),
                    "operator": one.operator,
                    "factor": str(one.factor),
                }
                for one in rule.conditions
            ]
            for rule in policy.rules
        ],
        "pending_seconds": policy.pending_for.total_seconds(),
        "no_data_seconds": None if silence is None else silence.total_seconds(),
        "tells_end": policy.tells_end,
        "targets": list(policy.targets),
    }


def _policy_from(policy: Mapping[str, Any]) -> Policy:
    name, severity, silence = policy["name"], policy["severity"], policy["no_data_seconds"]
    rules = tuple(
        BurnRule(
            name,
            severity,
            tuple(
                BurnCondition(
                    timedelta(seconds=one["lookback_seconds"]),
                    Fraction(one["factor"]),
                    one["operator"],
                )
                for one in conditions
            ),
        )
        for conditions in policy["rules"]
    )
    return Policy(
        name,
        severity,
        rules,
        timedelta(seconds=policy["pending_seconds"]),
        None if silence is None else timedelta(seconds=silence),
        policy["tells_end"],
        tuple(policy["targets"]),
    )
