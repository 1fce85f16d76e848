"""Alert policies of OpenSLO on real stores: they alert in the place of the tiers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from candor.terminal import print_objectives
from slo.alerts.evaluator import evaluate
from slo.alerts.store import deliveries_of, open_alerts
from slo.openslo import read_set
from slo.register import apply_set
from slo.window import MINUTE
from tests.integration.test_alerts import incident
from tests.support.asgi import application_on
from tests.support.stores import NOON, FixedClock, services_on
from tests.unit.slo.test_alert_policies import guarded, policy

HOOKS = [{"url": f"http://127.0.0.1:9/{number}", "secret": "x" * 16} for number in range(3)]


def alarmed(
    folder: Path,
    state: Engine,
    telemetry: TelemetryStore,
    clock: FixedClock,
    *policies: dict[str, Any],
) -> Services:
    services = services_on(folder, state, telemetry, clock, webhooks=HOOKS)
    incident(telemetry)
    documents = read_set({"f": yaml.safe_dump_all(guarded(*policies))})
    with session_of(services.engine) as session:
        apply_set(session, documents, NOON, "lead")
    return services


def told(services: Services) -> dict[tuple[str, str], list[str]]:
    """Return who is told of each open alert's policy, by policy and turn."""
    with session_of(services.engine) as session:
        policies = {one.id: one.policy for one in open_alerts(session)}
        messages = deliveries_of(session, list(policies))
    result: dict[tuple[str, str], list[str]] = {}
    for alert, deliveries in messages.items():
        for one in deliveries:
            result.setdefault((policies[alert], one.transition), []).append(one.target)
    return result


def test_a_policy_alerts_in_the_place_of_the_tiers_and_tells_whom_it_names(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = alarmed(tmp_path, state, embedded_telemetry, clock, policy(), policy("day", "day"))
    turns = evaluate(services)
    assert [(alert.policy, alert.severity) for alert, _ in turns] == [("day", "page")]
    clock.pass_by(2 * MINUTE)
    assert [alert.policy for alert, _ in evaluate(services)] == ["burns"]
    assert told(services) == {("day", "fired"): ["webhook:1"], ("burns", "fired"): ["webhook:1"]}


def test_a_policy_without_a_target_of_ours_tells_everybody_and_one_may_keep_its_end_to_itself(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    elsewhere = policy("day", "day", alertWhenResolved=False)
    elsewhere["spec"]["notificationTargets"] = [
        {"kind": "AlertNotificationTarget", "metadata": {"name": "x"}, "spec": {"target": "x"}}
    ]
    services = alarmed(tmp_path, sqlite, embedded_telemetry, clock, elsewhere)
    (alert, _), *_ = evaluate(services)
    clock.pass_by(timedelta(days=2))
    assert [turn for _, turn in evaluate(services)] == ["resolved"]
    with session_of(services.engine) as session:
        messages = deliveries_of(session, [alert.id])[alert.id]
    assert {(one.transition, one.target) for one in messages} == {
        ("fired", f"webhook:{number}") for number in range(3)
    }


def test_the_status_names_no_tier_of_an_objective_that_policies_alert(
    tmp_path: Path,
    sqlite: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    services = alarmed(tmp_path, sqlite, embedded_telemetry, clock, policy())
    with application_on(services) as application:
        document = application.get("/api/v1/objectives/checkout").json()
        budget = application.get("/api/v1/objectives/checkout/budget").json()
        burn = application.get("/api/v1/objectives/checkout/burn").json()
    assert [one["tier"] for one in burn["tiers"] if one["firing"]][:1] == ["fast"]
    own = {"budget": budget, "burn": burn, "alert_policies": document["alert_policies"]}
    assert own["alert_policies"] == ["burns"]
    print_objectives([own, own | {"alert_policies": []}])
    ends = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if "checkout" in line]
    assert ends == ["policy", "fast"]
