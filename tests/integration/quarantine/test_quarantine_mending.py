"""What is kept is mended by a patch or another contract before it is sent again."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.asgi import Application
from tests.support.quarantine import NAME, PATCH, REPLAY, Gate, event, refuse, replay, stored
from tests.support.stores import FixedClock


def test_a_replay_under_another_contract_names_that_contract(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    assert replay(application, kept, contract=f"{NAME}/1-0-1")["accepted"] == 1
    assert [row["schema"] for row in stored(application)] == [f"{NAME}/1-0-1"]


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
