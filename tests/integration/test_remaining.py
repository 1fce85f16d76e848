"""What is left of many budgets, asked together: as if each were asked alone, by few queries."""

from datetime import timedelta
from typing import Any

import pytest
import yaml

from candor.kernel.telemetry_store import TelemetryStore
from slo.correction import clipped
from slo.evaluation import reach, read_budget, read_remaining
from slo.objective import Objective
from slo.openslo import read_openslo
from slo.window import MINUTE, Window
from tests.integration.test_objectives import random_events, store
from tests.support.stores import NOON, CountedStore
from tests.unit.slo.test_openslo import objective, source, threshold

AT = NOON + MINUTE
CALENDAR = [
    {
        "duration": "1d",
        "calendar": {"startTime": "2026-01-01 00:00:00", "timeZone": "Europe/Dublin"},
    }
]
ROLLING = [{"duration": "1d", "isRolling": True}]
GOAL = [{"target": 0.5}]
QUIET = {
    "metadata": {"name": "sli"},
    "spec": {"ratioMetric": {"total": source(filter={"journey": "quiet"}, good={"outcome": "ok"})}},
}
PART = {"metadata": {"name": "sli"}, "spec": {"ratioMetric": {"total": source(good={"step": "x"})}}}


def noted(document: dict[str, Any], **annotations: str) -> dict[str, Any]:
    document["metadata"]["annotations"] = {
        f"candor.dev/{name.replace('_', '-')}": value for name, value in annotations.items()
    }
    return document


def read(document: dict[str, Any], name: str = "checkout") -> Objective:
    document["metadata"]["name"] = name
    objectives, findings = read_openslo({"f": yaml.safe_dump(document)})
    assert not [finding for _, finding in findings if finding.severity == "error"]
    return objectives[0]


DOCUMENTS = {
    "rolling": objective(timeWindow=ROLLING, objectives=GOAL),
    "calendar": objective(timeWindow=CALENDAR, objectives=GOAL),
    "latency": threshold({"target": 0.5, "op": "lte", "value": 250}, value="duration_ms"),
    "nothing valid": objective(indicator=QUIET),
    "nothing valid, frozen": noted(objective(indicator=QUIET), no_data="freeze"),
    "frozen": noted(objective(timeWindow=ROLLING, objectives=GOAL), no_data="freeze"),
    "too few": noted(objective(), minimum_events="1000"),
    "enough": noted(objective(objectives=GOAL), minimum_events="100"),
    "slices": objective(
        budgetingMethod="Timeslices",
        objectives=[{"target": 0.5, "timeSliceTarget": 0.5, "timeSliceWindow": "1h"}],
    ),
    "composite": objective(
        indicator=None, objectives=[{"target": 0.5, "indicator": PART, "compositeWeight": 1}]
    ),
    "freshness": threshold({"target": 0.5, "op": "lte", "value": 15}, value="freshness_minutes"),
}


@pytest.mark.parametrize("gap", [(), (Window(NOON - timedelta(hours=9), NOON - MINUTE),)])
def test_asked_together_each_budget_is_what_it_is_alone(
    embedded_telemetry: TelemetryStore, gap: tuple[Window, ...]
) -> None:
    store(embedded_telemetry, random_events(400))
    objectives = [read(document, f"o-{n}") for n, document in enumerate(DOCUMENTS.values())]
    gaps = {one.name: clipped(gap, reach(one, AT)) for one in objectives if gap}
    alone = [
        read_budget(embedded_telemetry, one, AT, gaps=gaps.get(one.name, ())).budget.remaining
        for one in objectives
    ]
    assert read_remaining(embedded_telemetry, objectives, AT, gaps) == alone
    named = dict(zip(DOCUMENTS, alone, strict=True))
    assert [name for name, left in named.items() if left is None] == [
        "nothing valid",
        "nothing valid, frozen",
        "too few",
    ]


def test_many_ratios_are_asked_by_as_few_queries_as_one(
    embedded_telemetry: TelemetryStore,
) -> None:
    store(embedded_telemetry, random_events(400))
    telemetry = CountedStore(embedded_telemetry)
    kinds = ("rolling", "calendar", "enough")
    some = [read(DOCUMENTS[kind], f"{kind}-0") for kind in kinds]
    read_remaining(telemetry, some, AT, {})
    asked, telemetry.asked = telemetry.asked, 0
    many = [read(DOCUMENTS[kind], f"{kind}-{n}") for kind in kinds for n in range(30)]
    left = read_remaining(telemetry, many, AT, {})
    assert telemetry.asked == asked
    assert len(set(left[:30])) == 1
