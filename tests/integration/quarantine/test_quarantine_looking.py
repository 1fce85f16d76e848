"""What is kept can be found by its reason and looked at, by an admin alone."""

from datetime import timedelta

from tests.support.asgi import Application
from tests.support.quarantine import EVENTS, NAME, PATCH, QUARANTINE, REPLAY, event, refuse, replay
from tests.support.stores import FixedClock


def test_what_is_refused_can_be_found_by_its_reason_and_looked_at(
    application: Application, clock: FixedClock
) -> None:
    violating = event(1, clock.now)
    ids = refuse(
        application,
        violating,
        event(2, clock.now, attributes={}, channel="sms"),
        {"id": "e-3", "name": NAME},
        event(4, clock.now, time=(clock.now + timedelta(days=9)).isoformat()),
    )
    codes = ["schema_violation", "consent_denied", "malformed", "clock_skew"]
    counts = application.get(f"{QUARANTINE}/counts").json()
    assert counts == dict.fromkeys(codes, 1)
    listed = application.get(QUARANTINE, params={"code": "schema_violation"}).json()
    assert [one["id"] for one in listed] == [ids[0]]
    assert listed[0]["path"] == "attributes.plan"
    assert (listed[0]["source"], listed[0]["contract"]) == ("test", f"{NAME}/1-0-0")
    assert len(listed[0]["subject_key"]) == 64
    shown = application.get(f"{QUARANTINE}/{listed[0]['id']}").json()
    assert (shown["payload"], shown["replayed_at"]) == (violating, None)


def test_a_listing_begins_where_it_is_asked_to(application: Application, clock: FixedClock) -> None:
    refuse(application, event(1, clock.now))
    later = (clock.now + timedelta(seconds=1)).isoformat()
    assert application.get(QUARANTINE, params={"since": later}).json() == []
    assert len(application.get(QUARANTINE, params={"since": clock.now.isoformat()}).json()) == 1
    assert application.get(QUARANTINE, params={"since": "2026-11-22T09:00:00"}).status_code == 422


def test_lines_that_are_no_json_are_kept_and_shown_as_text(application: Application) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = application.post(EVENTS, content=b"nonsense\n", headers=headers).json()
    [kept] = [one["quarantine_id"] for one in answer["rejected"]]
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    assert (shown["payload"], shown["payload_text"]) == (None, "nonsense")
    assert replay(application, kept)["rejected"][0]["code"] == "malformed"
    assert replay(application, kept, patch=PATCH)["rejected"][0]["code"] == "malformed"


def test_a_code_that_there_is_not_is_refused_with_the_list_of_codes(
    application: Application,
) -> None:
    answer = application.get(QUARANTINE, params={"code": "nonsense"})
    assert (answer.status_code, answer.json()["path"]) == (422, "code")
    assert "malformed, unknown_schema, " in answer.json()["detail"]
    assert application.get(QUARANTINE, params={"code": "suppressed"}).json() == []


def test_only_an_admin_sees_the_quarantine(application: Application) -> None:
    key = {"authorization": f"Bearer {application.make_key('ingest', 'pii:reveal')}"}
    for path in (QUARANTINE, f"{QUARANTINE}/counts", f"{QUARANTINE}/x"):
        assert application.get(path, headers=key).status_code == 403
    assert application.post(REPLAY, json={"ids": ["x"]}, headers=key).status_code == 403
