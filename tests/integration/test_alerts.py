"""Alerts on real stores: begun, kept over restarts, acknowledged, silenced, delivered, over."""

import base64
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from slo import jobs
from slo.alerts import store as alert_store
from slo.alerts.evaluator import evaluate
from slo.alerts.rehearsal import rehearse
from slo.alerts.targets import address_faults, notify_by_apprise
from slo.correction import Correction
from slo.governance.store import add_correction
from slo.openslo import read_set
from slo.register import apply_set
from slo.window import MINUTE
from tests.integration.test_budgeting import composite, promised
from tests.integration.test_objectives import store
from tests.support.asgi import Application, application_on
from tests.support.receiver import Receiver, receiver
from tests.support.stores import NOON, FixedClock, services_on
from tests.unit.slo.test_openslo import objective

SECRET = "a secret of the receiver"


def incident(telemetry: TelemetryStore, *, since_minutes: int = 3) -> None:
    """Half of all checkouts fail in the three minutes before noon; none did before."""
    events = []
    for minute in range(60):
        for number in range(20):
            bad = minute < since_minutes and number % 2
            at = NOON - (minute + 1) * MINUTE
            outcome = "error" if bad else "ok"
            events.append(
                Event(
                    f"{minute}-{number}", "native", "x", "", at, NOON, "checkout", outcome=outcome
                )
            )
    store(telemetry, events)


def applied(services: Services, document: dict[str, Any] | None = None) -> None:
    documents = read_set({"f": yaml.safe_dump(document or objective())})
    with session_of(services.engine) as session:
        apply_set(session, documents, NOON, "lead")


@contextmanager
def told(
    folder: Path,
    state: Engine,
    telemetry: TelemetryStore,
    clock: FixedClock,
    **settings: Any,  # noqa: ANN401 - settings
) -> Iterator[tuple[Services, Receiver]]:
    with receiver() as target:
        hook = {"url": f"{target.url}/hook", "secret": SECRET}
        services = services_on(folder, state, telemetry, clock, webhooks=[hook], **settings)
        incident(telemetry)
        applied(services)
        yield services, target


def deliver(services: Services) -> None:
    with httpx.Client(timeout=5) as client:
        jobs.deliver(services, client, notify_by_apprise)


def test_an_incident_is_one_alert_over_restarts_and_is_told_once_by_two_schedulers(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, state, embedded_telemetry, clock) as (services, target):
        assert {alert.severity for alert, _ in evaluate(services)} == {"page", "ticket"}
        restarted = services_on(
            tmp_path, state, embedded_telemetry, clock, webhooks=services.settings.webhooks
        )
        assert evaluate(restarted) == []
        clock.pass_by(MINUTE)
        assert evaluate(restarted) == []
        deliver(services)
        deliver(restarted)
        assert sorted(one.json()["data"]["severity"] for one in target.requests) == [
            "page",
            "ticket",
        ]


def test_a_webhook_is_a_signed_cloud_event(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target):
        evaluate(services)
        deliver(services)
        request = next(one for one in target.requests if one.json()["data"]["severity"] == "page")
        document = request.json()
        assert request.headers["content-type"] == "application/cloudevents+json"
        assert (document["specversion"], document["type"]) == ("1.0", "dev.candor.alert.fired")
        assert (document["subject"], document["data"]["tier"]) == ("checkout", "fast")
        assert "test" not in document["data"]
        signed = ".".join((request.headers["webhook-id"], request.headers["webhook-timestamp"], ""))
        digest = hmac.digest(SECRET.encode(), signed.encode() + request.body, "sha256")
        expected = "v1," + base64.b64encode(digest).decode()
        assert request.headers["webhook-signature"] == expected


