"""Corrections, annotations, policies and the gate, asked over HTTP on real stores."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, NotFoundError
from collector.event import Event
from slo.correction import Correction
from slo.governance.routes import correct
from slo.governance.schemas import CorrectionBody
from slo.governance.store import (
    PutPolicy,
    add_correction,
    all_corrections,
    put_policy,
    remove_policy,
    undo_correction,
)
from slo.policy import DEFAULT_POLICY
from slo.window import HOUR, MINUTE
from tests.integration.test_objectives import apply, store
from tests.support.asgi import Application
from tests.support.stores import NOON, CountedStore, FixedClock
from tests.unit.slo.test_openslo import objective

INCIDENT = NOON - timedelta(hours=3)


@pytest.fixture
def checkout(application: Application) -> Application:
    """An objective whose budget one bad minute has spent: 2 bad of 1,000 at 99.9 %."""
    ok = [
        Event(f"e{n}", "native", "x", "", NOON - MINUTE, NOON, "checkout", outcome="ok")
        for n in range(998)
    ]
    bad = [
        Event(f"b{n}", "native", "x", "", INCIDENT, NOON, "checkout", outcome="error")
        for n in range(2)
    ]
    store(application.services.telemetry, ok + bad)
    apply(application, objective())
    return application


def body(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "objective": "checkout",
        "since": INCIDENT.isoformat(),
        "until": (INCIDENT + MINUTE).isoformat(),
        "category": "bad_instrumentation",
        "reason": "the probe was broken",
    } | fields


def budget(application: Application) -> dict[str, Any]:
    answer: dict[str, Any] = application.get("/api/v1/objectives/checkout/budget").json()
    return answer


def test_a_correction_is_previewed_counts_and_can_be_undone(checkout: Application) -> None:
    preview = checkout.post("/api/v1/corrections?dry_run=1", json=body())
    assert preview.status_code == 200
    assert preview.json()["id"] is None
    assert preview.json()["preview"] == [
        {
            "objective": "checkout",
            "remaining_before": -1.0,
            "remaining_after": 1.0,
            "corrected_seconds": 60.0,
            "sentence": "checkout: remaining -100.0 % -> 100.0 %",
        }
    ]
    assert budget(checkout)["remaining"] == -1.0
    made = checkout.post("/api/v1/corrections", json=body())
    assert made.status_code == 201
    after = budget(checkout)
    assert (after["remaining"], after["bad"], after["corrected_seconds"]) == (1.0, 0, 60)
    undone = checkout.request("DELETE", f"/api/v1/corrections/{made.json()['id']}")
    assert undone.json()["undone_by"] == "test"
    assert budget(checkout)["remaining"] == -1.0
    assert [one["reason"] for one in checkout.get("/api/v1/corrections").json()] == [
        "the probe was broken"
    ]


def test_many_budgets_are_previewed_by_as_few_queries_as_one(checkout: Application) -> None:
    telemetry = CountedStore(checkout.services.telemetry)
    services = replace(checkout.services, telemetry=telemetry)
    wide = CorrectionBody.model_validate(body(objective=None, selector={"service": "shop"}))
    asked = []
    for number in (1, 30):
        apply(checkout, *(objective() | {"metadata": {"name": f"o-{n}"}} for n in range(number)))
        with session_of(services.engine) as session:
            telemetry.asked = 0
            answer = correct(wide, services, session, "test", dry_run=True)
            asked.append(telemetry.asked)
        assert len(json.loads(bytes(answer.body))["preview"]) == number + 1
    assert asked[0] == asked[1]


def test_burn_rates_and_the_time_line_leave_out_what_is_corrected(checkout: Application) -> None:
    def long_burns() -> list[float]:
        tiers = checkout.get("/api/v1/objectives/checkout/burn").json()["tiers"]
        return [tier["long_burn"] for tier in tiers]

    assert max(long_burns()) > 0
    checkout.post("/api/v1/corrections", json=body(objective=None, selector={"service": "shop"}))
    assert max(long_burns()) == 0
    points = checkout.get("/api/v1/objectives/checkout/timeline").json()["points"]
    assert sum(point["valid"] for point in points) == 998


@pytest.mark.parametrize(
    "fields",
    [{"objective": "nobody"}, {"reason": ""}, {"category": "mood"}, {"zone": "Mars/Olympus"}],
)
def test_a_correction_that_cannot_be_meant_is_refused(
    application: Application, fields: dict[str, Any]
) -> None:
    answer = application.post("/api/v1/corrections", json=body(**fields))
    assert answer.status_code in {404, 422}
    assert application.get("/api/v1/corrections").json() == []


def test_a_correction_is_kept_and_undone_once_on_both_state_stores(state: Engine) -> None:
    correction = Correction(
        "c", None, {"service": "api"}, INCIDENT, NOON, None, "UTC", "deployment", "why", "ops", NOON
    )
    with session_of(state) as session:
        add_correction(session, correction)
    with session_of(state) as session:
        assert all_corrections(session) == [correction]
        assert undo_correction(session, "c", "lead", NOON).undone_by == "lead"
    with session_of(state) as session, pytest.raises(ConflictError):
        undo_correction(session, "c", "lead", NOON)
    with session_of(state) as session, pytest.raises(NotFoundError):
        undo_correction(session, "d", "lead", NOON)


def test_a_policy_is_put_and_taken_back_once_on_both_state_stores(state: Engine) -> None:
    policy = replace(DEFAULT_POLICY, name="p")
    with session_of(state) as session:
        put_policy(session, policy, "ops", NOON)
    with session_of(state) as session:
        assert remove_policy(session, "p") == PutPolicy(policy, "ops", NOON)
    with session_of(state) as session, pytest.raises(NotFoundError):
        remove_policy(session, "p")


def test_the_gate_freezes_at_a_spent_budget_and_says_why(checkout: Application) -> None:
    answer = checkout.get("/api/v1/gate?service=shop").json()
    assert answer["decision"] == "freeze"
    assert answer["reasons"] == [
        {
            "objective": "checkout",
            "remaining": -1.0,
            "policy": "default",
            "text": "The error budget is spent: release nothing but fixes.",
        }
    ]
    assert checkout.get("/api/v1/gate?service=nobody").status_code == 404


def test_a_policy_changes_what_the_gate_says_at_once(checkout: Application) -> None:
    steps: list[dict[str, Any]] = [{"below": -2, "decision": "freeze", "text": "stop"},
             {"below": 0.5, "decision": "slow", "text": "care"}]  # fmt: skip
    put = checkout.request(
        "PUT", "/api/v1/policies/shop", json={"service": "shop", "owner": "sre", "steps": steps}
    )
    assert put.status_code == 200
    answer = checkout.get("/api/v1/gate?service=shop").json()
    assert (answer["decision"], answer["reasons"][0]["text"]) == ("slow", "care")
    assert checkout.get("/api/v1/policies").json() == [
        {"name": "shop", "service": "shop", "owner": "sre",
         "steps": [step | {"below": float(step["below"])} for step in steps],
         "author": "test", "applied_at": NOON.isoformat()}
    ]  # fmt: skip


def put(application: Application, name: str, decision: str, service: str | None = None) -> int:
    step = {"below": 1, "decision": decision, "text": name}
    body = {"service": service, "owner": "sre", "steps": [step]}
    return application.request("PUT", f"/api/v1/policies/{name}", json=body).status_code


def test_the_policy_that_was_put_last_decides_and_what_is_taken_back_does_not(
    checkout: Application, clock: FixedClock
) -> None:
    def policy() -> str:
        return str(checkout.get("/api/v1/gate?service=shop").json()["reasons"][0]["policy"])

    for name, service in (("a", None), ("b", None), ("c", "shop"), ("d", "shop"), ("e", None)):
        clock.pass_by(MINUTE)
        assert put(checkout, name, "slow", service) == 200
    seen = []
    while checkout.get("/api/v1/policies").json():
        seen.append(policy())
        assert checkout.request("DELETE", f"/api/v1/policies/{seen[-1]}").status_code == 200
    assert seen == ["d", "c", "e", "b", "a"]
    assert policy() == "default"
    assert checkout.request("DELETE", "/api/v1/policies/a").status_code == 404


def test_a_reason_has_words_and_a_service_objectives(checkout: Application) -> None:
    until = (NOON + timedelta(hours=1)).isoformat()
    override = {"service": "shop", "reason": " \t", "expires_at": until}
    assert checkout.post("/api/v1/gate/overrides", json=override).status_code == 422
    misspelt = override | {"service": "shp", "reason": "the fix itself"}
    assert checkout.post("/api/v1/gate/overrides", json=misspelt).status_code == 404
    assert checkout.get("/api/v1/gate/overrides").json() == []


def test_what_concerns_no_objective_is_kept_with_a_warning(checkout: Application) -> None:
    span = {"since": INCIDENT.isoformat(), "until": NOON.isoformat()}
    body = span | {"category": "maintenance", "reason": "the switch"}
    policy = {"owner": "shop", "steps": [{"below": 0.5, "decision": "slow", "text": "Slow."}]}
    for service, told in (("shop", 0), ("shp", 1)):
        correction = body | {"selector": {"service": service}}
        made = checkout.post("/api/v1/corrections?dry_run=1", json=correction).json()
        put = checkout.request("PUT", "/api/v1/policies/slow", json=policy | {"service": service})
        assert (len(made["warnings"]), len(put.json()["warnings"])) == (told, told)


def test_an_override_lets_a_release_through_and_stays_on_the_record(
    checkout: Application,
) -> None:
    late = {"service": "shop", "reason": "the fix itself", "expires_at": NOON.isoformat()}
    assert checkout.post("/api/v1/gate/overrides", json=late).status_code == 422
    until = (NOON + timedelta(hours=1)).isoformat()
    made = checkout.post("/api/v1/gate/overrides", json=late | {"expires_at": until})
    assert made.status_code == 201
    answer = checkout.get("/api/v1/gate?service=shop").json()
    assert answer["decision"] == "go"
    assert (answer["override"]["author"], answer["override"]["reason"]) == (
        "test",
        "the fix itself",
    )
    assert len(checkout.get("/api/v1/gate/overrides?service=shop").json()) == 1


def test_an_override_is_undone_while_it_holds_and_stays_on_the_record(
    checkout: Application, clock: FixedClock
) -> None:
    def gate() -> Any:  # noqa: ANN401 - a JSON document
        return checkout.get("/api/v1/gate?service=shop").json()

    def made(reason: str, until: datetime) -> str:
        body = {"service": "shop", "reason": reason, "expires_at": until.isoformat()}
        return str(checkout.post("/api/v1/gate/overrides", json=body).json()["id"])

    def undone(name: str) -> Any:  # noqa: ANN401 - as above
        return checkout.request("DELETE", f"/api/v1/gate/overrides/{name}")

    decided = gate()
    older = made("older", NOON + HOUR)
    clock.pass_by(MINUTE)
    newer = made("newer", NOON + timedelta(days=3650))
    answer = undone(newer)
    assert answer.status_code == 200
    assert (answer.json()["undone_by"], answer.json()["undone_at"]) == ("test", clock().isoformat())
    assert gate()["override"]["id"] == older
    assert undone(older).status_code == 200
    assert gate() == decided
    clock.pass_by(MINUTE)
    expired = made("expired", clock() + MINUTE)
    clock.pass_by(MINUTE)
    assert [undone(one).status_code for one in (newer, expired, "nobody")] == [409, 409, 404]
    listed = checkout.get("/api/v1/gate/overrides").json()
    assert [one["undone_by"] for one in listed] == [None, "test", "test"]


def test_annotations_are_listed_by_service_and_span(application: Application) -> None:
    mark = {"kind": "deployment", "service": "shop", "at": INCIDENT.isoformat(), "text": "v4.12"}
    assert application.post("/api/v1/annotations", json=mark).status_code == 201
    wrong = mark | {"until": (INCIDENT - MINUTE).isoformat()}
    assert application.post("/api/v1/annotations", json=wrong).status_code == 422
    listed = application.get("/api/v1/annotations?service=shop").json()
    assert [(one["text"], one["author"]) for one in listed] == [("v4.12", "test")]
    assert application.get("/api/v1/annotations?service=web").json() == []


def test_reading_needs_its_scope_and_deciding_another(application: Application) -> None:
    reader = {"authorization": f"Bearer {application.make_key('slo:read')}"}
    assert application.get("/api/v1/corrections", headers=reader).status_code == 200
    assert application.post("/api/v1/corrections", json=body(), headers=reader).status_code == 403
    removal = application.request("DELETE", "/api/v1/policies/a", headers=reader)
    assert removal.status_code == 403
