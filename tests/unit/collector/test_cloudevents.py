"""What a CloudEvent becomes, whichever of the three modes it comes in."""

import base64
import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import MalformedError, TooLargeError, UnsupportedTypeError
from candor.kernel.settings import LimitSettings
from collector.event import Batch, Event
from collector.receivers.cloudevents import (
    BATCH,
    STRUCTURED,
    contract_of,
    decode_cloudevents,
    identity_of,
    sent_id,
)
from collector.receivers.decoding import Reception
from tests.support.stores import NOON, SECRETS

RECEPTION = Reception(NOON, LimitSettings(), SECRETS, "web-shop")
PAID: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/shop/checkout",
    "type": "checkout.payment",
    "time": "2026-11-22T11:00:00Z",
}


def structured(document: dict[str, Any]) -> Event:
    (event,) = decode_cloudevents(json.dumps(document).encode(), STRUCTURED, {}, RECEPTION).events
    return event


def batched(*documents: object) -> Batch:
    return decode_cloudevents(json.dumps(documents).encode(), BATCH, {}, RECEPTION)


def binary(body: bytes, content_type: str, **attributes: str) -> Event:
    headers = {f"ce-{name}".encode(): quote(text).encode() for name, text in attributes.items()}
    (event,) = decode_cloudevents(body, content_type, headers, RECEPTION).events
    return event


def attributes(event: Event) -> dict[str, Any]:
    return {name: msgspec.json.decode(value) for name, value in event.attributes.items()}


def shown(event: Event) -> dict[str, Any]:
    """Return all of an event, whatever the spelling of its attributes' JSON."""
    return msgspec.structs.asdict(event) | {"attributes": attributes(event)}


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "step": SCALARS,
        "outcome": st.sampled_from(["ok", "splendid"]),
        "duration_ms": st.integers(-5, 5),
        "value": SCALARS | st.just({"amount": 5, "currency": "EUR"}),
        "attributes": st.dictionaries(TEXTS, SCALARS, max_size=2),
        "note": JSON,
    },
)
NAMES = st.text("abcdefghij0123456789", min_size=1, max_size=20).map(lambda name: f"x{name}")
PAYLOADS = st.one_of(
    st.tuples(st.just("application/json"), JSON | FIELDS),
    st.tuples(st.just("application/vnd.shop+json; charset=utf-8"), FIELDS),
    st.tuples(st.just("text/plain"), TEXTS),
    st.tuples(st.just("application/octet-stream"), st.binary(min_size=1, max_size=40)),
)


@given(
    context=st.fixed_dictionaries(
        {"id": TEXTS, "source": TEXTS, "type": TEXTS},
        optional={"subject": TEXTS, "dataschema": TEXTS},
    ),
    extensions=st.dictionaries(NAMES, TEXTS, max_size=3),
    payload=PAYLOADS,
)
def test_one_event_is_the_same_in_all_three_modes(
    context: dict[str, str], extensions: dict[str, str], payload: tuple[str, Any]
) -> None:
    content_type, data = payload
    texts = context | extensions | {"specversion": "1.0"}
    if isinstance(data, bytes):
        body, members = data, {"data_base64": base64.b64encode(data).decode()}
    elif content_type == "text/plain":
        body, members = data.encode(), {"data": data}
    else:
        body, members = json.dumps(data).encode(), {"data": data}
    document = texts | {"datacontenttype": content_type} | members
    one = structured(document)
    (other,) = batched(document).events
    third = binary(body, content_type, **texts)
    assert shown(one) == shown(other) == shown(third)


def test_data_in_the_native_shape_becomes_the_events_fields() -> None:
    data = {
        "journey": "checkout", "instance": "c-1", "step": "payment", "outcome": "ok",
        "channel": "web", "service": "checkout-api", "duration_ms": 182.4, "error_code": None,
        "subject": {"type": "email", "value": "Customer-1@example.org"},
        "experiment": {"key": "form", "variant": "b"},
        "value": {"amount": 49.9, "currency": "EUR"},
        "attributes": {"plan": "pro"}, "basket": 3,
    }  # fmt: skip
    event = structured(PAID | {"data": data})
    assert event == Event(
        id="/shop/checkout e-1", door="cloudevents", name="checkout.payment", schema="",
        time=NOON - timedelta(hours=1), received_at=NOON, journey="checkout", instance="c-1",
        step="payment", outcome="ok", channel="web", service="checkout-api", duration_ms=182.4,
        subject_key=SECRETS.subject_key("email", "customer-1@example.org"), subject_type="email",
        experiment="form", variant="b", amount=49.9, currency="EUR", attributes=event.attributes,
    )  # fmt: skip
    assert attributes(event) == {"plan": "pro", "basket": 3, "cloudevents.source": "/shop/checkout"}


