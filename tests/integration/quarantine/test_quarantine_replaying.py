"""What is kept is sent again once, whatever happens meanwhile."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import Engine, text
from sqlalchemy import event as sqlalchemy_event

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError
from candor.kernel.telemetry_store import TelemetryStore
from collector.quarantine.mending import Mending
from collector.quarantine.replay import Replay
from collector.quarantine.store import (
    Entry,
    mark_replayed,
    replayed_at,
    unmark_replayed,
)
from collector.quarantine.tables import ReplayRow
from tests.support.asgi import Application
from tests.support.quarantine import (
    NAME,
    PATCH,
    QUARANTINE,
    REPLAY,
    Gate,
    event,
    refuse,
    replay,
    stored,
)
from tests.support.stores import NOON, FixedClock


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


def test_an_unknown_id_replays_nothing(application: Application, clock: FixedClock) -> None:
    [kept] = refuse(application, event(1, clock.now))
    answer = application.post(REPLAY, json={"ids": [kept, "0" * 32], "patch": PATCH})
    assert answer.status_code == 404
    assert replay(application, kept, patch=PATCH)["accepted"] == 1


def test_a_replayed_call_links_whom_it_names(application: Application, gate: Gate) -> None:
    call = {"event": NAME, "userId": "u", "anonymousId": "a", "properties": {"channel": "sms"}}
    told = application.post("/v1/track", json=call).json()
    gate.closed = ""
    assert replay(application, told["rejected"][0]["quarantine_id"])["accepted"] == 1
    with application.services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM subject_links")).scalar_one() == 1


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
        collector.intake,
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
