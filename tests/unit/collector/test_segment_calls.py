"""What a Segment call becomes: its time, its attributes, and who it says is who."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import MalformedError
from candor.kernel.settings import LimitSettings
from collector.event import Batch, Event
from collector.receivers.decoding import Reception
from collector.receivers.segment import decode_segment, split_segment
from tests.support.stores import NOON, SECRETS

RECEPTION = Reception(NOON, LimitSettings(), SECRETS, "web-shop")
TRACK = {"type": "track", "userId": "u", "event": "Paid"}


def decoded(*calls: dict[str, Any], **batch: Any) -> Batch:  # noqa: ANN401 - any JSON
    body = json.dumps({"batch": calls} | batch).encode()
    return decode_segment(split_segment(body, "batch"), "batch", RECEPTION)


def event_of(call: dict[str, Any], **batch: Any) -> Event:  # noqa: ANN401 - as above
    read = decoded(TRACK | call, **batch)
    assert read.rejections == []
    return read.events[0]


def attributes(event: Event) -> dict[str, Any]:
    return {name: msgspec.json.decode(value) for name, value in event.attributes.items()}


def linked(call: dict[str, Any]) -> set[str]:
    links = decoded(call).links
    return {one.subject_key for _, link in links for one in link.identifiers}


def key(type_: str, value: str) -> str:
    return SECRETS.subject_key(type_, value)


INSTANTS = st.integers(0, 300 * 24 * 3600).map(lambda before: NOON - timedelta(seconds=before))


@given(
    sent=INSTANTS,
    before=st.timedeltas(timedelta(0), timedelta(days=30)),
    named=st.sampled_from(["timestamp", "originalTimestamp"]),
    in_call=st.booleans(),
)
def test_a_wrong_clock_is_corrected_by_the_time_between_act_and_sending(
    sent: datetime,
    before: timedelta,
    named: str,
    in_call: bool,  # noqa: FBT001 - drawn
) -> None:
    call = {named: (sent - before).isoformat()}
    sending = {"sentAt": sent.isoformat()}
    event = event_of(call | sending) if in_call else event_of(call, **sending)
    assert event.time == NOON - before


@pytest.mark.parametrize(
    ("call", "time"),
    [
        ({}, NOON),
        ({"sentAt": "2020-01-01T00:00:00Z"}, NOON),
        ({"timestamp": "2026-11-22T09:00:00"}, NOON - timedelta(hours=3)),
        ({"originalTimestamp": "2026-11-22T09:00:00Z"}, NOON - timedelta(hours=3)),
        (
            {"timestamp": "2026-11-22T09:00:00Z", "originalTimestamp": "2031-01-01T00:00:00Z",
             "sentAt": "2031-01-01T00:00:05Z", "receivedAt": "2026-11-22T09:00:05Z"},
            NOON - timedelta(hours=3),
        ),
        (
            {"timestamp": "2026-11-22T09:00:00Z", "originalTimestamp": "2031-01-01T00:00:00Z",
             "sentAt": "2031-01-01T00:00:05Z"},
            NOON - timedelta(seconds=5),
        ),
        ({"timestamp": "2026-11-22T09:00:00", "sentAt": "2026-11-22T10:00:00+01:00"}, NOON),
    ],
)  # fmt: skip
def test_a_call_happened_when_the_clocks_together_say(call: dict[str, str], time: datetime) -> None:
    assert event_of(call).time == time


def test_a_time_that_no_calendar_has_is_refused_by_name() -> None:
    call = TRACK | {"timestamp": "0001-01-01T00:00:00Z", "sentAt": "9999-01-01T00:00:00Z"}
    refusal = decoded(call).rejections[0].refusal
    assert (refusal.code, refusal.path) == ("clock_skew", "timestamp")


def test_a_batch_lends_its_context_and_integrations_to_calls_that_lack_them() -> None:
    event = event_of(
        {"context": {"app": {"version": "2"}}, "integrations": {"Mailer": True}},
        context={"app": {"name": "Shop", "version": "1"}, "channel": "server", "locale": "nl-NL"},
        integrations={"All": False, "Mailer": False, "Maps": {"token": "t"}},
    )
    assert attributes(event) == {
        "context.app.name": "Shop",
        "context.app.version": "2",
        "context.locale": "nl-NL",
        "integrations.All": False,
        "integrations.Mailer": True,
    }
    assert event.channel == "api"


def test_nothing_of_a_context_that_tells_who_it_was_is_kept() -> None:
    context = {
        "ip": "203.0.113.9",
        "userAgent": "Mozilla secret",
        "traits": {"email": "secret@example.org"},
        "device": {"type": "ios", "advertisingId": "secret", "id": "secret", "name": "secret"},
        "page": {
            "path": "/cart?mail=secret#secret",
            "url": "https://x/?secret",
            "search": "?secret",
        },
        "location": {"city": "secret"},
        "library": "secret",
        "app": {"name": {"secret": 1}, "version": "s" * 1000, "build": None},
        "os": ["secret"],
        "timezone": "Europe/Amsterdam",
    }
    assert attributes(event_of({"context": context})) == {
        "context.device.type": "ios",
        "context.page.path": "/cart",
        "context.timezone": "Europe/Amsterdam",
    }


def test_the_address_of_a_page_is_kept_without_its_query() -> None:
    properties = {"url": "https://shop.example.org/a?mail=x#y", "search": "?mail=x", "path": "/a",
                  "referrer": "https://mail.example.org/?token=x", "title": "A"}  # fmt: skip
    page = {"type": "page", "name": "Cart", "category": "Shop", "properties": properties}
    event = event_of(page)
    assert (event.name, event.step) == ("page", "Cart")
    assert attributes(event) == {
        "url": "https://shop.example.org/a",
        "path": "/a",
        "referrer": "https://mail.example.org/",
        "title": "A",
        "category": "Shop",
    }


def test_only_a_track_call_names_its_event() -> None:
    assert event_of({}).name == "Paid"
    assert event_of({"type": "screen", "category": "Shop"}).name == "screen"


@pytest.mark.parametrize(
    "properties",
    [
        {"outcome": ["ok"]},
        {"revenue": 10**400},
        {"duration_ms": {"x": 1}},
        {"journey": 3, "currency": "EUR"},
    ],
)
def test_a_property_that_does_not_fit_its_field_stays_an_attribute(
    properties: dict[str, Any],
) -> None:
    assert set(attributes(event_of({"properties": properties}))) == set(properties)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"userId": "  "}, "userId"),
        ({"event": ""}, "event"),
        ({"type": "alias", "userId": None, "anonymousId": "a", "previousId": "p"}, "userId"),
        ({"context": "x"}, "context"),
        ({"traits": []}, "traits"),
        ({"sentAt": "yesterday"}, "sentAt"),
    ],
)
def test_a_call_that_cannot_be_meant_is_refused_alone(fields: dict[str, Any], path: str) -> None:
    read = decoded(TRACK | fields, TRACK)
    assert [(one.index, one.refusal.code, one.refusal.path) for one in read.rejections] == [
        (0, "malformed", path)
    ]
    assert len(read.events) == 1


def test_an_impossible_escape_is_refused_alone_wherever_it_stands() -> None:
    calls = ", ".join(
        f'{{"type": "track", "userId": "u", "event": "x", {part}}}'
        for part in (
            '"properties": {"journey": "\\ud800"}',
            '"context": {"page": {"path": "\\ud800"}}',
            '"properties": {"journey": "fine"}',
        )
    )
    body = split_segment(f'{{"batch": [{calls}]}}'.encode(), "batch")
    read = decode_segment(body, "batch", RECEPTION)
    assert [one.index for one in read.rejections] == [0, 1]


@pytest.mark.parametrize(("path", "value"), [("sentAt", "soon"), ("context", 3)])
def test_a_batch_that_cannot_be_read_names_the_place(path: str, value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        decoded(TRACK, **{path: value})
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("call", "identifiers"),
    [
        ({"type": "track", "event": "x", "userId": "u"}, set()),
        ({"type": "track", "event": "x", "userId": "u", "anonymousId": "a"},
         {("user_id", "u"), ("anonymous_id", "a")}),
        ({"type": "page", "userId": 7, "anonymousId": "a"},
         {("user_id", "7"), ("anonymous_id", "a")}),
        ({"type": "alias", "userId": "u", "previousId": "p"},
         {("user_id", "u"), ("user_id", "p"), ("anonymous_id", "p")}),
        ({"type": "identify", "userId": "u", "traits": {"email": "A@example.org"}},
         {("user_id", "u"), ("email", "a@example.org")}),
        ({"type": "identify", "anonymousId": "a", "traits": {"phone": 31205550100}},
         {("anonymous_id", "a"), ("phone", "31205550100")}),
        ({"type": "identify", "userId": "u", "traits": {"email": "none", "phone": "n/a"}}, set()),
        ({"type": "identify", "userId": "u", "traits": {"email": ["x@y"], "phone": True}}, set()),
        ({"type": "track", "event": "x", "userId": "u", "anonymousId": "undefined"}, set()),
        ({"type": "group", "userId": "u", "groupId": "g", "traits": {"email": "g@example.org"}},
         {("user_id", "u")}),
    ],
)  # fmt: skip
def test_a_call_links_the_identifiers_of_one_person(
    call: dict[str, Any], identifiers: set[tuple[str, str]]
) -> None:
    assert linked(call) == {key(type_, value) for type_, value in identifiers}


def test_a_group_is_joined_and_not_a_person() -> None:
    ((index, link),) = decoded({"type": "group", "userId": "u", "groupId": "g"}).links
    assert index == 0
    assert link.group is not None
    assert link.group.subject_key == key("group_id", "g")


def test_a_link_says_who_sent_it_when_and_how() -> None:
    call = {"type": "identify", "userId": "u", "anonymousId": "a",
            "timestamp": "2026-11-22T09:00:00Z"}  # fmt: skip
    ((_, link),) = decoded(call).links
    by = link.provenance
    assert (by.source, by.door, by.call, by.decided) == ("web-shop", "segment", "identify", False)
    assert (by.at, by.received_at) == (NOON - timedelta(hours=3), NOON)


@pytest.mark.parametrize(
    "context", ['{"channel": 1e999}', '{"page": {"path": 1e999}}', '{"app": 1}']
)
def test_a_context_that_cannot_be_read_is_left_out(context: str) -> None:
    body = f'{{"batch": [{json.dumps(TRACK)}], "context": {context}}}'.encode()
    read = decode_segment(split_segment(body, "batch"), "batch", RECEPTION)
    assert (len(read.events), read.rejections) == (1, [])
