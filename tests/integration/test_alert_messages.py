"""Messages about alerts come in their order, and silences only put them off."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from slo.alerts.evaluator import evaluate
from slo.jobs import evaluate_alerts
from slo.window import MINUTE
from tests.integration.test_alerts import applied, deliver, incident, told
from tests.integration.test_objectives import store
from tests.support.asgi import application_on
from tests.support.receiver import Receiver, receiver
from tests.support.stores import NOON, FixedClock, services_on

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


def test_silences_begin_and_end_within_a_minute(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    seconds = timedelta(seconds=1)
    with (
        told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target),
        application_on(services) as application,
    ):
        clock.now = NOON + 10 * seconds
        until = (NOON + MINUTE + 13 * seconds).isoformat()
        body = {"service": "shop", "until": until, "reason": "known"}
        assert application.post("/api/v1/silences", json=body).status_code == 201
        for passed, expected in ((20, []), (72, []), (80, ["fired"]), (140, ["fired"])):
            clock.now = NOON + passed * seconds
            evaluate(services)
            deliver(services)
            assert heard(target) == expected


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


class Unreachable:
    """A telemetry store that does not answer."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever is asked of it
        raise UnavailableError(f"{name}: the telemetry store cannot be reached.")


@contextmanager
def watched(
    folder: Path,
    state: Engine,
    telemetry: TelemetryStore,
    clock: FixedClock,
    *more: str,
) -> Iterator[tuple[Services, Receiver]]:
    """Give an incident that one Alertmanager is told of, and ``more`` addresses that are none."""
    with receiver() as target:
        urls = {"urls": [target.url, *more]}
        services = services_on(folder, state, telemetry, clock, alertmanager=urls)
        incident(telemetry)
        applied(services)
        yield services, target


def pushed(target: Receiver) -> list[list[str]]:
    """Return the alerts of each push, as "name severity"."""
    return [
        sorted(f"{one['labels']['alertname']} {one['labels']['severity']}" for one in push.json())
        for push in target.requests
    ]


BURNS = ["CandorErrorBudgetBurn page", "CandorErrorBudgetBurn ticket"]


def test_an_alertmanager_hears_of_what_fires_while_nothing_can_be_evaluated(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with watched(tmp_path, sqlite, embedded_telemetry, clock) as (services, target):
        evaluate_alerts(services)
        clock.pass_by(MINUTE)
        with pytest.raises(UnavailableError):
            evaluate_alerts(replace(services, telemetry=Unreachable()))  # type: ignore[arg-type]  # a fake
        assert pushed(target) == [[*BURNS, "CandorWatchdog none"], BURNS]


def test_an_alert_that_comes_back_soon_is_told_as_it_stands(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with watched(tmp_path, sqlite, embedded_telemetry, clock) as (services, target):
        evaluate_alerts(services)
        clock.pass_by(40 * MINUTE)
        evaluate_alerts(services)  # the short windows of pages are clean
        rows = [
            Event(f"again-{n}", "native", "x", "", clock.now, NOON, "checkout", outcome="error")
            for n in range(99)
        ]
        store(embedded_telemetry, rows)
        clock.pass_by(MINUTE)
        evaluate_alerts(services)
        pages = [one for one in target.requests[-1].json() if one["labels"]["severity"] == "page"]
        assert [one["startsAt"] for one in pages] == [clock.now.isoformat()]


def test_each_alertmanager_is_on_the_record_with_its_outcome(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    places = (tmp_path, state, embedded_telemetry, clock, "http://127.0.0.1:9", "http://x:port")
    with (
        watched(*places) as (services, target),
        application_on(services) as application,
    ):
        target.statuses = [500]
        for _ in range(3):
            evaluate_alerts(services)
            deliver(services)
            clock.pass_by(MINUTE)
        clock.pass_by(timedelta(days=4))
        evaluate_alerts(services)
        (page,) = (
            one for one in application.get("/api/v1/alerts").json() if one["severity"] == "page"
        )
    told_to = {
        (one["target"], one["transition"]): (one["state"], one["attempts"], one["outcome"])
        for one in page["deliveries"]
    }
    assert told_to == {
        ("alertmanager:0", "fired"): ("sent", 2, "ok"),
        ("alertmanager:0", "resolved"): ("sent", 1, "ok"),
        ("alertmanager:1", "fired"): ("waiting", 3, "ConnectError"),
        ("alertmanager:1", "resolved"): ("waiting", 1, "ConnectError"),
        ("alertmanager:2", "fired"): ("waiting", 3, "InvalidURL"),
        ("alertmanager:2", "resolved"): ("waiting", 1, "InvalidURL"),
    }


def test_two_at_once_tell_once_even_without_a_lease(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, state, embedded_telemetry, clock) as (services, target):
        hooks = services.settings.webhooks
        other = services_on(tmp_path, state, embedded_telemetry, clock, webhooks=hooks)
        together = Barrier(2, timeout=300)

        def run(one: Services) -> None:
            together.wait()
            with suppress(ConflictError):  # the one that came second
                evaluate(one)
            together.wait()
            deliver(one)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(run, (services, other)))
        severities = sorted(one.json()["data"]["severity"] for one in target.requests)
        assert severities == ["page", "ticket"]


def test_an_alert_is_taken_on_once_it_has_fired_and_tells_its_messages(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    waits = {"pending_for": MINUTE}
    with (
        told(tmp_path, sqlite, embedded_telemetry, clock, alerts=waits) as (services, _),
        application_on(services) as application,
    ):
        evaluate(services)
        pending = application.get("/api/v1/alerts?state=pending").json()[0]
        early = application.post(f"/api/v1/alerts/{pending['id']}/acknowledge")
        assert (early.status_code, early.json()["detail"]) == (
            409,
            "This alert has not fired yet. Acknowledge it once it has.",
        )
        clock.pass_by(MINUTE)
        evaluate(services)
        taken = application.post(f"/api/v1/alerts/{pending['id']}/acknowledge").json()
        assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "test")
        assert [one["target"] for one in taken["deliveries"]] == ["webhook:0"]


@pytest.mark.parametrize(
    "case",
    [
        ({"objective": "checkuot"}, 404, "No objective bears that name"),
        ({"until": (NOON - HOUR).isoformat(), "since": (NOON - 2 * HOUR).isoformat()}, 422, "now"),
        ({"until": "9999-12-31T23:59:59-12:00"}, 422, "an instant from 1970 to 2199"),
        ({"reason": "no\0thing"}, 422, "without the character NUL"),
    ],
)
def test_a_silence_that_could_silence_nothing_is_refused(
    tmp_path: Path,
    state: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    case: tuple[dict[str, str], int, str],
) -> None:
    fields, status, told_of = case
    services = services_on(tmp_path, state, embedded_telemetry, clock)
    applied(services)
    until = (NOON + HOUR).isoformat()
    with application_on(services) as application:
        body = {"objective": "checkout", "until": until, "reason": "known"} | fields
        answer = application.post("/api/v1/silences", json=body)
    assert answer.status_code == status
    assert told_of.lower() in answer.json()["detail"].lower()