def test_the_end_of_an_alert_says_in_words_that_it_is_over(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with receiver() as chat:
        notify = {"urls": [chat.url.replace("http://", "json://")]}
        with told(tmp_path, sqlite, embedded_telemetry, clock, notify=notify) as (services, hook):
            for days in (0, 4):
                clock.pass_by(timedelta(days=days))
                evaluate(services)
                deliver(services)
    facts = [one.json()["data"] for one in hook.requests]
    page, over = (one["summary"] for one in facts if one["severity"] == "page")
    assert page.startswith("The error budget burns")
    assert over == f"Resolved: {page}"
    bodies = {one.json()["title"]: one.json()["message"] for one in chat.requests}
    assert bodies["[page] checkout fired"].startswith(page)
    assert bodies["[page] checkout resolved"].startswith(over)


def test_a_target_that_fails_is_tried_again_later_and_then_left_for_a_person(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target):
        evaluate(services)
        target.statuses = [500] * 20
        deliver(services)
        assert len(target.requests) == 1
        deliver(services)
        assert len(target.requests) == 1
        for _ in range(12):
            clock.pass_by(timedelta(hours=1))
            deliver(services)
        assert len(target.requests) == 10
        with session_of(sqlite) as session:
            alerts = alert_store.list_alerts(session, state=None, objective=None)
            found = alert_store.deliveries_of(session, [one.id for one in alerts])
        states = {(one.state, one.outcome) for group in found.values() for one in group}
        assert states == {("dead", "status 500")}


def test_apprise_reaches_the_services_it_knows(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with receiver() as chat:
        address = chat.url.replace("http://", "json://") + "/chat"
        with told(tmp_path, sqlite, embedded_telemetry, clock, notify={"urls": [address]}) as (
            services,
            _,
        ):
            evaluate(services)
            deliver(services)
            clock.pass_by(timedelta(days=4))
            evaluate(services)
            deliver(services)
        told_as = {one.json()["title"]: one.json()["type"] for one in chat.requests}
        assert told_as == {
            "[page] checkout fired": "failure",
            "[ticket] checkout fired": "warning",
            "[page] checkout resolved": "success",
            "[ticket] checkout resolved": "success",
        }


@pytest.fixture
def alarmed(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    incident(embedded_telemetry)
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    applied(services)
    with application_on(services) as running:
        yield running


def listed(application: Application, query: str = "") -> dict[str, dict[str, Any]]:
    alerts = application.get(f"/api/v1/alerts{query}").json()
    return {alert["severity"]: alert for alert in alerts}


def test_an_alert_is_listed_acknowledged_and_over(alarmed: Application, clock: FixedClock) -> None:
    evaluate(alarmed.services)
    page = listed(alarmed)["page"]
    assert (page["state"], page["tier"], page["fired_at"]) == ("firing", "fast", NOON.isoformat())
    answer = alarmed.post(f"/api/v1/alerts/{page['id']}/acknowledge").json()
    assert (answer["state"], answer["acknowledged_by"]) == ("acknowledged", "test")
    assert alarmed.post("/api/v1/alerts/nothing/acknowledge").status_code == 404
    clock.pass_by(timedelta(days=4))
    evaluate(alarmed.services)
    assert listed(alarmed)["page"]["state"] == "resolved"
    assert alarmed.post(f"/api/v1/alerts/{page['id']}/acknowledge").status_code == 409
    assert listed(alarmed, "?state=firing") == {}


def test_what_keeps_a_tier_from_alerting_is_told_with_its_burn(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    incident(embedded_telemetry)
    alerts = {"disabled_tiers": ["medium"], "traffic_floor": 1000, "minimum_bad_events": 31}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, alerts=alerts)
    applied(services, promised(annotations={"disabled-tiers": "slow"}))
    with application_on(services) as application:
        answer = application.get("/api/v1/objectives/checkout/burn")
    assert evaluate(services) == []
    told = {one["tier"]: (one["firing"], one["held_back_by"]) for one in answer.json()["tiers"]}
    assert told == {
        "fast": (False, "minimum_bad_events"),
        "medium": (False, "disabled"),
        "slow": (False, "disabled"),
        "long": (False, "minimum_bad_events"),
    }


def test_an_alert_ends_with_its_objective(alarmed: Application, clock: FixedClock) -> None:
    evaluate(alarmed.services)
    from slo.tables import ObjectiveRow  # noqa: PLC0415 - there is no door that removes one yet

    with session_of(alarmed.services.engine) as session:
        session.delete(session.get_one(ObjectiveRow, "checkout"))
    clock.pass_by(MINUTE)
    evaluate(alarmed.services)
    assert {one["state"] for one in listed(alarmed).values()} == {"resolved"}


def test_what_is_silenced_is_on_the_record_and_not_told(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with (
        told(tmp_path, sqlite, embedded_telemetry, clock) as (services, target),
        application_on(services) as application,
    ):
        until = (NOON + timedelta(hours=1)).isoformat()
        body = {"service": "shop", "severity": "page", "until": until, "reason": "known"}
        made = application.post("/api/v1/silences", json=body)
        assert made.status_code == 201
        everything = application.post("/api/v1/silences", json={"until": until, "reason": "quiet"})
        assert everything.status_code == 422
        evaluate(services)
        deliver(services)
        assert [one.json()["data"]["severity"] for one in target.requests] == ["ticket"]
        states = [one["state"] for one in listed(application)["page"]["deliveries"]]
        assert states == ["silenced"]
        ended = application.request("DELETE", f"/api/v1/silences/{made.json()['id']}")
        assert ended.json()["until"] == NOON.isoformat()


def test_a_correction_keeps_an_incident_from_alerting(alarmed: Application) -> None:
    body = {
        "objective": "checkout",
        "since": (NOON - timedelta(minutes=3)).isoformat(),
        "until": NOON.isoformat(),
        "category": "bad_instrumentation",
        "reason": "the probe",
    }
    assert alarmed.post("/api/v1/corrections", json=body).status_code == 201
    assert evaluate(alarmed.services) == []


def test_a_correction_that_cannot_be_counted_ends_no_alerting(alarmed: Application) -> None:
    flood = Correction(
        id="flood",
        objective="checkout",
        selector={},
        since=NOON - timedelta(days=20),
        until=NOON - timedelta(days=20) + MINUTE,
        rrule="FREQ=MINUTELY",  # as it could be made before such rules were refused
        zone="UTC",
        category="other",
        reason="old",
        author="ops",
        created_at=NOON - timedelta(days=20),
    )
    with session_of(alarmed.services.engine) as session:
        add_correction(session, flood)
    assert {alert.severity for alert, _ in evaluate(alarmed.services)} == {"page", "ticket"}


def test_a_test_message_tries_every_target(tmp_path: Path) -> None:
    with receiver() as target:
        target.statuses = [200, 404]
        hooks = [{"url": f"{target.url}/{number}", "secret": SECRET} for number in range(2)]
        settings = Settings(
            spool_dir=tmp_path,
            webhooks=hooks,
            alertmanager={"urls": [target.url]},
            notify={"urls": ["foo://x"]},
        )
        outcomes = rehearse(settings, NOON)
    assert [(one["target"], one["outcome"]) for one in outcomes] == [
        ("webhook:0", "status 200"),
        ("webhook:1", "status 404"),
        ("notify:0", address_faults(settings)["notify:0"]),
        ("alertmanager:0", "ok"),
    ]
    assert [one.json()["data"]["test"] for one in target.requests[:2]] == [True, True]


SLICES = {"target": 0.995, "timeSliceTarget": 0.9, "timeSliceWindow": "1m"}
MONTH = {"startTime": "2020-01-01 00:00:00", "timeZone": "UTC"}


def journey_and_silence() -> dict[str, Any]:
    """A composite: all checkouts, and a part that was never heard of."""
    document = composite()
    parts = document["spec"]["objectives"]
    for part in parts:
        part["target"] = 0.999
    spec = parts[0]["indicator"]["spec"]["ratioMetric"]["total"]["metricSource"]["spec"]
    spec["filter"] = {"journey": "checkout"}
    return document


@pytest.fixture
def troubled(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Services:
    incident(embedded_telemetry)
    return services_on(tmp_path, sqlite, embedded_telemetry, clock)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        # 3 of 60 minutes burn 10 times as fast as they may; the events in them 5 times.
        (promised(budgetingMethod="Timeslices", objectives=[SLICES]), {"page", "ticket"}),
        (promised(objectives=[{"target": 0.995}]), {"ticket"}),
        (journey_and_silence(), {"page", "ticket"}),
        (promised(annotations={"minimum-events": "100000"}), set()),
        (promised(annotations={"minimum-bad-events": "100000"}), set()),
        (
            promised(annotations={"minimum-bad-events": "1"}, objectives=[{"target": 0.995}]),
            {"ticket"},
        ),
    ],
)
def test_an_objective_alerts_by_its_own_way_of_counting(
    troubled: Services, document: dict[str, Any], expected: set[str]
) -> None:
    applied(troubled, document)
    assert {alert.severity for alert, _ in evaluate(troubled)} == expected


def test_what_remains_of_a_calendars_budget_is_that_of_its_period(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    before = NOON - timedelta(days=25)
    rows = [
        Event(f"b{n}", "native", "x", "", before, NOON, "checkout", outcome="error")
        for n in range(9)
    ]
    now = NOON - MINUTE
    rows.append(Event("g", "native", "x", "", now, NOON, "checkout", outcome="ok"))
    store(embedded_telemetry, rows)
    services = services_on(
        tmp_path, sqlite, embedded_telemetry, clock, alerts={"remaining_below": 0.5}
    )
    applied(services)
    assert {alert.kind for alert, _ in evaluate(services)} == {"budget_remaining"}
    month = [{"duration": "1M", "isRolling": False, "calendar": MONTH}]
    applied(services, promised(timeWindow=month))
    clock.pass_by(timedelta(minutes=10))
    assert [turn for _, turn in evaluate(services)] == ["resolved"]


def test_silence_alerts_where_the_objective_says_so(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    event = Event("g", "native", "x", "", NOON - 61 * MINUTE, NOON, "checkout", outcome="ok")
    store(embedded_telemetry, [event])
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    applied(services)
    assert evaluate(services) == []
    applied(services, promised(annotations={"no-data": "alert"}))
    assert [alert.kind for alert, _ in evaluate(services)] == ["no_data"]


def test_silence_that_a_correction_made_is_not_told(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    begun = NOON - 61 * MINUTE
    event = Event("g", "native", "x", "", begun, NOON, "checkout", outcome="ok")
    store(embedded_telemetry, [event])
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    applied(services, promised(annotations={"no-data": "alert"}))
    with application_on(services) as application:
        body = {
            "objective": "checkout",
            "since": (NOON - 30 * MINUTE).isoformat(),
            "until": (NOON - 20 * MINUTE).isoformat(),
            "category": "maintenance",
            "reason": "the database moves",
        }
        assert application.post("/api/v1/corrections", json=body).status_code == 201
    for minutes in (0, 39):  # an hour after its end is the fortieth minute
        clock.now = NOON + minutes * MINUTE
        assert evaluate(services) == []
    clock.pass_by(MINUTE)
    assert [alert.kind for alert, _ in evaluate(services)] == ["no_data"]


def test_an_evaluation_shows_on_the_metrics_page_how_objectives_stand(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with told(tmp_path, sqlite, embedded_telemetry, clock) as (services, _):
        evaluate(services)
        page = services.metrics.exposition().decode()
    assert 'candor_objective_target_ratio{objective="checkout"} 0.999' in page
    assert 'candor_objective_sli_ratio{objective="checkout"} 0.975' in page
    remaining = next(line for line in page.splitlines() if "remaining_ratio{" in line)
    assert float(remaining.rpartition(" ")[2]) == pytest.approx(-24)
    assert 'candor_objective_burn_rate{lookback="5m",objective="checkout"} 300.0' in page
    alerts = 'candor_objective_alerts{kind="burn",objective="checkout",severity="page"} 1.0'
    assert alerts in page


def test_what_was_not_measured_has_no_sample(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    applied(services)
    evaluate(services)
    page = services.metrics.exposition().decode()
    assert 'candor_objective_target_ratio{objective="checkout"}' in page
    assert "candor_objective_sli_ratio{" not in page
    assert "candor_objective_burn_rate{" not in page


def test_with_too_few_events_no_verdict_is_shown(troubled: Services) -> None:
    applied(troubled, promised(annotations={"minimum-events": "100000"}))
    evaluate(troubled)
    page = troubled.metrics.exposition().decode()
    assert "candor_objective_sli_ratio{" not in page
    assert "candor_objective_error_budget_remaining_ratio{" not in page
    assert "candor_objective_burn_rate{" in page
