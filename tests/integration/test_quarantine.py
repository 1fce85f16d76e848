"""What is refused is kept, sealed, can be looked at, mended and replayed, once."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, text
from sqlalchemy import event as sqlalchemy_event

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.ports import Admission, EntryTerms, GatedEvent, Refusal
from candor.kernel.telemetry_store import TelemetryStore
from collector.jobs import expire_quarantine
from collector.quarantine.keys import KeyCabinet
from collector.quarantine.mending import Mending
from collector.quarantine.replay import Replay
from collector.quarantine.store import (
    Entry,
    list_entries,
    mark_replayed,
    replayed_at,
    unmark_replayed,
)
from collector.quarantine.tables import DataKeyRow, ReplayRow
from tests.support.asgi import Application, application_on
from tests.support.stores import NOON, FixedClock, services_on

EVENTS, QUARANTINE, REPLAY = "/api/v1/events", "/api/v1/quarantine", "/api/v1/quarantine/replay"
NAME = "checkout.payment"
SCHEMA = {"properties": {"attributes": {"properties": {"plan": {"enum": ["pro", "free"]}}}}}


class Gate:
    """Refuses one channel, until it is opened."""

    def __init__(self) -> None:
        self.closed = "sms"

    def admit(self, events: Sequence[GatedEvent], _: Mapping[str, EntryTerms]) -> Admission:
        denied = Refusal("consent_denied", "The person does not allow it.")
        return Admission({n: denied for n, one in enumerate(events) if one.channel == self.closed})


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def clock() -> FixedClock:
    """The present: what is kept expires by the engine's own clock, too."""
    return FixedClock(utc_now())


@pytest.fixture
def application(
    tmp_path: Path,
    sqlite: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    gate: Gate,
) -> Iterator[Application]:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, gate=gate)
    with application_on(services) as running:
        for version in ("1-0-0", "1-0-1"):
            schema = SCHEMA if version == "1-0-0" else {}
            path = f"/api/v1/contracts/{NAME}/{version}"
            assert running.request("PUT", path, json={"schema": schema}).status_code == 201
        yield running


def event(number: int, at: datetime, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    subject = {"type": "email", "value": "customer-1@example.org"}
    return {
        "id": f"e-{number}",
        "name": NAME,
        "schema": f"{NAME}/1-0-0",
        "time": (at - timedelta(hours=1)).isoformat(),
        "subject": subject,
        "attributes": {"plan": "gold"},
    } | fields


def refuse(application: Application, *events: object) -> list[str]:
    answer = application.post(EVENTS, json=list(events)).json()
    return [one["quarantine_id"] for one in answer["rejected"]]


def replay(application: Application, *ids: str, **mending: Any) -> dict[str, Any]:  # noqa: ANN401 - any body
    answer = application.post(REPLAY, json={"ids": list(ids)} | mending)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def statements_of(engine: Engine) -> list[str]:
    """Return what is executed from now on, growing."""
    asked: list[str] = []
    sqlalchemy_event.listen(
        engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2])
    )
    return asked


def stored(application: Application) -> list[dict[str, Any]]:
    application.collector.flush()
    return application.services.telemetry.query("SELECT id, schema, attributes FROM events")


PATCH = [{"op": "replace", "path": "/attributes/plan", "value": "pro"}]


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


def test_nothing_of_a_refused_event_is_on_a_disk_in_clear(
    application: Application, clock: FixedClock, tmp_path: Path
) -> None:
    secret = "spoken-in-confidence"
    refuse(application, event(1, clock.now, attributes={"plan": secret}))
    spool = application.services.settings.spool_dir
    assert any("quarantine" in path.name for path in spool.iterdir())
    assert all(secret.encode() not in path.read_bytes() for path in spool.iterdir())
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT * FROM quarantine")
    assert rows
    assert secret not in str(rows)
    assert "e-1" not in str(rows)
    assert all(secret.encode() not in one.read_bytes() for one in tmp_path.glob("state.db*"))


def test_the_same_refused_event_sent_again_is_kept_once_under_the_same_id(
    application: Application, clock: FixedClock
) -> None:
    first, again = (refuse(application, event(1, clock.now)) for _ in range(2))
    assert first == again
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT count() AS n FROM quarantine")
    assert rows == [{"n": 1}]


