import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.settings import LimitSettings
from collector.event import Event
from collector.receivers.decoding import Reception
from collector.receivers.rum import Beacons, Visit, decode_rum
from tests.support.events import native_event
from tests.support.stores import NOON, SECRETS

PERSON = "anna.secret@example.org"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(
    [
        *("type", "name", "value", "delta", "id", "rating", "page", "device", "time", "message"),
        *("source", "line", "column", "navigationType", "attribution", "consent", "subject"),
    ]
)
VALUES = JSON | st.sampled_from(
    ["vital", "error", "step", "LCP", "v5-1", "/a?b", "2026-11-22T12:00Z"]
)
BEACONS = st.lists(st.dictionaries(FIELDS, VALUES) | JSON, max_size=8)


def decoded(beacons: object, visit: Visit | None = None) -> Beacons:
    reception = Reception(NOON, LimitSettings(), SECRETS, "pages")
    return decode_rum(json.dumps(beacons).encode(), "text/plain", reception, visit or Visit())


def error(**fields: Any) -> Event:  # noqa: ANN401 - any field
    (event,) = decoded({"type": "error", "name": "TypeError"} | fields).batch.events
    return event


@given(BEACONS)
def test_every_beacon_is_taken_or_named(beacons: list[object]) -> None:
    read = decoded(beacons)
    refused = [rejection.index for rejection in read.batch.rejections]
    assert len(read.vitals) + len(read.batch.events) + len(refused) == len(beacons)
    assert not set(refused) & set(read.batch.indices)


@given(BEACONS)
def test_without_consent_nothing_is_taken_and_nothing_is_at_hand(beacons: list[object]) -> None:
    read = decoded(beacons, Visit(requires_consent=True, gpc=True))
    assert (read.vitals, read.batch.events) == ([], [])
    assert set(read.batch.items) <= {b"{}"}


def test_of_a_step_the_native_event_stays_at_hand_and_of_an_error_nothing() -> None:
    step = {"type": "step", "consent": True} | native_event(1, step="payment")
    read = decoded([{"type": "error", "message": PERSON}, step])
    assert [json.loads(bytes(item)) for item in read.batch.items] == [
        {},
        native_event(1, step="payment"),
    ]


def test_equal_errors_are_one_group_whatever_numbers_their_messages_hold() -> None:
    group = error(message="Order 12 failed").attributes["group"]
    assert error(message="Order 4711 failed", line=3).attributes["group"] == group
    assert error(message="Basket 12 failed").attributes["group"] != group
    assert error(name="RangeError", message="Order 12 failed").attributes["group"] != group


def test_errors_without_a_message_are_grouped_by_their_place() -> None:
    group = error(source="/a.js", line=1).attributes["group"]
    assert error(source="/a.js", line=1).attributes["group"] == group
    assert error(source="/a.js", line=2).attributes["group"] != group


def test_a_vital_without_a_device_takes_it_from_the_browser() -> None:
    vital = {"name": "LCP", "value": 1, "delta": 1, "id": "v"}
    read = decoded([vital, vital | {"device": "tablet"}], Visit(device="mobile"))
    assert [one.device for one in read.vitals] == ["mobile", "tablet"]
