"""A real Prometheus: it keeps the exported rules as we count, and we count what it holds."""

import random
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from slo.evaluation import read_budget
from slo.jobs import read_prometheus
from slo.lookback import read_lookbacks
from slo.objective import Objective
from slo.openslo import read_set
from slo.register import all_objectives, apply_set
from slo.rules import prometheus_rules, rule_file
from slo.window import MINUTE
from tests.support.prometheus import Series, prometheus
from tests.support.server import run_candor, serve
from tests.support.stores import NOON, FixedClock, services_on
from tests.unit.slo.test_openslo import objective

TOLERANCE = 0.005
HOUR = timedelta(hours=1)


def test_a_prometheus_that_scrapes_us_comes_to_our_burn_rate_by_the_exported_rules(
    tmp_path: Path,
) -> None:
    document = tmp_path / "checkout.yaml"
    document.write_text(yaml.safe_dump(objective()), encoding="utf-8")
    rules = run_candor(tmp_path, "slo", "rules", str(document))
    run_candor(tmp_path, "slo", "apply", str(document))
    with (
        serve(tmp_path) as server,
        prometheus(
            tmp_path / "prometheus",
            scraped=server.url.removeprefix("http://"),
            key=server.key,
            rules=rules,
        ) as running,
    ):
        running.wait_for("candor_objective_valid_events_total", lambda read: "checkout" in read)
        events = [
            {
                "id": f"event-{number}",
                "name": "checkout.payment",
                "journey": "checkout",
                "time": utc_now().isoformat(),
                "outcome": "error" if number % 40 == 0 else "ok",
            }
            for number in range(4000)
        ]
        sent = httpx.post(
            f"{server.url}/api/v1/events",
            json=events,
            headers=server.headers | {"x-candor-sync": "1"},
            timeout=60,
        )
        assert sent.json()["accepted"] == 4000
        running.wait_for(
            "candor_objective_valid_events_total", lambda read: read.get("checkout") == 4000
        )
        burned = running.wait_for("slo:current_burn_rate:ratio", bool)
        recorded = running.wait_for(
            "slo:sli_error:ratio_rate5m", lambda read: read.get("checkout", 0) > 0.02
        )
        ours = httpx.get(
            f"{server.url}/api/v1/objectives/checkout/burn", headers=server.headers
        ).json()["tiers"][0]
        assert recorded["checkout"] == pytest.approx(0.025, rel=TOLERANCE)
        assert burned.keys() == {"checkout"}
        assert ours["short_burn"] == pytest.approx(recorded["checkout"] / 0.001, rel=TOLERANCE)


def prom(query: str) -> dict[str, Any]:
    return {"metricSource": {"type": "prometheus", "spec": {"query": query}}}


def counted(
    name: str,
    goal: dict[str, Any],
    method: str = "Occurrences",
    **sli: Any,  # noqa: ANN401 - any YAML
) -> dict[str, Any]:
    kind = "thresholdMetric" if "metricSource" in sli else "ratioMetric"
    indicator = {"metadata": {"name": "sli"}, "spec": {kind: sli}}
    document = objective(indicator=indicator, objectives=[goal], budgetingMethod=method)
    document["metadata"]["name"] = name
    return document


TARGET = {"target": 0.9}
DOCUMENTS = [
    counted(
        "counter",
        TARGET,
        counter=True,
        bad=prom('requests_total{code="500"}'),
        total=prom("requests_total"),
    ),
    counted(
        "rate",
        TARGET,
        good=prom('sum(rate(requests_total{code="200"}[{{.window}}]))'),
        total=prom("sum(rate(requests_total[5m]))"),
    ),
    counted(
        "increase",
        TARGET,
        bad=prom('sum(increase(requests_total{code="500"}[5m]))'),
        total=prom("sum(increase(requests_total[5m]))"),
    ),
    counted(
        "raw",
        TARGET | {"timeSliceWindow": "5m"},
        "RatioTimeslices",
        raw=prom('1 - sum(rate(requests_total{code="500"}[5m])) / sum(rate(requests_total[5m]))'),
        rawType="success",
    ),
    counted(
        "threshold",
        TARGET | {"op": "gte", "value": 1},
        **prom("sum(rate(requests_total[5m]))"),
    ),
]