def test_members_that_do_not_fit_a_field_stay_attributes() -> None:
    data = {"step": 3, "outcome": "splendid", "duration_ms": -1, "value": 42, "experiment": "b",
            "subject": "Your order", "attributes": "none"}  # fmt: skip
    event = structured(PAID | {"data": data})
    assert attributes(event) == data | {"cloudevents.source": "/shop/checkout"}


@pytest.mark.parametrize(
    "subject", [{"type": "E-Mail", "value": "secret"}, {"type": "email"}, {"mail": "secret"}]
)
def test_a_person_that_cannot_be_read_is_refused_rather_than_stored(subject: object) -> None:
    with pytest.raises(MalformedError) as caught:
        structured(PAID | {"data": {"subject": subject}})
    assert caught.value.path == "data.subject"
    assert "secret" not in caught.value.detail


def test_extensions_are_kept_as_texts_and_give_way_to_the_data() -> None:
    extensions = {"traceparent": "00-1", "partition": 5, "sampled": True, "absent": None}
    event = structured(PAID | extensions | {"data": {"partition": "p"}, "subject": "order/1"})
    assert attributes(event) == {
        "traceparent": "00-1",
        "cloudevents.partition": "5",
        "partition": "p",
        "sampled": "true",
        "cloudevents.source": "/shop/checkout",
        "cloudevents.subject": "order/1",
    }


@pytest.mark.parametrize(
    ("dataschema", "contract"),
    [
        ("checkout.payment/1-0-0", "checkout.payment/1-0-0"),
        ("https://shop.example.org/contracts/checkout.payment/2-1-10", "checkout.payment/2-1-10"),
        ("https://shop.example.org/checkout.payment/1-0-0?raw=1#x", "checkout.payment/1-0-0"),
        ("https://shop.example.org/checkout.json", ""),
        ("https://1-0-0/", ""),
        ("/1-0-0", ""),
        ("checkout.payment/1-0", ""),
    ],
)
def test_a_schemas_address_chooses_the_contract_that_it_ends_in(
    dataschema: str, contract: str
) -> None:
    event = structured(PAID | {"dataschema": dataschema})
    assert event.schema == contract == contract_of(dataschema)
    assert ("cloudevents.dataschema" in event.attributes) == (not contract)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_two_events_are_one_only_if_source_and_id_are_equal(
    source: str, id_: str, other_source: str, other_id: str
) -> None:
    same = identity_of(source, id_) == identity_of(other_source, other_id)
    assert same == ((source, id_) == (other_source, other_id))
    assert sent_id(identity_of(source, id_)) == id_


def test_a_space_does_not_move_between_source_and_id() -> None:
    assert identity_of("a", "b c") != identity_of("a b", "c") != identity_of("a%20b", "c")


def test_without_a_time_an_event_happened_when_it_came() -> None:
    assert structured({name: text for name, text in PAID.items() if name != "time"}).time == NOON


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_missing_attribute_is_named_and_in_a_batch_fails_its_event_alone(name: str) -> None:
    lacking = {key: text for key, text in PAID.items() if key != name}
    with pytest.raises(MalformedError, match=f"attribute {name}") as caught:
        structured(lacking)
    assert caught.value.path == name
    with pytest.raises(MalformedError, match=f"attribute {name}"):
        binary(b"", "", **lacking)
    batch = batched(lacking, PAID, lacking)
    assert [(one.index, one.refusal.path) for one in batch.rejections] == [(0, name), (2, name)]
    assert list(batch.indices) == [1]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": ""}, "source"),
        ({"type": "x" * 201}, "type"),
        ({"subject": ["s"]}, "subject"),
        ({"time": "2026-11-22T11:00:00"}, "time"),
        ({"time": 5}, "time"),
        ({"ext": {"a": 1}}, "ext"),
        ({"x" * 101: "a"}, ""),
        ({"customer-1@example.org": {"a": 1}}, ""),
        ({"data": 1, "data_base64": "AA=="}, "data_base64"),
        ({"data_base64": "secret!"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
        ({"data_base64": base64.b64encode(b"secret").decode()}, None),
        ({"data": {"k" * 101: 1}}, "data"),
    ],
)
def test_an_event_that_cannot_be_meant_is_refused_by_path_and_never_by_value(
    fields: dict[str, Any], path: str | None
) -> None:
    if path is None:
        assert attributes(structured(PAID | fields))["data"] == "secret"
        return
    with pytest.raises(MalformedError) as caught:
        structured(PAID | fields)
    assert (caught.value.path or "").split("[")[0].rstrip(".") == path
    assert "secret" not in caught.value.detail


