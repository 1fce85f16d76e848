"""Subscribers through the API and the command line: put, shown, told again, and taken away."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.database import open_engine, session_of
from privacy.propagation.jobs import propagate
from tests.support.asgi import Application
from tests.support.consent import prepare, record
from tests.support.receiver import receiver

PATH = "/api/v1/consent/subscribers"
SECRET = "a secret of the receiver"
CRM: dict[str, Any] = {"webhook": {"url": "https://crm.example.org/hook", "secret": SECRET}}
KAFKA: dict[str, Any] = {
    "kafka": {"bootstrap": "b:9092", "topic": "t", "properties": {"sasl.password": SECRET}}
}


def put(application: Application, name: str = "crm", **body: Any) -> Any:  # noqa: ANN401 - any field
    return application.request("PUT", f"{PATH}/{name}", json=body or CRM)


def test_a_subscriber_is_put_with_a_diff_and_its_secrets_never_come_out(
    application: Application,
) -> None:
    trial = application.request("PUT", f"{PATH}/crm?dry_run=1", json=CRM)
    assert (trial.status_code, trial.json()["change"]) == (200, "created")
    assert application.get(PATH).json() == []
    assert put(application).status_code == 201
    assert put(application, "topic", **KAFKA).status_code == 201
    assert put(application).json()["change"] == "unchanged"
    kept: dict[str, Any] = {
        "webhook": {"url": "https://crm.example.org/other"},
        "purposes": ["marketing"],
    }
    changed = put(application, **kept).json()
    assert changed["fields"] == {
        "purposes": {"before": [], "after": ["marketing"]},
        "webhook": {
            "before": {"url": "https://crm.example.org/hook"},
            "after": {"url": "https://crm.example.org/other"},
        },
    }
    fresh = kept | {"webhook": {"url": "https://crm.example.org/other", "secret": SECRET + "2"}}
    assert list(put(application, **fresh).json()["fields"]) == ["secrets"]
    listed = application.get(PATH)
    assert [one["name"] for one in listed.json()] == ["crm", "topic"]
    assert SECRET not in listed.text
    one = application.get(f"{PATH}/crm").json()
    assert (one["persons_waiting"], one["dead_letters"], one["outcome"]) == (0, 0, None)
    assert one["purposes"] == ["marketing"]
    leaves = application.get("/api/v1/audit/head").json()["tree_size"]
    assert application.request("DELETE", f"{PATH}/crm").status_code == 204
    assert application.get(f"{PATH}/crm").status_code == 404
    assert application.request("DELETE", f"{PATH}/crm").status_code == 404
    leaf = application.get(f"/api/v1/audit/leaves/{leaves}").json()
    assert "consent_subscriber" in json.dumps(leaf)
    assert SECRET not in json.dumps(leaf)


@pytest.mark.parametrize(
    "body",
    [
        {"webhook": {"url": "https://crm.example.org/"}},
        {"webhook": {"url": "https://crm.example.org/", "secret": "short"}},
        CRM | KAFKA,
        {"purposes": ["marketing"]},
        {"webhook": {"url": "mailto:crm@example.org", "secret": SECRET}},
        {"webhook": {"url": "http://crm.example.org/", "secret": SECRET}, "identifiers": ["email"]},
        CRM | {"identifiers": ["E-Mail"]},
        CRM | {"start": "yesterday"},
    ],
)
def test_what_describes_no_subscriber_is_refused(
    application: Application, body: dict[str, Any]
) -> None:
    answer = put(application, **body)
    assert answer.status_code == 422
    assert SECRET not in answer.text
    assert application.get(PATH).json() == []


def test_secrets_go_to_no_other_receiver(application: Application) -> None:
    put(application)
    put(application, "topic", **KAFKA)
    for name, body in (
        ("crm", {"webhook": {"url": "https://other.example.org/hook"}}),
        ("crm", {"webhook": {"url": "http://crm.example.org/hook"}}),
        ("crm", {"kafka": {"bootstrap": "b:9092", "topic": "t"}}),
        ("topic", {"kafka": {"bootstrap": "other:9092", "topic": "t"}}),
    ):
        refused = put(application, name, **body)
        assert (refused.status_code, "again" in refused.json()["detail"]) == (422, True)
    moved = {"url": "https://other.example.org/hook", "secret": SECRET}
    assert put(application, webhook=moved).json()["change"] == "changed"
    kept = put(application, "topic", kafka={"bootstrap": "b:9092", "topic": "t2"})
    assert list(kept.json()["fields"]) == ["kafka"]


def test_one_whose_secrets_do_not_open_can_be_seen_mended_and_removed(
    application: Application,
) -> None:
    put(application)
    put(application, "topic", **KAFKA)
    with session_of(application.services.engine) as session:
        session.execute(text("UPDATE consent_subscribers SET sealed = :some"), {"some": b"x" * 40})
    assert [one["name"] for one in application.get(PATH).json()] == ["crm", "topic"]
    assert put(application, webhook={"url": CRM["webhook"]["url"]}).status_code == 409
    assert list(put(application).json()["fields"]) == ["secrets"]
    assert put(application).json()["change"] == "unchanged"
    assert application.request("DELETE", f"{PATH}/topic").status_code == 204


def test_a_document_is_applied_as_a_whole(application: Application) -> None:
    document = {"subscribers": {"crm": CRM, "bad": {"webhook": {"url": "https://x.example.org"}}}}

    def applied(written: str) -> Any:  # noqa: ANN401 - an answer
        return application.post(f"{PATH}/apply", content=written)

    assert applied(json.dumps(document)).status_code == 422
    assert application.get(PATH).json() == []
    assert applied("a: [").status_code == 400
    fault = applied(json.dumps({"subscribers": {"crm": {"webhook": {"secret": SECRET}}}}))
    assert (fault.status_code, fault.json()["path"]) == (422, "subscribers.crm.webhook.url")
    assert SECRET not in fault.text
    done = applied(json.dumps({"subscribers": {"crm": CRM, "topic": KAFKA}})).json()
    assert [one["change"] for one in done["changes"]] == ["created", "created"]


def test_a_subscriber_is_told_again_when_asked(application: Application) -> None:
    prepare(application)
    with receiver() as target:
        put(application, webhook={"url": target.url, "secret": SECRET})
        target.judge = lambda _: 422
        record(application, "withdraw")
        for _ in range(10):
            application.services.clock.pass_by(timedelta(hours=1))  # type: ignore[attr-defined]  # a FixedClock
            propagate(application.services)
        (dead,) = application.get(f"{PATH}/crm/dead-letters").json()
        assert (dead["outcome"], dead["attempts"]) == ("status 422", 10)
        later = application.get(f"{PATH}/crm/dead-letters?after={dead['position']}")
        assert later.json() == []
        target.judge = None
        again = application.post(f"{PATH}/crm/replay", json={"from": "dead_letters"})
        assert (again.status_code, again.json()["persons_waiting"]) == (202, 1)
        propagate(application.services)
        assert len(target.requests) == 11
        moved = application.post(f"{PATH}/crm/replay", json={"from": dead["position"]})
        assert (moved.json()["position"], bool(moved.json()["behind_since"])) == (
            dead["position"],
            True,
        )
        propagate(application.services)
        assert len(target.requests) == 12
    for asked, status in (("999999", 409), ("here", 422), ("", 422)):
        assert application.post(f"{PATH}/crm/replay", json={"from": asked}).status_code == status
    assert application.post(f"{PATH}/none/replay", json={"from": "0"}).status_code == 404
    assert application.get(f"{PATH}/none/dead-letters").status_code == 404


def test_subscribers_need_their_scopes(application: Application) -> None:
    reader = {"authorization": f"Bearer {application.make_key('consent:read')}"}
    assert application.get(PATH, headers=reader).status_code == 200
    put_it = application.request("PUT", f"{PATH}/crm", json=CRM, headers=reader)
    assert put_it.status_code == 403
    writer = {"authorization": f"Bearer {application.make_key('consent:write')}"}
    asked = [
        application.request("PUT", f"{PATH}/crm", json=CRM, headers=writer),
        application.request("DELETE", f"{PATH}/crm", headers=writer),
        application.post(f"{PATH}/crm/replay", json={"from": "0"}, headers=writer),
        application.post(f"{PATH}/apply", content="{}", headers=writer),
    ]
    assert {one.status_code for one in asked} == {403}


RUNNER = CliRunner()
EXAMPLE = Path(__file__).parents[2] / "examples" / "consent-subscribers.yaml"


def run(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, ["consent", "subscribers", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


def test_the_example_can_be_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    changes = json.loads(run("apply", str(EXAMPLE), "--json"))["changes"]
    assert [one["name"] for one in changes] == ["crm", "warehouse"]
    assert SECRET not in run("list", "--json")


def test_a_purpose_that_nobody_has_put_is_named_to_who_subscribes_to_it(
    application: Application,
) -> None:
    prepare(application)
    wanted = CRM | {"purposes": ["marketing", "marketting", "newsletter", "*"]}
    told = put(application, **wanted).json()
    assert told["unknown_purposes"] == ["marketting", "newsletter"]
    again: dict[str, Any] = {
        "webhook": {"url": CRM["webhook"]["url"]},
        "purposes": ["marketing"],
    }
    assert put(application, **again).json()["unknown_purposes"] == []
    begun = application.post(f"{PATH}/crm/replay", json={"from": "beginning"})
    assert begun.json()["position"] == "0.0"


def test_the_command_names_purposes_that_nobody_has_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_SECRET", SECRET)
    monkeypatch.setenv("KAFKA_PASSWORD", SECRET)
    done = RUNNER.invoke(app, ["consent", "subscribers", "apply", str(EXAMPLE)])
    assert (done.exit_code, done.stderr.count("newsletter yet, so nothing is told")) == (0, 1)
    with session_of_here(tmp_path) as session:
        session.execute(text("UPDATE consent_subscribers SET outcome = 'PrivateAddressError'"))
    assert "CANDOR_CONSENT__PRIVATE_SUBSCRIBERS=true" in run("list")


@contextmanager
def session_of_here(folder: Path) -> Iterator[Session]:
    """Give a transaction on the state store that the commands of a test made."""
    engine = open_engine(f"sqlite:///{folder}/.candor/state.db")
    try:
        with session_of(engine) as session:
            yield session
    finally:
        engine.dispose()


def test_the_command_applies_lists_and_tells_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document: dict[str, Any] = {
        "subscribers": {
            "crm": {"webhook": {"url": "https://x.example.org/", "secret": {"env": "CRM_SECRET"}}},
            "topic": {"kafka": {"bootstrap": "b:9092", "topic": "t"}, "channels": ["email"]},
        }
    }
    (tmp_path / "s.yaml").write_text(json.dumps(document), encoding="utf-8")
    run("apply", "s.yaml", code=2)
    monkeypatch.setenv("CRM_SECRET", SECRET)
    run("list", code=2)
    assert "created: subscriber crm" in run("apply", "s.yaml", "--dry-run")
    assert json.loads(run("apply", "s.yaml", "--json"))["dry_run"] is False
    document["subscribers"]["topic"]["channels"] = ["sms"]
    (tmp_path / "s.yaml").write_text(json.dumps(document), encoding="utf-8")
    assert "  channels: ['email'] -> ['sms']" in run("apply", "s.yaml")
    assert "crm: knows everything, next is 1.0, 0 persons wait, 0 dead letters" in run("list")
    assert [one["name"] for one in json.loads(run("list", "--json"))] == ["crm", "topic"]
    for start in ("0", "beginning"):
        assert "is told again from 0.0 on" in run("replay", "crm", "--from", start)
    assert json.loads(run("replay", "crm", "--dead-letters", "--json"))["dead_letters"] == 0
    assert run("dead-letters", "crm") == ""
    assert json.loads(run("dead-letters", "crm", "--json")) == []
    run("replay", "crm", code=2)
    run("replay", "crm", "--from", "0", "--dead-letters", code=2)
    run("replay", "none", "--from", "0", code=1)
    (tmp_path / "s.yaml").write_text("a: [", encoding="utf-8")
    run("apply", "s.yaml", code=2)
    run("apply", "absent.yaml", code=2)
