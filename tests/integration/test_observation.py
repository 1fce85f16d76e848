"""Candor's objectives on itself: applied once, and counted from what it tells of itself."""

from datetime import timedelta

import httpx
import pytest
import yaml
from prometheus_client import Counter

from candor.kernel.database import session_of
from candor.observation import SelfObservation, apply_self_objectives
from slo.evaluation import read_budget
from slo.objective import Objective
from slo.openslo import read_set
from slo.register import all_objectives, apply_set, stored_documents
from slo.window import MINUTE
from tests.integration.test_rum_door import public_key, send, vital
from tests.support.asgi import Application
from tests.support.stores import NOON, FixedClock

NAMES = [
    "candor-consent-availability",
    "candor-consent-latency",
    "candor-ingest-availability",
    "candor-ingest-latency",
    "candor-loader-lag",
    "candor-request-deadlines",
]


def objectives(application: Application) -> dict[str, Objective]:
    with session_of(application.services.engine) as session:
        return {one.objective.name: one.objective for one in all_objectives(session)}


def events(application: Application, number: str) -> httpx.Response:
    event = {"id": number, "name": "x", "time": NOON.isoformat()}
    return application.post("/api/v1/events", json=event)


def test_they_are_applied_once_and_what_a_person_changed_stays(application: Application) -> None:
    assert sorted(apply_self_objectives(application.services)) == NAMES
    assert apply_self_objectives(application.services) == []
    services = application.services
    with session_of(services.engine) as session:
        stored = stored_documents(session)
        lag = next(one for one in stored if one.name == "candor-loader-lag")
        mine = yaml.safe_load(lag.text)
        mine["spec"]["objectives"][0]["target"] = 0.5
        apply_set(session, read_set({"f": yaml.safe_dump(mine)}, stored), NOON, "lead")
    assert apply_self_objectives(services) == []
    assert objectives(application)["candor-loader-lag"].target == pytest.approx(0.5)


def test_what_a_person_removed_stays_away(application: Application) -> None:
    services = application.services
    apply_self_objectives(services)
    label = ("managed-by", "candor")
    with session_of(services.engine) as session:
        stored = stored_documents(session)
        kept = next(one for one in stored if one.name == "candor-loader-lag")
        pruned = read_set({"f": kept.text}, stored, prune=label)
        removed = apply_set(session, pruned, NOON, "lead").removed
    assert len(removed) == len(NAMES) - 1
    assert apply_self_objectives(services) == []
    assert list(objectives(application)) == ["candor-loader-lag"]


def test_what_candor_did_is_what_they_count(application: Application, clock: FixedClock) -> None:
    apply_self_objectives(application.services)
    observation = SelfObservation(application.installation, clock())
    for number in range(3):
        assert events(application, str(number)).status_code == 200
    assert application.post("/api/v1/events", content=b"{").status_code == 415
    requests: Counter = application.services.metrics.requests
    requests.labels("native", "503").inc()
    requests.labels("otlp_grpc", "UNAVAILABLE").inc(2)
    requests.labels("otlp_grpc", "OK").inc()
    question = {"subject": {"type": "user_id", "value": "u1"}, "purpose": "marketing"}
    for _ in range(2):
        assert application.post("/api/v1/consent/check", json=question).status_code == 200
    requests.labels("consent_check", "503").inc()
    clock.pass_by(MINUTE)
    observation.report()
    application.collector.flush()
    events(application, "later")
    application.collector.flush()
    clock.pass_by(MINUTE)
    observation.report()
    application.collector.flush()
    made, telemetry = objectives(application), application.services.telemetry
    at = clock() + timedelta(minutes=1)
    read = {name: read_budget(telemetry, made[name], at).events for name in NAMES}
    availability = read["candor-ingest-availability"]
    assert (availability.bad, availability.valid) == (3, 9)
    latency = read["candor-ingest-latency"]
    assert latency.valid == 5
    assert read["candor-consent-latency"].valid == 2
    consent = read["candor-consent-availability"]
    assert (consent.bad, consent.valid) == (1, 3)
    assert read["candor-request-deadlines"].valid == 0
    assert (read["candor-loader-lag"].good, read["candor-loader-lag"].valid) == (2, 2)


def test_a_page_that_floods_makes_candor_no_less_available(
    application: Application, clock: FixedClock
) -> None:
    apply_self_objectives(application.services)
    observation = SelfObservation(application.installation, clock())
    key = public_key(application, per_minute=2)
    answers = [send(application, vital(), key).status_code for _ in range(5)]
    assert answers == [200, 200, 429, 429, 429]
    clock.pass_by(MINUTE)
    observation.report()
    application.collector.flush()
    availability = objectives(application)["candor-ingest-availability"]
    events = read_budget(application.services.telemetry, availability, clock() + MINUTE).events
    assert (events.bad, events.valid) == (0, 5)


def test_before_anything_was_told_nothing_is_bad(application: Application) -> None:
    apply_self_objectives(application.services)
    for one in objectives(application).values():
        reading = read_budget(application.services.telemetry, one, NOON)
        assert (reading.budget.sli, reading.held_back_by) == (None, "no_data")
