"""What an Alertmanager is told, minute after minute, also while nothing can be evaluated."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from candor.kernel.errors import UnavailableError
from candor.kernel.telemetry_store import TelemetryStore
from slo.alerts.alertmanager import WATCHDOG
from slo.jobs import evaluate_alerts
from slo.window import MINUTE
from tests.integration.test_alerts import applied, incident
from tests.support.receiver import Receiver, receiver
from tests.support.stores import FixedClock, services_on

BURN = "CandorErrorBudgetBurn"


def names(target: Receiver) -> list[str]:
    """Return the names of the alerts that were sent last."""
    return sorted(one["labels"]["alertname"] for one in target.requests[-1].json())


def test_while_the_telemetry_store_is_away_what_fired_goes_on_without_the_watchdog(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with receiver() as target:
        replicas = {"urls": [target.url]}
        services = services_on(tmp_path, sqlite, embedded_telemetry, clock, alertmanager=replicas)
        incident(embedded_telemetry)
        applied(services)
        evaluate_alerts(services)
        assert names(target) == [BURN, BURN, WATCHDOG]
        clock.pass_by(MINUTE)
        gone = embedded_telemetry.using("gone")
        away = services_on(tmp_path, sqlite, gone, clock, alertmanager=replicas)
        with pytest.raises(UnavailableError):
            evaluate_alerts(away)
        assert names(target) == [BURN, BURN]
        clock.pass_by(MINUTE)
        evaluate_alerts(services)
        assert names(target) == [BURN, BURN, WATCHDOG]
