"""Messages about alerts come in their order, and silences only put them off."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine

from candor.kernel.telemetry_store import TelemetryStore
from slo.alerts.evaluator import evaluate
from slo.window import MINUTE
from tests.integration.test_alerts import deliver, told
from tests.support.asgi import application_on
from tests.support.receiver import Receiver
from tests.support.stores import NOON, FixedClock

HOUR = timedelta(hours=1)


def heard(target: Receiver) -> list[str]:
    return [
        one.json()["data"]["transition"]
        for one in target.requests
        if one.json()["data"]["severity"] == "page"
    ]


def test_the_end_of_an_alert_is_not_told_before_its_beginning(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, state, embedded_telemetry, clock) as (services, target):
        evaluate(services)
        target.statuses = [500, 500]
        deliver(services)
        target.requests.clear()
        clock.pass_by(timedelta(days=4))
        evaluate(services)
        target.statuses = [500] * 4
        deliver(services)
        assert heard(target) == ["fired"]
        target.statuses = []
        for _ in range(3):
            clock.pass_by(HOUR)
            deliver(services)
        assert heard(target) == ["fired", "fired", "resolved"]


def test_what_a_silence_kept_back_is_told_when_it_ends_and_the_alert_does_not(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with (
        told(tmp_path, state, embedded_telemetry, clock) as (services, target),
        application_on(services) as application,
    ):
        until = (NOON + 2 * MINUTE).isoformat()
        body = {"service": "shop", "severity": "page", "until": until, "reason": "known"}
        assert application.post("/api/v1/silences", json=body).status_code == 201
        for expected in ([], [], ["fired"], ["fired"]):
            evaluate(services)
            deliver(services)
            assert heard(target) == expected
            clock.pass_by(MINUTE)


def test_who_did_not_hear_of_an_alert_does_not_hear_that_it_is_over(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with (
        told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target),
        application_on(services) as application,
    ):
        body = {"service": "shop", "until": (NOON + HOUR).isoformat(), "reason": "known"}
        assert application.post("/api/v1/silences", json=body).status_code == 201
        evaluate(services)
        clock.pass_by(timedelta(days=4))
        evaluate(services)
        deliver(services)
        assert target.requests == []


def test_who_heard_of_an_alert_hears_that_it_is_over_when_the_silence_ends(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with (
        told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target),
        application_on(services) as application,
    ):
        evaluate(services)
        deliver(services)
        body = {"service": "shop", "until": (NOON + timedelta(days=5)).isoformat(), "reason": "x"}
        assert application.post("/api/v1/silences", json=body).status_code == 201
        for days, expected in ((4, ["fired"]), (5, ["fired", "resolved"])):
            clock.now = NOON + timedelta(days=days)
            evaluate(services)
            deliver(services)
            assert heard(target) == expected
