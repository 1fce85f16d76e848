"""Objectives of several kinds over journeys that bear numbers."""

from collections.abc import Callable
from typing import Any

TARGET = 0.98


def slo(number: int, days: int) -> dict[str, Any]:
    """Return one objective: a ratio of outcomes, or every tenth time a latency."""

    def source(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
        full = {"signal": "events", "filter": {"journey": f"journey-{number}"}} | spec
        return {"metricSource": {"type": "candor", "spec": full}}

    goal: dict[str, Any] = {"target": TARGET}
    metric: dict[str, Any] = {"ratioMetric": {"total": source(good={"outcome": "ok"})}}
    if number % 10 == 9:  # noqa: PLR2004 - every tenth
        goal |= {"op": "lte", "value": 250}
        metric = {"thresholdMetric": source(value="duration_ms")}
    spec = {
        "service": "shop",
        "budgetingMethod": "Occurrences",
        "timeWindow": [{"duration": f"{days}d", "isRolling": True}],
        "objectives": [goal],
        "indicator": {"metadata": {"name": "sli"}, "spec": metric},
    }
    metadata = {"name": f"journey-{number}"}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}


def of_calendar(document: dict[str, Any]) -> dict[str, Any]:
    """Return the objective over months of the calendar of Dublin."""
    start = {"startTime": "2026-01-01 00:00:00", "timeZone": "Europe/Dublin"}
    document["spec"]["timeWindow"] = [{"duration": "1M", "calendar": start}]
    return document


def of_slices(document: dict[str, Any]) -> dict[str, Any]:
    """Return the objective in slices of five minutes."""
    document["spec"]["budgetingMethod"] = "Timeslices"
    for goal in document["spec"]["objectives"]:
        goal |= {"timeSliceTarget": 0.95, "timeSliceWindow": "5m"}
    return document


def of_parts(document: dict[str, Any]) -> dict[str, Any]:
    """Return a composite of two parts, each of which is the objective."""
    spec = document["spec"]
    (goal,), sli = spec["objectives"], spec.pop("indicator")["spec"]
    spec["objectives"] = [
        goal | {"indicator": {"metadata": {"name": name}, "spec": sli}, "compositeWeight": 1}
        for name in ("first", "second")
    ]
    return document


KINDS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "events": lambda document: document,
    "calendar": of_calendar,
    "slices": of_slices,
    "composite": of_parts,
}