def test_it_is_kept_once_across_a_restart_too(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    for _ in range(2):
        with application_on(services) as application:
            refuse(application, {"id": "e-1"})
    assert services.telemetry.query("SELECT count() AS n FROM quarantine") == [{"n": 1}]


def test_a_replay_with_a_patch_is_taken_and_marked_and_never_doubles(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    first = replay(application, kept, patch=PATCH)
    assert (first["accepted"], first["rejected"]) == (1, [])
    second = replay(application, kept, patch=PATCH)
    assert (second["accepted"], second["deduplicated"]) == (0, 1)
    assert application.get(f"{QUARANTINE}/{kept}").json()["replayed_at"]
    assert [row["attributes"] for row in stored(application)] == [{"plan": "pro"}]


def test_a_replay_under_another_contract_names_that_contract(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    assert replay(application, kept, contract=f"{NAME}/1-0-1")["accepted"] == 1
    assert [row["schema"] for row in stored(application)] == [f"{NAME}/1-0-1"]


def test_what_is_refused_again_stays_and_is_named_with_the_reason(
    application: Application, clock: FixedClock, gate: Gate
) -> None:
    ids = refuse(
        application, event(1, clock.now), event(2, clock.now, attributes={}, channel="sms")
    )
    told = replay(application, *ids)
    assert (told["accepted"], told["quarantined"]) == (0, 2)
    assert [(one["index"], one["code"], one["quarantine_id"]) for one in told["rejected"]] == [
        (0, "schema_violation", ids[0]),
        (1, "consent_denied", ids[1]),
    ]
    gate.closed = ""
    assert replay(application, ids[1])["accepted"] == 1
    assert application.get(f"{QUARANTINE}/counts").json() == {
        "consent_denied": 1,
        "schema_violation": 1,
    }


def test_a_replay_whose_mark_was_lost_finds_the_event_stored(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    replay(application, kept, patch=PATCH)
    application.collector.flush()
    with session_of(application.services.engine) as session:
        session.query(ReplayRow).delete()
    application.collector.intake._window._buckets.clear()
    told = replay(application, kept, patch=PATCH)
    assert (told["accepted"], told["deduplicated"]) == (0, 1)
    assert len(stored(application)) == 1


def test_two_replays_in_one_request_are_one(application: Application, clock: FixedClock) -> None:
    [kept] = refuse(application, event(1, clock.now))
    told = replay(application, kept, kept, patch=PATCH)
    assert (told["accepted"], told["deduplicated"]) == (1, 1)


def test_replays_at_the_same_time_store_the_event_once(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    body = {"ids": [kept], "patch": PATCH}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: application.post(REPLAY, json=body), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert sum(one.json()["accepted"] for one in answers if one.status_code == 200) == 1
    assert len(stored(application)) == 1


@pytest.mark.parametrize(
    ("mending", "status"),
    [
        ({"patch": [{"op": "fly", "path": "/a"}]}, 422),
        ({"patch": [{"op": "move", "path": "/a"}]}, 422),
        ({"patch": [{"op": "add", "path": "no pointer", "value": 1}]}, 422),
        ({"contract": "nonsense"}, 422),
        ({"contract": f"{NAME}/9-0-0"}, 404),
    ],
)
def test_a_mending_that_cannot_be_meant_replays_nothing(
    application: Application, clock: FixedClock, mending: dict[str, Any], status: int
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    answer = application.post(REPLAY, json={"ids": [kept]} | mending)
    assert answer.status_code == status, answer.text
    assert replay(application, kept, patch=PATCH)["accepted"] == 1


def test_an_unknown_id_replays_nothing(application: Application, clock: FixedClock) -> None:
    [kept] = refuse(application, event(1, clock.now))
    answer = application.post(REPLAY, json={"ids": [kept, "0" * 32], "patch": PATCH})
    assert answer.status_code == 404
    assert replay(application, kept, patch=PATCH)["accepted"] == 1


@pytest.mark.parametrize(
    ("patch", "code"),
    [
        ([{"op": "remove", "path": "/nowhere"}], "schema_violation"),
        ([{"op": "replace", "path": "", "value": 1}], "malformed"),
        ([{"op": "copy", "from": "/attributes", "path": f"/attributes/{n}"} for n in range(30)],
         "too_large"),
    ],
)  # fmt: skip
def test_a_patch_that_does_not_fit_leaves_the_event_where_it_is(
    application: Application, clock: FixedClock, patch: list[dict[str, Any]], code: str
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    assert [one["code"] for one in replay(application, kept, patch=patch)["rejected"]] == [code]


def test_lines_that_are_no_json_are_kept_and_shown_as_text(application: Application) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = application.post(EVENTS, content=b"nonsense\n", headers=headers).json()
    [kept] = [one["quarantine_id"] for one in answer["rejected"]]
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    assert (shown["payload"], shown["payload_text"]) == (None, "nonsense")
    assert replay(application, kept)["rejected"][0]["code"] == "malformed"
    assert replay(application, kept, patch=PATCH)["rejected"][0]["code"] == "malformed"


def test_a_segment_call_without_an_id_is_replayed_as_one_event_of_its_own_time(
    application: Application, clock: FixedClock, gate: Gate
) -> None:
    call = {"event": NAME, "userId": "u", "properties": {"channel": "sms"}}
    answer = application.post("/v1/track", json=call).json()
    [kept] = [one["quarantine_id"] for one in answer["rejected"]]
    received, gate.closed = clock.now, ""
    clock.pass_by(timedelta(minutes=5))
    assert replay(application, kept)["accepted"] == 1
    application.collector.flush()
    rows = application.services.telemetry.query("SELECT id, name, time FROM events")
    assert [(row["id"], row["name"]) for row in rows] == [(kept, NAME)]
    assert abs(rows[0]["time"] - received) < timedelta(seconds=1)


def test_a_segment_call_names_its_contract_in_its_properties(application: Application) -> None:
    properties = {"schema": f"{NAME}/1-0-0", "plan": "gold"}
    call = {"event": NAME, "userId": "u", "messageId": "m", "properties": properties}
    told = application.post("/v1/track", json=call).json()
    assert told["success"]
    [refused] = told["rejected"]
    assert (refused["messageId"], refused["code"]) == ("m", "schema_violation")
    assert refused["path"] == "attributes.plan"
    patch = [{"op": "replace", "path": "/properties/plan", "value": "free"}]
    assert replay(application, refused["quarantine_id"], patch=patch)["accepted"] == 1
    assert [row["schema"] for row in stored(application)] == [f"{NAME}/1-0-0"]


def test_a_replayed_call_links_whom_it_names(application: Application, gate: Gate) -> None:
    call = {"event": NAME, "userId": "u", "anonymousId": "a", "properties": {"channel": "sms"}}
    told = application.post("/v1/track", json=call).json()
    gate.closed = ""
    assert replay(application, told["rejected"][0]["quarantine_id"])["accepted"] == 1
    with application.services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM subject_links")).scalar_one() == 1


def test_an_event_over_the_bound_is_refused_and_not_kept(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    bound = {"event_bytes": 2048}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, quarantine=bound)
    with application_on(services) as application:
        answer = application.post(EVENTS, json={"id": "e", "step": "x" * 3000}).json()
    assert (answer["quarantined"], answer["rejected"][0]["quarantine_id"]) == (0, None)


def test_when_its_time_has_come_nothing_opens_it_again(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    application.collector.flush()
    sealed = list_entries(
        application.services.telemetry, code="", since=clock.now, now=clock.now, limit=9
    )
    assert len(sealed) == 1
    clock.pass_by(timedelta(days=16))
    assert application.get(f"{QUARANTINE}/{kept}").status_code == 404
    for _ in range(2):
        expire_quarantine(application.services, application.collector.quarantine.cabinet)
    with session_of(application.services.engine) as session:
        key = session.get_one(DataKeyRow, sealed[0].key_id)
        assert (key.wrapped, key.destroyed_at) == (None, clock.now)
    rows = application.services.telemetry.query("SELECT count() AS n FROM quarantine")
    assert rows == [{"n": 0}]


def test_before_its_time_the_job_touches_nothing(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    clock.pass_by(timedelta(days=13))
    expire_quarantine(application.services, application.collector.quarantine.cabinet)
    assert application.get(f"{QUARANTINE}/{kept}").json()["payload"]


def test_the_state_store_alone_opens_nothing(application: Application, clock: FixedClock) -> None:
    [kept] = refuse(application, event(1, clock.now))
    with application.services.engine.begin() as connection:
        connection.execute(text("UPDATE quarantine_keys SET wrapped = :w"), {"w": b"x" * 60})
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    assert (shown["payload"], shown["payload_text"]) == (None, None)
    assert "key is destroyed" in replay(application, kept)["rejected"][0]["message"]


def test_only_an_admin_sees_the_quarantine(application: Application) -> None:
    key = {"authorization": f"Bearer {application.make_key('ingest', 'pii:reveal')}"}
    for path in (QUARANTINE, f"{QUARANTINE}/counts", f"{QUARANTINE}/x"):
        assert application.get(path, headers=key).status_code == 403
    assert application.post(REPLAY, json={"ids": ["x"]}, headers=key).status_code == 403


def test_what_is_kept_is_counted_by_its_reason(application: Application, clock: FixedClock) -> None:
    refuse(application, event(1, clock.now))
    text_format = application.get("/metrics").text
    assert (
        'candor_events_quarantined_total{code="schema_violation",door="native"} 1.0' in text_format
    )


def test_siblings_share_the_key_of_the_day(state: Engine) -> None:
    here, there = (KeyCabinet(state, bytes(32), timedelta(days=14)) for _ in range(2))
    first, second = here.key_of_the_day(NOON), there.key_of_the_day(NOON)
    assert (first, first.secret) == (second, second.secret)
    assert first.expires_at == datetime(2026, 12, 7, tzinfo=UTC)
    assert here.key_of_the_day(NOON + timedelta(days=1)).secret != first.secret


def test_the_key_of_the_next_day_is_made_before_it_is_needed(
    application: Application, clock: FixedClock
) -> None:
    engine, cabinet = application.services.engine, application.collector.quarantine.cabinet
    asked = statements_of(engine)
    for days in range(2):
        cabinet.key_of_the_day(clock.now + timedelta(days=days))
    assert asked == []
    clock.pass_by(timedelta(days=1))
    expire_quarantine(application.services, cabinet)
    asked.clear()
    cabinet.key_of_the_day(clock.now + timedelta(days=1))
    assert asked == []


def test_a_store_that_gave_no_key_is_asked_again_after_a_second(sqlite: Engine) -> None:
    KeyCabinet(sqlite, bytes(32), timedelta(days=14)).key_of_the_day(NOON)
    asked, seconds = statements_of(sqlite), [0.0]
    other = KeyCabinet(sqlite, bytes(range(32)), timedelta(days=14), lambda: seconds[0])
    for _ in range(3):
        with pytest.raises(UnavailableError):
            other.key_of_the_day(NOON)
    once = len(asked)
    seconds[0] = 1.0
    with pytest.raises(UnavailableError):
        other.key_of_the_day(NOON)
    assert len(asked) == 2 * once


def test_a_replay_asks_the_telemetry_store_once_and_before_it_keeps_others_from_writing(
    application: Application, clock: FixedClock
) -> None:
    engine = application.services.engine
    ids = refuse(application, *(event(number, clock.now) for number in range(5)))
    application.collector.flush()
    asked: list[bool] = []
    writing = [False]

    @sqlalchemy_event.listens_for(engine, "before_cursor_execute")
    def note(*arguments: Any) -> None:  # noqa: ANN401 - the driver's own types
        writing[0] = writing[0] or arguments[2].startswith("INSERT INTO quarantine_replays")

    class Asked:
        """The telemetry store, and whether it was asked for identities while others waited."""

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the store has
            return getattr(application.services.telemetry, name)

        def query(self, text: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
            if "identities" in parameters:
                asked.append(writing[0])
            return application.services.telemetry.query(text, parameters)

    watched = replace(application.services, telemetry=cast("TelemetryStore", Asked()))
    collector = application.collector
    told = Replay(
        watched,
        partial(collector.intake.submit, keep_refused=False),
        collector.linker.submit,
        collector.quarantine.cabinet,
    ).run(ids, Mending(patch=PATCH))
    assert told.accepted == len(ids)
    assert (asked, writing) == ([False], [True])


def test_a_replay_of_one_process_is_seen_by_all(state: Engine) -> None:
    texts = dict.fromkeys(("path", "message", "door", "call", "source", "contract"), "")
    entry = Entry(
        id="q",
        received_at=NOON,
        code="malformed",
        subject_key="",
        size_bytes=1,
        key_id="2026-11-22",
        expires_at=NOON + timedelta(days=14),
        **texts,
    )
    with session_of(state) as session:
        mark_replayed(session, [entry], NOON)
    with session_of(state) as session:
        assert replayed_at(session, ["q", "r"]) == {"q": NOON}
    with pytest.raises(ConflictError), session_of(state) as session:
        mark_replayed(session, [entry], NOON)
    with session_of(state) as session:
        unmark_replayed(session, ["q"])
        assert replayed_at(session, ["q"]) == {}
