"""Scans, policies and findings under /api/v1, on both state stores."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from candor.kernel.database import session_of
from candor.kernel.field_ports import NoDataMap
from candor.kernel.metrics import new_metrics
from collector.contracts.marks import StoredMarks
from privacy.pii import store
from privacy.pii.finding import Finding, Located
from privacy.pii.ledger import ELSEWHERE, FindingLedger
from privacy.pii.policy import DEFAULT_ENTITIES, Policy
from tests.support import pii as loaded_pii
from tests.support.asgi import Application
from tests.support.stores import FixedClock

MAIL = "jane@example.org"
SCAN = "/api/v1/pii/scan"
POLICY = "/api/v1/pii/policies/default"
FINDINGS = "/api/v1/pii/findings"


@pytest.fixture(autouse=True)
def _loaded(request: pytest.FixtureRequest) -> None:
    if "application" in request.fixturenames:
        application: Application = request.getfixturevalue("application")
        application.pii.pool._loaded = loaded_pii.loaded()


def test_a_text_is_scanned_with_places_and_scores(application: Application) -> None:
    answer = application.post(SCAN, json={"text": f"write to {MAIL} now"})
    assert answer.json() == {
        "findings": [
            {
                "path": "",
                "entity": "EMAIL_ADDRESS",
                "start": 9,
                "end": 25,
                "score": 1.0,
                "recognizer": "EmailRecognizer",
                "action": "mask",
            }
        ],
        "payload": "write to [EMAIL_ADDRESS] now",
    }


def test_a_payload_is_scanned_leaf_by_leaf(application: Application) -> None:
    payload = {"a/b": [{"phone": "4258828080"}], "plan": "pro", "none": None}
    answer = application.post(SCAN, json={"payload": payload}).json()
    assert [(one["path"], one["entity"]) for one in answer["findings"]] == [
        ("/a~1b/0/phone", "PHONE_NUMBER")
    ]
    assert answer["payload"] == {
        "a/b": [{"phone": "[PHONE_NUMBER]"}],
        "plan": "pro",
        "none": None,
    }
    assert application.post(SCAN, json={"payload": None}).json()["payload"] is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"entities": ["AU_TFN"], "threshold": 0}, {"AU_TFN"}),
        ({"entities": ["AU_TFN"]}, {"AU_TFN"}),
        ({"entities": ["US_BANK_NUMBER"], "threshold": 0}, {"US_BANK_NUMBER"}),
        ({"entities": ["US_BANK_NUMBER"]}, set()),
        ({"entities": ["UK_NHS", "DATE_TIME"], "threshold": 0.9}, set()),
        ({"entities": ["PERSON"]}, {"PERSON"}),
    ],
)
def test_entities_switch_on_exactly_these(
    application: Application, asked: dict[str, Any], found: set[str]
) -> None:
    sent = {"text": "tfn 876 543 210 account 87654321 of Jane Miller"} | asked
    answer = application.post(SCAN, json=sent).json()
    assert {one["entity"] for one in answer["findings"]} == found


def test_threshold_zero_returns_what_presidio_returns(application: Application) -> None:
    text_ = "ssn 078-05-1120, born 1980-01-02, call 425 882 8080 or 10.1.2.3 at www.example.com"
    entities = ["US_SSN", "DATE_TIME", "PHONE_NUMBER", "IP_ADDRESS", "URL", "US_BANK_NUMBER"]
    answer = application.post(
        SCAN, json={"text": text_, "entities": entities, "threshold": 0}
    ).json()
    stock = loaded_pii.detector(entities, 0.0).stock(text_)
    told = [(o["entity"], o["start"], o["end"], o["score"]) for o in answer["findings"]]
    assert told == [one[:4] for one in stock]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"text": "a", "payload": 1}, 422),
        ({"text": "a", "entities": ["NO_SUCH"]}, 422),
        ({"text": "a", "entities": []}, 422),
        ({"text": "a", "threshold": 2}, 422),
        ({"text": "a", "policy": "absent"}, 404),
        ({"text": "a", "language": "de"}, 200),
    ],
)
def test_questions_that_mean_nothing_are_refused(
    application: Application, body: dict[str, Any], status: int
) -> None:
    assert application.post(SCAN, json=body).status_code == status


def test_a_text_with_half_a_letter_is_scanned_and_repeated(application: Application) -> None:
    headers = {"content-type": "application/json"}
    sent = json.dumps({"payload": [f"\ud800 to {MAIL}"]})
    answer = application.post(SCAN, content=sent, headers=headers)
    assert answer.json()["payload"] == ["\ud800 to [EMAIL_ADDRESS]"]


def test_a_number_that_json_does_not_have_is_refused(application: Application) -> None:
    headers = {"content-type": "application/json"}
    answer = application.post(SCAN, content=b'{"payload": [NaN]}', headers=headers)
    assert answer.status_code == 422


def test_each_thing_needs_its_scope(application: Application) -> None:
    reader = {"authorization": f"Bearer {application.make_key('pii:read')}"}
    other = {"authorization": f"Bearer {application.make_key('slo:read')}"}
    assert application.post(SCAN, json={"text": "a"}, headers=reader).status_code == 200
    assert application.post(SCAN, json={"text": "a"}, headers=other).status_code == 403
    assert application.get(POLICY, headers=other).status_code == 403
    assert application.get(FINDINGS, headers=other).status_code == 403
    assert application.request("PUT", POLICY, json={}, headers=reader).status_code == 403


def test_the_default_policy_is_there_and_versions_are_counted(application: Application) -> None:
    shown = application.get(POLICY).json()
    assert (shown["version"], shown["entities"]) == (0, list(DEFAULT_ENTITIES))
    assert (shown["threshold"], shown["action"], shown["rules"]) == (0.5, "mask", [])
    first = {"threshold": 0.6, "rules": [{"action": "drop", "categories": ["network"]}]}
    done = application.request("PUT", POLICY, json=first)
    assert (done.status_code, done.json()["version"]) == (201, 1)
    assert application.request("PUT", POLICY, json=first).status_code == 200
    dry = application.request("PUT", POLICY, json={}, params={"dry_run": 1})
    assert (dry.status_code, dry.json()["version"]) == (200, 0)
    assert application.get(POLICY).json()["version"] == 1
    assert application.request("PUT", POLICY, json={}).json()["version"] == 2
    assert application.get("/api/v1/pii/policies/absent").status_code == 404
    other = application.request("PUT", "/api/v1/pii/policies/other", json={"names": "off"})
    assert other.json()["version"] == 1
    scanned = {"payload": {"first_name": "Jane"}, "policy": "other"}
    assert application.post(SCAN, json=scanned).json()["findings"] == []


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        ({"entities": ["NO_SUCH"]}, "entities"),
        ({"rules": [{"action": "mask", "entities": ["NO_SUCH"]}]}, "rules.0.entities"),
        ({"rules": [{"action": "mask", "categories": ["odd"]}]}, "rules.0.categories"),
    ],
)
def test_a_policy_that_cannot_be_carried_out_is_refused(
    application: Application, policy: dict[str, Any], path: str
) -> None:
    answer = application.request("PUT", POLICY, json=policy)
    assert (answer.status_code, answer.json()["path"]) == (422, path)
    assert application.get(POLICY).json()["version"] == 0


def test_a_policy_bears_a_plain_name(application: Application) -> None:
    answer = application.request("PUT", "/api/v1/pii/policies/a%20b", json={})
    assert answer.status_code == 422


def test_who_put_a_policy_is_in_the_audit_log(application: Application) -> None:
    application.request("PUT", POLICY, json={"threshold": 0.7})
    size = application.get("/api/v1/audit/head").json()["tree_size"]
    leaf = application.get(f"/api/v1/audit/leaves/{size - 1}").json()
    assert "pii_policy" in json.dumps(leaf)


def test_a_policy_is_tried_with_a_diff(application: Application) -> None:
    body = {
        "policy": {"rules": [{"action": "quarantine", "entities": ["EMAIL_ADDRESS"]}]},
        "payloads": [{"mail": MAIL, "first_name": "J"}, {"a": 1}],
    }
    answer = application.post(f"{POLICY}/test", json=body).json()["results"]
    assert [one["blocked"] for one in answer] == [True, False]
    assert [one["diff"] for one in answer] == [[], []]
    body["policy"] = {"names": "off", "keep_format": True}
    first, second = application.post(f"{POLICY}/test", json=body).json()["results"]
    assert {(one["path"], one["value"]) for one in first["diff"]} == {
        ("/mail", "xxxx@xxxxxxx.xxx"),
        ("/first_name", "J"),
    }
    assert second["diff"] == []
    alone = application.post(f"{POLICY}/test", json={"payloads": [{"mail": MAIL}]}).json()
    assert alone["results"][0]["payload"] == {"mail": "[EMAIL_ADDRESS]"}


def test_a_trial_says_what_a_vault_would_keep_and_keeps_nothing(application: Application) -> None:
    rules = [
        {"action": "tokenise", "entities": ["EMAIL_ADDRESS"]},
        {"action": "encrypt", "entities": ["CREDIT_CARD"]},
    ]
    payload = {"mail": MAIL, "card": "4111111111111111"}
    shown = {"mail": "[EMAIL_ADDRESS:tokenise]", "card": "[CREDIT_CARD:encrypt]"}
    body = {"policy": {"rules": rules}, "payloads": [payload]}
    (tried,) = application.post(f"{POLICY}/test", json=body).json()["results"]
    assert tried["payload"] == shown
    assert len(tried["diff"]) == 2
    assert application.request("PUT", POLICY, json={"rules": rules}).status_code == 201
    assert application.post(SCAN, json={"payload": payload}).json()["payload"] == shown
    with application.services.engine.connect() as state:
        for table in ("vault_tokens", "vault_values", "vault_keys"):
            assert state.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0  # noqa: S608 - a name of ours


def note(application: Application, path: str, entity: str = "EMAIL_ADDRESS") -> None:
    finding = Finding(entity, 0, len(MAIL), 1.0, "EmailRecognizer")
    located = Located(("attributes", path), finding, "mask")
    application.pii.ledger.note("shop", located, MAIL, Policy())


def test_findings_are_counted_once_for_each_place_and_kind(
    application: Application, clock: FixedClock
) -> None:
    for _ in range(3):
        note(application, "mail")
    note(application, "other")
    application.pii.ledger.flush()
    clock.pass_by(timedelta(hours=1))
    note(application, "mail")
    found = application.get(FINDINGS).json()
    assert [(one["path"], one["count"]) for one in found] == [
        ("attributes.mail", 4),
        ("attributes.other", 1),
    ]
    mail = found[0]
    assert (mail["sample"], mail["source"], mail["state"]) == ("xxxx@xxxxxxx.xxx", "shop", "open")
    assert mail["first_seen"] < mail["last_seen"]
    assert MAIL not in json.dumps(found)
    exposed = application.services.metrics.exposition().decode()
    assert "candor_pii_findings_total" in exposed
    assert application.get(FINDINGS, params={"source": "desk"}).json() == []
    assert application.get(FINDINGS, params={"state": "accepted"}).json() == []
    assert application.get(FINDINGS, params={"limit": 1}).json() == [mail]


def test_a_false_positive_becomes_a_rule(application: Application) -> None:
    note(application, "mail")
    [found] = application.get(FINDINGS).json()
    path = f"{FINDINGS}/{found['id']}/triage"
    body = {"decision": "false_positive", "reason": "a mailing list of ours"}
    told = application.post(path, json=body).json()
    assert (told["state"], told["reason"]) == ("false_positive", body["reason"])
    [rule] = application.get(POLICY).json()["rules"]
    assert (rule["action"], rule["entities"], rule["paths"], rule["sources"]) == (
        "allow",
        ["EMAIL_ADDRESS"],
        ["attributes.mail"],
        ["shop"],
    )
    absent = f"{FINDINGS}/{'0' * 32}/triage"
    assert application.post(absent, json=body).status_code == 404


class Map(NoDataMap):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def add_field(self, source: str, path: str, entity: str, at: Any) -> None:  # noqa: ANN401 - unused
        del at
        self.told.append((source, path, entity))


def test_an_accepted_finding_is_put_on_the_data_map(application: Application) -> None:
    drawn = Map()
    object.__setattr__(application.pii, "data_map", drawn)
    note(application, "mail")
    [found] = application.get(FINDINGS).json()
    body = {"decision": "accept", "reason": "the address of the customer"}
    application.post(f"{FINDINGS}/{found['id']}/triage", json=body)
    assert drawn.told == [("shop", "attributes.mail", "EMAIL_ADDRESS")]
    assert application.get(FINDINGS, params={"state": "accepted"}).json()[0]["id"] == found["id"]


def ledger_on(engine: Engine, clock: FixedClock) -> FindingLedger:
    return FindingLedger(engine, clock, new_metrics().pii)


def see(ledger: FindingLedger, path: str = "a") -> None:
    finding = Finding("US_SSN", 0, 4, 0.9, "x")
    ledger.note("shop", Located((path,), finding, "mask"), "1234", Policy())


def test_two_processes_count_into_one_entry(state: Engine, clock: FixedClock) -> None:
    one, two = ledger_on(state, clock), ledger_on(state, clock)
    for ledger in (one, two, two):
        see(ledger)
    with two.running():
        one.flush()
    with session_of(state) as session:
        [found] = store.find_findings(session, None, None, 10)
    assert found["count"] == 3


def test_what_cannot_be_written_waits(sqlite: Engine, clock: FixedClock) -> None:
    ledger = ledger_on(sqlite, clock)
    see(ledger)
    with sqlite.begin() as connection:
        connection.execute(text("ALTER TABLE pii_findings RENAME TO gone"))
    see(ledger, "b")
    ledger.flush()
    see(ledger)
    with sqlite.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO pii_findings"))
    ledger.flush()
    with session_of(sqlite) as session:
        found = store.find_findings(session, None, None, 10)
    assert {one["path"]: one["count"] for one in found} == {"a": 2, "b": 1}


def test_whoever_flushes_waits_for_what_another_thread_is_writing(
    sqlite: Engine, clock: FixedClock
) -> None:
    ledger = ledger_on(sqlite, clock)
    see(ledger)
    reached, released = threading.Event(), threading.Event()

    def hold(*_: Any) -> None:  # noqa: ANN401 - what SQLAlchemy tells
        if not reached.is_set():
            reached.set()
            released.wait(60)

    event.listen(sqlite, "before_cursor_execute", hold)
    writer = threading.Thread(target=ledger.flush)
    writer.start()
    assert reached.wait(60)
    reader = threading.Thread(target=ledger.flush)
    reader.start()
    reader.join(0.2)
    assert reader.is_alive()
    released.set()
    reader.join()
    with session_of(sqlite) as session:
        assert len(store.find_findings(session, None, None, 10)) == 1
    writer.join()


def test_an_entry_that_another_process_made_in_between_is_counted_into(
    state: Engine, clock: FixedClock
) -> None:
    ledger = ledger_on(state, clock)
    see(ledger)
    [seen] = ledger._waiting.values()
    with session_of(state) as session:
        assert store._is_added(session, seen)
        assert not store._is_added(session, seen)
        [found] = store.find_findings(session, None, None, 10)
    assert found["count"] == 2


def test_places_without_end_become_one(sqlite: Engine, clock: FixedClock) -> None:
    ledger = FindingLedger(sqlite, clock, new_metrics().pii, most_places=3)
    for n in range(10):
        see(ledger, f"p{n}")
    assert {one.path for one in ledger._waiting.values()} == {"p0", "p1", "p2", ELSEWHERE}


def test_marks_are_read_once_and_unknown_names_not_at_every_event(
    application: Application, clock: FixedClock
) -> None:
    marks = StoredMarks(application.services.engine, clock)
    assert marks.marks("") == marks.marks("no reference") == marks.marks("a.b/1-0-0") == {}
    body = {"schema": {"type": "object"}, "paths": {"/attributes/x": {"class": "skip"}}}
    application.request("PUT", "/api/v1/contracts/a.b/1-0-0", json=body)
    assert marks.marks("a.b/1-0-0") == {}
    clock.pass_by(timedelta(seconds=2))
    found = marks.marks("a.b/1-0-0")
    assert found == {"/attributes/x": {"class": "skip"}}
    assert marks.marks("a.b/1-0-0") is found
