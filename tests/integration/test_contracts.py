"""Contracts over HTTP: registered once, compared, and kept by every event that names them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.event import listen

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from candor.kernel.settings import ContractSettings
from candor.kernel.telemetry_store import TelemetryStore
from collector.contracts.contract import SchemaVer
from collector.contracts.register import ContractRegister
from collector.contracts.schemas import ContractBody
from collector.contracts.store import register
from collector.event import Batch, Event
from tests.support.asgi import Application, application_on
from tests.support.events import native_event
from tests.support.stores import NOON, FixedClock, services_on

EVENTS = "/api/v1/events"
NAME = "checkout.payment"
SCHEMA = {
    "type": "object",
    "properties": {
        "attributes": {
            "type": "object",
            "properties": {"plan": {"enum": ["pro", "free"]}},
            "required": ["plan"],
        }
    },
    "required": ["attributes"],
}
AGREED: dict[str, Any] = {
    "owner": "checkout team",
    "purposes": ["analytics"],
    "dedupe_key": "/id",
    "reentry": "after 30 days",
    "failure_path": "quarantine",
}


def put(application: Application, version: str = "1-0-0", **body: Any) -> httpx.Response:  # noqa: ANN401 - any body
    path = f"/api/v1/contracts/{NAME}/{version}"
    return application.request("PUT", path, json={"schema": SCHEMA} | body)


def event(number: int, version: str = "1-0-0", plan: object = "pro") -> dict[str, Any]:
    return native_event(number, schema=f"{NAME}/{version}", attributes={"plan": plan})


def test_a_version_is_registered_once_and_never_changes(application: Application) -> None:
    assert put(application, **AGREED).status_code == 201
    assert put(application, **AGREED).status_code == 200
    conflict = put(application, **(AGREED | {"owner": "somebody else"}))
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:candor:problem:conflict")
    shown = application.get(f"/api/v1/contracts/{NAME}/1-0-0").json()
    assert shown["schema"] == SCHEMA
    assert {key: shown[key] for key in AGREED} == AGREED
    assert shown["missing"] == []


def test_what_a_contract_leaves_open_is_listed(application: Application) -> None:
    put(application, owner="checkout team")
    listed = application.get("/api/v1/contracts").json()
    assert [(one["name"], one["version"]) for one in listed] == [(NAME, "1-0-0")]
    assert listed[0]["missing"] == ["purposes", "reentry", "dedupe_key", "failure_path"]


@pytest.mark.parametrize(
    ("version", "body", "path"),
    [
        ("1.0.0", {}, "version"),
        ("0-0-0", {}, "version"),
        ("1-0-0", {"schema": {"type": "strin"}}, "schema/type"),
        ("1-0-0", {"paths": {"attributes.plan": {"class": "enum"}}}, "paths"),
        ("1-0-0", {"paths": {"/attributes/plan": {"class": "x"}}}, "paths./attributes/plan.class"),
    ],
)
def test_what_is_no_contract_is_refused_with_its_place(
    application: Application, version: str, body: dict[str, Any], path: str
) -> None:
    answer = put(application, version, **body)
    assert (answer.status_code, answer.json()["path"]) == (422, path)
    assert application.get("/api/v1/contracts").json() == []


def test_only_an_admin_registers_and_a_sender_may_read(application: Application) -> None:
    put(application)
    key = {"authorization": f"Bearer {application.make_key('ingest')}"}
    path = f"/api/v1/contracts/{NAME}/1-0-0"
    assert application.get(path, headers=key).status_code == 200
    assert application.request("PUT", path, json={"schema": {}}, headers=key).status_code == 403
    assert application.get(f"/api/v1/contracts/{NAME}/9-0-0").status_code == 404


def test_a_comparison_names_the_path_and_registers_nothing(application: Application) -> None:
    put(application)
    required = {"page": {"type": "string"}} | SCHEMA["properties"]  # type: ignore[operator]  # a JSON Schema
    wanted = {"type": "object", "properties": required, "required": ["attributes", "page"]}
    path = f"/api/v1/contracts/{NAME}/compatibility"
    asked = {"version": "1-0-1", "schema": wanted, "mode": "full"}
    answer = application.post(path, json=asked).json()
    assert (answer["compatible"], answer["suggested_version"]) == (False, "2-0-0")
    assert [(one["path"], one["rule"]) for one in answer["breaks"]] == [("/page", "required")]
    assert application.post(path, json=asked | {"mode": "forward"}).json()["compatible"]
    assert application.post(path, json=asked | {"mode": "none"}).json()["compatible"]
    assert application.post(path, json=asked | {"mode": "sideways"}).status_code == 422
    assert len(application.get("/api/v1/contracts").json()) == 1


def test_an_event_that_breaks_its_contract_is_named_and_the_others_are_taken(
    application: Application,
) -> None:
    put(application)
    answer = application.post(EVENTS, json=[event(1), event(2, plan="gold"), native_event(3)])
    told = answer.json()
    assert (told["accepted"], told["quarantined"]) == (2, 1)
    rejection = told["rejected"][0]
    assert (rejection["index"], rejection["id"]) == (1, "e-2")
    assert (rejection["code"], rejection["path"]) == ("schema_violation", "attributes.plan")
    assert rejection["quarantine_id"]
    assert "gold" not in answer.text


def test_a_duplicate_is_still_a_duplicate_under_a_contract(application: Application) -> None:
    put(application)
    application.post(EVENTS, json=event(1))
    assert application.post(EVENTS, json=event(1)).json()["deduplicated"] == 1


@pytest.mark.parametrize(
    ("policy", "accepted", "quarantined", "codes"),
    [
        ("accept", 2, 0, []),
        ("quarantine", 1, 1, ["unknown_schema"]),
        ("reject", 1, 0, ["unknown_schema"]),
    ],
)
def test_the_policy_of_its_source_decides_on_an_unknown_schema(  # noqa: PLR0913, PLR0917 - fixtures and case
    tmp_path: Path,
    sqlite: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    policy: str,
    accepted: int,
    quarantined: int,
    codes: list[str],
) -> None:
    contracts = {"unknown_schema": "accept", "sources": {"test": policy}}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, contracts=contracts)
    with application_on(services) as application:
        told = application.post(EVENTS, json=[event(1), native_event(2)]).json()
    assert (told["accepted"], told["quarantined"]) == (accepted, quarantined)
    assert [one["code"] for one in told["rejected"]] == codes
    assert all((one["quarantine_id"] is not None) == (quarantined > 0) for one in told["rejected"])


def sent(schema: str, door: str = "native") -> Batch:
    stored = Event("e", door, "n", schema, NOON, NOON, channel="web", subject_key="k")
    return Batch(door, [stored], [0], items=[b'{"id": "e", "channel": "web"}'])


def add(state: Engine, version: str, schema: dict[str, Any]) -> None:
    contract = ContractBody.model_validate({"schema": schema}).contract(NAME, version)
    with session_of(state) as session:
        register(session, contract, NOON)


def test_a_version_that_another_process_registers_is_known_within_a_second(state: Engine) -> None:
    clock = FixedClock()
    settings = ContractSettings(unknown_schema="reject")
    here = ContractRegister(state, settings, clock)
    first, second = sent(f"{NAME}/1-0-0"), sent(f"{NAME}/1-0-1")
    assert here.refusals(first)[0].code == "unknown_schema"
    add(state, "1-0-0", {})
    add(state, "1-0-1", {})
    assert here.refusals(first)[0].code == "unknown_schema"
    assert here.refusals(second)[0].code == "unknown_schema"
    clock.pass_by(timedelta(seconds=1))
    assert here.refusals(second) == {}
    assert here.refusals(first) == {}


def test_a_sender_of_ever_new_names_costs_one_look_up_a_second(sqlite: Engine) -> None:
    clock = FixedClock()
    asked: list[str] = []
    listen(sqlite, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    here = ContractRegister(sqlite, ContractSettings(unknown_schema="reject"), clock)
    for number in range(3):
        for name in range(5):
            here.refusals(sent(f"n{number}{name}/1-0-0"))
        assert len(asked) == number + 1
        clock.pass_by(timedelta(seconds=1))


def test_a_store_that_cannot_be_read_is_asked_again_after_a_second(tmp_path: Path) -> None:
    clock = FixedClock()
    asked: list[str] = []
    empty = create_engine(f"sqlite:///{tmp_path}/empty.db")
    listen(empty, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    here = ContractRegister(empty, ContractSettings(unknown_schema="reject"), clock)
    for number in range(2):
        for name in range(3):
            with pytest.raises(UnavailableError):
                here.refusals(sent(f"n{name}/1-0-0"))
        assert len(asked) == number + 1
        clock.pass_by(timedelta(seconds=1))
    empty.dispose()


def test_events_of_other_doors_are_checked_as_they_would_be_stored(state: Engine) -> None:
    add(state, "1-0-0", {"properties": {"channel": {"const": "app"}}, "required": ["subject"]})
    here = ContractRegister(state, ContractSettings(), FixedClock())
    assert here.refusals(sent(f"{NAME}/1-0-0", "segment"))[0].path == "channel"
    assert here.refusals(sent(f"{NAME}/1-0-0", "native"))[0].path in {"subject", "channel"}


def test_an_event_must_name_a_schema_where_that_is_set(state: Engine) -> None:
    strict = ContractSettings(unknown_schema="quarantine", schema_required=True)
    assert ContractRegister(state, strict, FixedClock()).refusals(sent(""))[0].path == "schema"
    lenient = ContractSettings(unknown_schema="quarantine")
    assert ContractRegister(state, lenient, FixedClock()).refusals(sent("")) == {}


def test_versions_sort_by_their_numbers() -> None:
    assert SchemaVer.parse("1-0-10") > SchemaVer.parse("1-0-9")


def test_an_action_that_no_policy_knows_is_refused_with_those_that_there_are(
    application: Application,
) -> None:
    known = ("allow", "drop", "mask", "hash", "tokenise", "encrypt", "quarantine")
    for number, action in enumerate(known):
        paths = {"/attributes/plan": {"class": "personal:PERSON", "action": action}}
        assert put(application, f"1-0-{number}", paths=paths).status_code == 201
    wrong = {"/attributes/plan": {"class": "personal:PERSON", "action": "maks"}}
    answer = put(application, "2-0-0", paths=wrong)
    assert (answer.status_code, answer.json()["path"]) == (422, "paths./attributes/plan.action")
    assert all(action in answer.json()["detail"] for action in known)
