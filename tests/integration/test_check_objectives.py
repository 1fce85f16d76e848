"""Objectives over synthetic checks, from their YAML to their budgets, on real stores."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import yaml

from candor.kernel.telemetry_store import TelemetryStore
from collector.check import CheckResult, Outcome
from collector.receivers.synthetic import Probe
from collector.receivers.synthetic_file import read_checks
from collector.store import encode_checks, insert_checks
from slo.budget import EventCounts
from slo.budgeting import OCCURRENCES, Place
from slo.openslo import has_errors, read_openslo
from slo.store import Question, count
from slo.units import read_units
from slo.window import Window, rolling
from tests.support.asgi import Application
from tests.support.shop import open_shop
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import objective, ratio, source, threshold

MINUTE = timedelta(minutes=1)
HOUR = rolling(60 * MINUTE, NOON)
RUNS = {"check": "checkout", "ends_run": True}
AVAILABILITY = ratio(total=source(signal="checks", filter=RUNS, good={"outcome": "ok"}))
PAYMENT = threshold(
    {"target": 0.9, "op": "lte", "value": 200},
    signal="checks", filter={"check": "checkout", "step": "pay"}, value="duration_ms",
)  # fmt: skip
SERVER_ERRORS = ratio(
    total=source(signal="checks", filter={"location": ["dublin", "cork"]}),
    bad=source(signal="checks", filter={"status": {"gte": 500}}),
)


def run(
    number: int, *steps: tuple[str, Outcome, float], check: str = "checkout"
) -> list[CheckResult]:
    return [
        CheckResult(
            time=NOON - number * MINUTE,
            received_at=NOON,
            check=check,
            journey="checkout",
            step=step,
            location="dublin",
            outcome=outcome,
            reason="status" if outcome == "error" else "",
            ends_run=(step, outcome, taken) == steps[-1],
            status=500 if outcome == "error" else 200,
            duration_ms=taken,
            first_byte_ms=None,
            connect_ms=None,
            tls_ms=None,
        )
        for step, outcome, taken in steps
    ]


RESULTS = [
    *run(1, ("start", "ok", 90.0), ("pay", "ok", 200.0)),
    *run(2, ("start", "ok", 90.0), ("pay", "ok", 201.0)),
    *run(3, ("start", "error", 90.0)),
    *run(4, ("start", "ok", 90.0), ("pay", "error", 90.0)),
    *run(5, ("find", "ok", 90.0), check="search"),
    *run(61, ("start", "error", 90.0)),
]


def store(telemetry: TelemetryStore, results: Sequence[CheckResult], token: str) -> None:
    insert_checks(telemetry, [encode_checks(results)], token)


def counts_of(telemetry: TelemetryStore, document: dict[str, Any], window: Window) -> EventCounts:
    (found,), findings = read_openslo({"f": yaml.safe_dump(document)})
    assert not has_errors(findings)
    question = Question(found.indicator, window)
    (whole,) = count(telemetry, [question])
    (by_minute,) = read_units(telemetry, found.indicator, OCCURRENCES, Place(window))
    assert by_minute.events == whole
    return whole


def test_runs_steps_and_latencies_are_counted_exactly_even_when_stored_twice(
    telemetry: TelemetryStore,
) -> None:
    for token in ("from one process", "and from another"):
        store(telemetry, RESULTS, token)
    expected = {
        "runs": (AVAILABILITY, EventCounts(good=2, valid=4)),
        "payments": (PAYMENT, EventCounts(good=2, valid=3)),
        "server errors": (SERVER_ERRORS, EventCounts(good=6, valid=8)),
    }
    counted = {
        name: counts_of(telemetry, document, HOUR) for name, (document, _) in expected.items()
    }
    assert counted == {name: counts for name, (_, counts) in expected.items()}


def test_questions_about_events_and_checks_are_answered_together(
    embedded_telemetry: TelemetryStore,
) -> None:
    store(embedded_telemetry, RESULTS, "t")
    texts = {"e": yaml.safe_dump(objective()), "c": yaml.safe_dump(AVAILABILITY)}
    indicators = [read_openslo({"f": text})[0][0].indicator for text in texts.values()]
    questions = [Question(one, HOUR) for one in (*indicators, *reversed(indicators))]
    nothing, runs = EventCounts(0, 0), EventCounts(2, 4)
    assert count(embedded_telemetry, questions) == [nothing, runs, runs, nothing]


def test_what_a_probe_finds_spends_the_budget(application: Application) -> None:
    probe = Probe("dublin", {}, application.services.clock)
    with open_shop() as shop:
        step = {"name": "pay", "request": {"url": f"{shop.url}/search"}}
        broken = {"name": "pay", "request": {"url": f"{shop.url}/nowhere"}}
        for number, one in enumerate([step, step, broken, step], start=1):
            steps = [step, one | {"name": "end"}]
            text = yaml.safe_dump({"checks": [{"name": "checkout", "steps": steps}]})
            (check,), _ = read_checks({"f": text})
            results = probe.run(check, NOON - number * MINUTE)
            application.collector.intake.submit_checks(results).wait()
    application.collector.flush()
    document = yaml.safe_dump(AVAILABILITY)
    headers = {"content-type": "application/yaml"}
    application.post("/api/v1/objectives/apply", content=document, headers=headers)
    asked = {"window": "1h", "at": NOON.isoformat()}
    budget = application.get("/api/v1/objectives/checkout/budget", params=asked).json()
    assert (budget["good"], budget["valid"], budget["sli"]) == (3, 4, 0.75)


@pytest.mark.parametrize(
    ("document", "good", "valid"), [(AVAILABILITY, 2, 4), (PAYMENT, 2, 3)], ids=["ratio", "limit"]
)
def test_an_objective_over_checks_has_a_budget_and_burn_rates(
    application: Application, document: dict[str, Any], good: int, valid: int
) -> None:
    store(application.services.telemetry, RESULTS, "t")
    applied = application.post(
        "/api/v1/objectives/apply",
        content=yaml.safe_dump(document),
        headers={"content-type": "application/yaml"},
    )
    assert applied.json()["created"] == ["checkout"]
    asked = {"window": "1h", "at": NOON.isoformat()}
    budget = application.get("/api/v1/objectives/checkout/budget", params=asked).json()
    assert (budget["good"], budget["valid"]) == (good, valid)
    burn = application.get("/api/v1/objectives/checkout/burn", params={"at": NOON.isoformat()})
    assert {tier["tier"]: tier["valid_events"] for tier in burn.json()["tiers"]}["fast"] == valid