def test_an_event_from_the_future_is_refused_and_the_request_is_not() -> None:
    batch = decode_cloudevents(
        json.dumps(PAID | {"time": "2099-01-01T00:00:00Z"}).encode(), STRUCTURED, {}, RECEPTION
    )
    assert [one.refusal.code for one in batch.rejections] == ["clock_skew"]
    assert sent_id(batch.rejections[0].id or "") == "e-1"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"plain", "plain"),
        (b"caf%C3%A9%20au%20lait", "café au lait"),
        ("café".encode(), "café"),
        (b'"quoted \\"word\\""', 'quoted "word"'),
        (b"100%25", "100%"),
        (b"100%", "100%"),
    ],
)
def test_header_values_are_unquoted_and_decoded_once(header: bytes, text: str) -> None:
    headers = {b"ce-id": b"1", b"ce-source": b"/s", b"ce-type": b"t", b"ce-specversion": b"1.0"}
    batch = decode_cloudevents(b"", "", headers | {b"ce-ext": header}, RECEPTION)
    assert attributes(batch.events[0])["ext"] == text


def test_what_is_no_utf_8_or_no_json_in_a_binary_request_is_refused() -> None:
    headers = {b"ce-id": b"%FF"}
    with pytest.raises(MalformedError, match="UTF-8"):
        decode_cloudevents(b"", "", headers, RECEPTION)
    with pytest.raises(MalformedError) as caught:
        binary(b"{", "application/json", **PAID)
    assert caught.value.path == "data"


def test_data_of_unknown_kind_is_kept_as_text_or_as_base_64() -> None:
    assert attributes(binary(b"<a/>", "text/xml", **PAID)) == {
        "data": "<a/>",
        "cloudevents.source": "/shop/checkout",
        "cloudevents.datacontenttype": "text/xml",
    }
    assert attributes(binary(b"\xff\x00", "image/png", **PAID))["data_base64"] == "/wA="
    assert attributes(binary(b"no json", "", **PAID))["data"] == "no json"


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("application/json", {}),
        ("", {}),
        ("application/cloudevents+xml", {b"ce-id": b"1"}),
        ("application/cloudevents", {}),
    ],
)
def test_a_request_in_none_of_the_modes_is_of_the_wrong_type(
    content_type: str, headers: dict[bytes, bytes]
) -> None:
    with pytest.raises(UnsupportedTypeError):
        decode_cloudevents(b"[]", content_type, headers, RECEPTION)


def test_a_batch_may_be_empty_but_must_be_an_array_within_its_limits() -> None:
    assert batched().events == []
    for body in (b"{}", b"[", b""):
        with pytest.raises(MalformedError):
            decode_cloudevents(body, BATCH, {}, RECEPTION)
    few = Reception(NOON, LimitSettings(events_per_request=1, event_bytes=1024), SECRETS)
    with pytest.raises(TooLargeError, match="1 events"):
        decode_cloudevents(b"[{}, {}]", BATCH, {}, few)
    large = json.dumps(PAID | {"data": "x" * 1024}).encode()
    with pytest.raises(TooLargeError, match="1024 bytes"):
        decode_cloudevents(large, STRUCTURED, {}, few)


def test_an_impossible_escape_in_a_batch_fails_its_event_alone() -> None:
    bad = json.dumps(PAID).replace("checkout.payment", "\\ud800")
    body = f"[{bad}, {json.dumps(PAID)}, 5]".encode()
    batch = decode_cloudevents(body, BATCH, {}, RECEPTION)
    assert [one.index for one in batch.rejections] == [0, 2]
    assert len(batch.events) == 1


def test_what_was_sent_is_kept_as_a_document_with_who_sent_it() -> None:
    headers = {f"ce-{name}".encode(): text.encode() for name, text in PAID.items()}
    batch = decode_cloudevents(b'{"step": "s"}', "application/json", headers, RECEPTION)
    document = msgspec.json.decode(batch.items[0])
    assert document == PAID | {"datacontenttype": "application/json", "data": {"step": "s"}}
    assert batch.source == "web-shop"