def traffic(until: datetime) -> tuple[Series, dict[str, int]]:
    """Return two counters of two hours, the second restarted once, and what the last hour held."""
    dice = random.Random(7)
    series: dict[str, list[tuple[int, float]]] = {}
    hour = {"200": 0, "500": 0}
    for instance in ("a", "b"):
        totals = {"200": 0, "500": 0}
        for minute in range(121, -1, -1):
            at = int((until - minute * MINUTE).timestamp())
            if instance == "b" and minute == 30:
                totals = {"200": 0, "500": 0}
            for code, most in (("200", 900), ("500", 40)):
                added = dice.randrange(most // 2, most) if minute < 121 else 0
                totals[code] += added
                hour[code] += added if minute < 60 else 0
                name = f'requests_total{{code="{code}",instance="{instance}"}}'
                series.setdefault(name, []).append((at, totals[code]))
    return series, hour


def applied(services: Services) -> dict[str, Objective]:
    with session_of(services.engine) as session:
        apply_set(session, read_set({"f": yaml.safe_dump_all(DOCUMENTS)}), NOON, "lead")
        return {one.objective.name: one.objective for one in all_objectives(session)}


def test_what_a_prometheus_holds_is_counted_as_it_counts_itself(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    series, hour = traffic(NOON - MINUTE)
    total = sum(hour.values())
    with prometheus(tmp_path / "prometheus", series=series) as running:
        asked = {"url": running.url}
        services = services_on(tmp_path, sqlite, embedded_telemetry, clock, prometheus=asked)
        objectives = applied(services)
        read_prometheus(services)
        at = NOON - MINUTE
        (read,) = read_lookbacks(embedded_telemetry, [objectives["counter"]], at, [{HOUR}])
        assert (read[HOUR].bad, read[HOUR].valid) == (hour["500"], total)
        # What their own rules come to over the hour, and what each other way of asking gives us.
        file, _ = prometheus_rules(read_set({"f": yaml.safe_dump(DOCUMENTS[1])}))
        expression = next(
            rule["expr"]
            for group in yaml.safe_load(rule_file(file))["groups"]
            for rule in group["rules"]
            if rule.get("record") == "slo:sli_error:ratio_rate1h"
        )
        theirs = running.ask(expression, at.timestamp())[""]
        assert hour["500"] / total == pytest.approx(theirs, rel=TOLERANCE)
        for name in ("rate", "increase"):
            (read,) = read_lookbacks(embedded_telemetry, [objectives[name]], at, [{HOUR}])
            assert read[HOUR].bad / read[HOUR].valid == pytest.approx(theirs, rel=0.05)
            assert read[HOUR].valid == pytest.approx(total, rel=0.05)
        raw = read_budget(embedded_telemetry, objectives["raw"], at)
        assert raw.budget.sli is not None
        assert 1 - float(raw.budget.sli) == pytest.approx(hour["500"] / total, rel=0.1)
        threshold = read_budget(embedded_telemetry, objectives["threshold"], at)
        assert threshold.budget.sli == Fraction(1)
        assert 115 <= threshold.events.valid <= 125


def test_a_minute_that_is_read_again_counts_once_and_a_deaf_source_is_named(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    series, hour = traffic(NOON - MINUTE)
    with prometheus(tmp_path / "prometheus", series=series) as running:
        asked = {"url": running.url}
        services = services_on(tmp_path, sqlite, embedded_telemetry, clock, prometheus=asked)
        objectives = applied(services)
        for _ in range(2):
            read_prometheus(services)
            clock.pass_by(MINUTE)
        at = NOON - MINUTE
        (read,) = read_lookbacks(embedded_telemetry, [objectives["counter"]], at, [{HOUR}])
        assert read[HOUR].valid == sum(hour.values())
    with pytest.raises(UnavailableError, match=r"counter \(it does not answer: ConnectError\)"):
        read_prometheus(services)
