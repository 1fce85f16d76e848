"""Consent through the API: what is recorded, what is decided, and what is told of it."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest

from candor.kernel.database import session_of
from candor.kernel.ports import Identifier, Provenance
from privacy.consent import store
from privacy.consent.jobs import ANSWERS_KEPT_FOR, forget_answers
from privacy.consent.ledger import rebuilt_standings
from tests.support.asgi import Application
from tests.support.consent import (
    ANNA,
    CHECK,
    EVENTS,
    act,
    check,
    prepare,
    put_notice,
    put_purpose,
    record,
)
from tests.support.stores import NOON, FixedClock


def test_a_grant_allows_its_channel_and_a_withdrawal_denies_the_next_check(
    application: Application,
) -> None:
    prepare(application)
    assert check(application)["reason"] == "never_asked"
    granted = record(application, "grant")
    assert granted.status_code == 201
    answer = check(application, jurisdiction="AU", recipient="esp-1", stage="send")
    assert answer == {
        "decision_id": answer["decision_id"],
        "allow": True,
        "reason": "granted",
        "rule": "purpose.opt_in",
        "stage": "send",
        "evidence": {
            "consent_event": granted.json()["id"],
            "notice": "newsletter/1",
            "at": "2026-11-20T08:14:00Z",
            "source": "preference_centre",
        },
        "valid_until": "2027-11-20T08:14:00Z",
        "obligations": [],
        "checked_at": "2026-11-22T12:00:00Z",
    }
    assert check(application, channel="sms")["reason"] == "never_asked"
    record(application, "withdraw")
    denied = check(application)
    assert (denied["allow"], denied["reason"], denied["valid_until"]) == (False, "withdrawn", None)


def test_a_decision_is_in_the_log_and_made_again_from_the_ledger(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    first = check(application)
    record(application, "withdraw")
    told = application.get(f"/api/v1/decisions/{first['decision_id']}").json()
    assert told["allow"] is told["agrees"] is True
    assert told["replay"]["reason"] == told["reason"] == "granted"
    assert "anna" not in json.dumps(told)
    unknown = "019a0000-0000-7000-8000-000000000000"
    assert application.get(f"/api/v1/decisions/{unknown}").status_code == 404
    assert application.get("/api/v1/decisions/none").status_code == 404


def test_as_of_answers_what_was_answered_then(application: Application) -> None:
    prepare(application)
    clock: Any = application.services.clock
    moments = []
    for action in ("grant", "withdraw"):
        moments.append((clock(), check(application)["reason"]))
        clock.pass_by(timedelta(minutes=1))
        record(application, action, at=None if action == "withdraw" else "2026-11-20T08:14:00Z")
        clock.pass_by(timedelta(minutes=1))
    moments.append((clock(), check(application)["reason"]))
    clock.pass_by(timedelta(days=1))
    assert [reason for _, reason in moments] == ["never_asked", "granted", "withdrawn"]
    for moment, reason in moments:
        again = check(application, as_of=moment.isoformat())
        assert (again["reason"], again["as_of"]) == (reason, moment.isoformat()[:-6] + "Z")
    body = {"subject": ANNA, "purpose": "marketing", "as_of": "2030-01-01T00:00:00Z"}
    assert application.post(CHECK, json=body).status_code == 422


def test_a_change_since_entry_is_said_at_send(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    application.services.clock.pass_by(timedelta(seconds=1))  # type: ignore[attr-defined]  # a FixedClock
    entry = check(application, stage="entry")["decision_id"]
    context = {"entry_decision": entry, "journey": "welcome"}
    unchanged = check(application, context=context)
    assert unchanged["entry"] == {
        "decision_id": entry,
        "allow": True,
        "reason": "granted",
        "changed": False,
    }
    application.services.clock.pass_by(timedelta(seconds=1))  # type: ignore[attr-defined]  # as above
    record(application, "withdraw")
    changed = check(application, context=context)
    assert (changed["allow"], changed["entry"]["allow"]) == (False, True)
    assert changed["entry"]["changed"] is True
    body = {"subject": ANNA, "purpose": "marketing", "context": {"entry_decision": "x"}}
    assert application.post(CHECK, json=body).status_code == 422


def test_every_linked_identifier_is_considered(application: Application) -> None:
    prepare(application)
    phone = {"type": "phone", "value": "+61 400 000 000"}
    record(application, "grant")
    keys = [
        Identifier(one["type"], application.services.secrets.subject_key(one["type"], one["value"]))
        for one in (ANNA, phone)
    ]
    application.services.subjects.link(keys, Provenance("desk", "api", "link", NOON, NOON))
    assert check(application, subject=phone)["reason"] == "granted"
    record(application, "withdraw", subject=phone, channel=None)
    assert check(application)["reason"] == "withdrawn"
    told = application.get(f"/api/v1/decisions/{check(application)['decision_id']}").json()
    assert told["identifiers"] == [keys[1].subject_key]
    assert told["agrees"] is True
    later = "2026-11-22T11:59:00Z"
    record(application, "grant", at=later)
    assert check(application)["reason"] == "withdrawn"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"notice": None}, "notice"),
        ({"notice": "newsletter/9"}, "notice"),
        ({"notice": "other/1"}, "notice"),
        ({"purpose": None}, "purpose"),
        ({"purpose": "*"}, "purpose"),
        ({"purpose": "unheard-of"}, "purpose"),
        ({"at": None}, "at"),
        ({"channel": "fax"}, "channel"),
        ({"source": "gpc"}, "source"),
        ({"method": "pre_ticked"}, "method"),
        ({"source": "import"}, "evidence"),
        ({"locale": "fr"}, "locale"),
        ({"ip_prefix": "192.0.2.7"}, "ip_prefix"),
        ({"ip_prefix": "somewhere"}, "ip_prefix"),
        ({"user_agent_hash": "Mozilla"}, "user_agent_hash"),
    ],
)
def test_a_grant_that_lacks_an_element_is_refused_and_the_element_is_named(
    application: Application, fields: dict[str, Any], path: str
) -> None:
    prepare(application)
    put_purpose(application, "other")
    put_notice(application, "other/1", purposes=["other"])
    refused = record(application, "grant", **fields)
    assert (refused.status_code, refused.json()["path"]) == (422, path)
    assert check(application)["reason"] == "never_asked"


def test_the_same_key_with_the_same_act_appends_once_and_with_another_conflicts(
    application: Application,
) -> None:
    prepare(application)
    key = {"idempotency-key": "form-1"}
    first = record(application, "withdraw", headers=key)
    application.services.clock.pass_by(timedelta(minutes=1))  # type: ignore[attr-defined]  # a FixedClock
    again = record(application, "withdraw", headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert record(application, "object", headers=key).status_code == 409
    history = application.get("/api/v1/subjects/history", params=ANNA).json()
    assert [one["action"] for one in history] == ["withdraw"]


def test_an_answer_is_given_again_for_a_week(application: Application) -> None:
    prepare(application)
    key, clock = {"idempotency-key": "form-2"}, application.services.clock
    assert isinstance(clock, FixedClock)
    first = record(application, "grant", headers=key)
    clock.pass_by(ANSWERS_KEPT_FOR)
    forget_answers(application.services)
    assert record(application, "grant", headers=key).json() == first.json()
    clock.pass_by(timedelta(seconds=1))
    forget_answers(application.services)
    again = record(application, "grant", headers=key)
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


def test_acts_count_by_their_time_and_at_the_same_instant_the_withdrawal_wins(
    application: Application,
) -> None:
    prepare(application)
    at = "2026-11-21T00:00:00Z"
    record(application, "withdraw", at=at)
    record(application, "grant", at="2026-11-20T23:59:59Z")
    assert check(application)["reason"] == "withdrawn"
    record(application, "grant", at=at)
    assert check(application)["reason"] == "withdrawn"
    record(application, "grant", at="2026-11-21T00:00:00.000001Z")
    assert check(application)["reason"] == "granted"
    history = application.get("/api/v1/subjects/history", params=ANNA).json()
    assert [one["action"] for one in history] == ["grant", "withdraw", "grant", "grant"]


def test_a_wider_purpose_makes_earlier_consent_stale_for_the_wider_part_alone(
    application: Application,
) -> None:
    prepare(application)
    record(application, "grant", channel=None)
    wider = put_purpose(
        application,
        channels=["email", "sms", "push"],
        recipients=["esp-1", "esp-2"],
        data_categories=["contact", "location"],
        validity="730d",
        name="News and offers",
    ).json()
    assert (wider["name"], wider["change"]) == ("News and offers", "changed")
    assert wider["stale_for"] == [
        "channel push",
        "recipient esp-2",
        "data category location",
        "the longer time",
    ]
    kept = check(application, recipient="esp-1")
    assert (kept["reason"], kept["obligations"]) == ("granted", ["exclude:location"])
    assert kept["valid_until"] == "2027-11-20T08:14:00Z"
    assert check(application, channel="push")["reason"] == "stale_notice"
    assert check(application, recipient="esp-2")["reason"] == "stale_notice"
    assert check(application, recipient="esp-3")["reason"] == "recipient_not_covered"
    assert put_notice(application, "newsletter/2", recipients=["esp-2"]).status_code == 201
    record(application, "grant", channel="push", notice="newsletter/2", at="2026-11-22T11:00:00Z")
    assert check(application, channel="push", recipient="esp-2")["reason"] == "granted"


def test_a_notice_changes_until_it_is_served_and_never_after(application: Application) -> None:
    prepare(application)
    other: dict[str, Any] = {"texts": {"en": "Another text"}}
    assert put_notice(application, **other).json()["change"] == "changed"
    assert put_notice(application, **other).json()["change"] == "unchanged"
    shown = application.get("/api/v1/notices/newsletter/1").json()
    assert shown["texts"] == {"en": "Another text"}
    assert put_notice(application, **other).status_code == 200
    assert put_notice(application).status_code == 409
    put_notice(application, "newsletter/2")
    record(application, "grant", notice="newsletter/2")
    assert put_notice(application, "newsletter/2", **other).status_code == 409
    assert application.get("/api/v1/notices/newsletter/9").status_code == 404
    assert put_notice(application, "news/1", purposes=["none"]).status_code == 422


def test_an_import_reports_each_row_and_the_same_act_counts_once(application: Application) -> None:
    prepare(application)
    rows = [
        act("import", source="import", at="2026-01-01T00:00:00Z", notice="newsletter/1",
            evidence="esp-export-7"),
        act("import", source="import", at="2026-01-01T00:00:00Z", notice="newsletter/1"),
        act("withdraw", subject={"type": "email", "value": "bert@example.org"},
            at="2026-01-02T00:00:00Z"),
        {"subject": "nobody"},
    ]  # fmt: skip
    body = "\n".join(json.dumps(row) for row in rows) + "\nno json\n"
    trial = application.post(f"{EVENTS}/import?dry_run=1", content=body).json()
    assert check(application)["reason"] == "never_asked"
    done = application.post(f"{EVENTS}/import", content=body).json()
    assert trial == done | {"dry_run": True}
    assert (done["recorded"], done["repeated"]) == (2, 0)
    assert [(one["row"], one["path"]) for one in done["refused"]] == [
        (2, "evidence"),
        (4, "subject"),
        (5, None),
    ]
    again = application.post(f"{EVENTS}/import", content=body).json()
    assert (again["recorded"], again["repeated"]) == (0, 2)
    assert check(application)["reason"] == "granted"


def test_a_receipt_is_an_entry_of_the_audit_log_without_an_identifier(
    application: Application,
) -> None:
    prepare(application)
    receipt = record(application, "grant", evidence="call with Anna").json()["receipt"]
    place = receipt["audit_log"]
    kept = application.get(f"/api/v1/audit/leaves/{place['index']}").json()
    assert kept["content"] == place["content"]
    assert json.loads(place["content"])["id"] == receipt["id"]
    proof = application.get("/api/v1/audit/inclusion", params={"index": place["index"]})
    assert proof.status_code == 200
    assert "anna" not in json.dumps(receipt).lower()
    assert hashlib.sha256(b"\0" + place["content"].encode()).hexdigest() == place["leaf_hash"]


def test_what_stands_follows_from_the_ledger_alone(application: Application) -> None:
    prepare(application)
    for number, action in enumerate(("grant", "withdraw", "grant", "object", "expire", "refuse")):
        at = f"2026-11-2{number % 3}T00:00:0{number}Z"
        assert record(application, action, at=at).status_code == 201
    with session_of(application.services.engine) as session:
        assert rebuilt_standings(session) == store.all_standings(session)


def test_current_consents_are_told_by_scope_and_as_of_any_moment(application: Application) -> None:
    prepare(application)
    record(application, "grant", evidence="form 12")
    application.services.clock.pass_by(timedelta(minutes=2))  # type: ignore[attr-defined]  # a FixedClock
    record(application, "object", channel="sms")
    record(application, "withdraw", purpose="*", channel=None)
    now = application.get("/api/v1/subjects/consents", params=ANNA).json()
    assert [(one["purpose"], one["channel"], one["state"]) for one in now] == [
        ("*", None, "withdrawn"),
        ("marketing", "email", "granted"),
        ("marketing", "sms", "objected"),
    ]
    assert (now[1]["evidence"], now[1]["notice"]) == ("form 12", "newsletter/1")
    params = ANNA | {"as_of": NOON.isoformat()}
    before = application.get("/api/v1/subjects/consents", params=params).json()
    assert [one["state"] for one in before] == ["granted"]
    nobody = {"type": "email", "value": "nobody@example.org"}
    assert application.get("/api/v1/subjects/consents", params=nobody).json() == []


def test_an_unknown_person_and_an_unknown_purpose_are_answered_and_not_missing(
    application: Application,
) -> None:
    prepare(application)
    assert check(application, subject=None)["reason"] == "subject_unresolved"
    assert check(application, subject={"type": "email", "value": " "})["allow"] is False
    assert check(application, purpose="unheard-of")["reason"] == "purpose_unknown"
    put_purpose(application, retired_at="2026-11-22T12:00:00Z")
    assert check(application)["reason"] == "purpose_retired"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"purpose": "unheard-of"}, "No purpose bears the key unheard-of. Apply it with: "),
        ({"recipient": "esp-9"}, "The purpose marketing does not name this recipient. "),
        ({"jurisdiction": "FR"}, "The purpose marketing has no legal basis in this jurisdiction."),
        ({"purpose": "old"}, "The purpose old is retired: "),
    ],
)
def test_a_gap_is_named_with_what_to_do_wherever_it_is_told(
    application: Application, asked: dict[str, str], sentence: str
) -> None:
    put_purpose(application, legal_basis={"AU": "consent"})
    put_purpose(application, "old", retired_at="2026-11-22T12:00:00Z")
    told = check(application, **({"jurisdiction": "AU"} | asked))
    params = {"purpose": "marketing", "jurisdiction": "AU"} | asked
    filtered = application.post("/api/v1/consent/filter", params=params, json=ANNA).json()
    explained = application.get(f"/api/v1/decisions/{told['decision_id']}").json()
    item = {"subject": ANNA, "purpose": "marketing", "jurisdiction": "AU", "correlation_id": "a"}
    batch = application.post(f"{CHECK}/batch", json=[item | asked]).json()["a"]
    for one in (told, filtered, explained, batch):
        assert one["detail"].startswith(sentence)
        assert one["detail"].endswith("with: candor consent apply FILE")
    fine = check(application, jurisdiction="AU")
    assert (fine["reason"], "detail" in fine) == ("never_asked", False)
    assert application.get(f"/api/v1/decisions/{fine['decision_id']}").json()["detail"] is None


def test_a_live_gpc_signal_counts_where_the_purpose_honours_it(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    assert check(application, gpc=True)["reason"] == "gpc"
    assert check(application, headers={"sec-gpc": "1"})["reason"] == "gpc"
    assert check(application, headers={"sec-gpc": "true"})["reason"] == "granted"
    put_purpose(application, honours_gpc=False)
    assert check(application, gpc=True)["reason"] == "granted"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("{", 400),
        ("[]", 422),
        ('{"purpose": "marketing"}', 422),
        ('{"subject": null, "purpose": "jane@example.org"}', 422),
        ('{"subject": null, "purpose": "m", "stage": "later"}', 422),
        ('{"subject": null, "purpose": "m", "as_of": "2026-11-22T12:00:00"}', 422),
        ('{"subject": null, "purpose": "m", "jane@example.org": 1}', 422),
    ],
)
def test_a_malformed_question_is_answered_without_what_was_sent(
    application: Application, content: str, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = application.post(CHECK, content=content, headers=headers)
    assert answer.status_code == status
    assert "jane" not in answer.text
    assert "later" not in answer.json()["detail"]


def test_a_check_needs_its_scope(application: Application) -> None:
    body = {"subject": ANNA, "purpose": "marketing"}
    other = {"authorization": f"Bearer {application.make_key('consent:read')}"}
    assert application.post(CHECK, json=body, headers=other).status_code == 403
    assert application.post(CHECK, json=body, headers={"authorization": ""}).status_code == 401
    own = {"authorization": f"Bearer {application.make_key('consent:check')}"}
    assert application.post(CHECK, json=body, headers=own).status_code == 200
    text = application.post(CHECK, content="{}", headers={"content-type": "text/plain"})
    assert text.status_code == 415
