import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.settings import LimitSettings
from candor.kernel.topics import Shape
from collector.event import Batch
from collector.quarantine.mending import Mending, mend
from collector.quarantine.replay import DOORS
from collector.quarantine.store import Entry
from collector.receivers.decoding import Reception
from collector.receivers.kafka import DECODERS, Message, cloudevents_by, decode_message
from tests.support.events import native_event
from tests.support.stores import NOON, SECRETS

CALL = {"type": "track", "event": "Paid", "userId": "u-1"}
ANONYMOUS = {"name": "n", "time": "2026-11-22T11:00:00Z"}


def reception(**limits: int) -> Reception:
    return Reception(NOON, LimitSettings.model_validate(limits), SECRETS, "kafka:orders")


def message(value: bytes | None, **headers: bytes) -> Message:
    names = {name.replace("content_type", "content-type"): text for name, text in headers.items()}
    return Message("orders", 3, 41, value, names)


def decoded(value: object, shape: Shape = "native", **headers: bytes) -> Batch:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return decode_message(message(body, **headers), shape, reception())


def ids(batch: Batch) -> list[str]:
    return [event.id for event in batch.events]


def codes(batch: Batch) -> list[str]:
    return [rejection.refusal.code for rejection in batch.rejections]


def test_an_event_keeps_the_id_that_it_brings() -> None:
    assert ids(decoded(native_event(7))) == ["e-7"]
    assert ids(decoded(CALL | {"messageId": "m-7"}, "segment")) == ["m-7"]


@pytest.mark.parametrize("absent", [{}, {"id": None}, {"id": ""}])
def test_a_native_event_without_an_id_is_known_by_its_place(absent: dict[str, Any]) -> None:
    assert ids(decoded(ANONYMOUS | absent)) == ["orders/3/41"]


@pytest.mark.parametrize("absent", [{}, {"messageId": None}, {"messageId": ""}])
def test_a_call_without_an_id_is_known_by_its_place(absent: dict[str, Any]) -> None:
    assert ids(decoded(CALL | absent, "segment")) == ["orders/3/41"]


def test_events_that_share_a_message_are_told_apart_by_their_position() -> None:
    assert ids(decoded([ANONYMOUS, native_event(1), ANONYMOUS])) == [
        *("orders/3/41/0", "e-1", "orders/3/41/2"),
    ]
    assert ids(decoded({"batch": [CALL, CALL]}, "segment")) == ["orders/3/41/0", "orders/3/41/1"]
    assert ids(decoded([CALL, CALL], "segment")) == ["orders/3/41/0", "orders/3/41/1"]


@pytest.mark.parametrize("content_type", [b"", b"application/x-ndjson; charset=utf-8"])
def test_lines_are_read_even_where_one_is_bad(content_type: bytes) -> None:
    lines = (
        b"bad\n" + json.dumps(native_event(1)).encode() + b"\n\n" + json.dumps(ANONYMOUS).encode()
    )
    batch = decoded(lines, content_type=content_type)
    assert ids(batch) == ["e-1", "orders/3/41/2"]
    assert [(one.index, one.refusal.code) for one in batch.rejections] == [(0, "malformed")]


def test_a_text_that_is_not_utf_8_refuses_its_own_event_alone() -> None:
    bad = b'{"id": "\xff", "name": "n", "time": "2026-11-22T11:00:00Z"}'
    batch = decoded(b"[%s, %s]" % (bad, json.dumps(native_event(1)).encode()))
    assert (ids(batch), codes(batch)) == (["e-1"], ["malformed"])


def test_the_source_is_the_topic_and_what_was_sent_is_kept_for_the_quarantine() -> None:
    batch = decoded([native_event(1), {"name": "no time"}])
    assert batch.source == "kafka:orders"
    assert json.loads(bytes(batch.items[1])) == {"name": "no time", "id": "orders/3/41/1"}


def test_a_tombstone_is_one_refused_item() -> None:
    batch = decode_message(message(None), "native", reception())
    assert (ids(batch), codes(batch), list(batch.items)) == ([], ["malformed"], [b""])
    assert batch.rejections[0].id == "orders/3/41"


def test_a_message_over_a_limit_is_refused_as_a_whole() -> None:
    body = json.dumps([native_event(n) for n in range(3)]).encode()
    batch = decode_message(message(body), "native", reception(events_per_request=2))
    assert (ids(batch), codes(batch), list(batch.items)) == ([], ["too_large"], [body])


def test_a_message_whose_header_has_a_name_that_is_no_text_is_refused() -> None:
    headers = {"ce_specversion": b"1.0", "ce_\udcff": b"x"}
    batch = decoded({}, "cloudevents", **headers)
    assert (codes(batch), list(batch.items)) == (["malformed"], [b"{}"])


def replayed(batch: Batch, patch: list[dict[str, Any]]) -> Batch:
    """Return a refused message as the quarantine reads it again, mended."""
    entry = Entry(
        *("q" * 32, NOON, "malformed", "", "", batch.door, batch.call, batch.source, "", ""),
        *(0, "2026-11-22", NOON),
    )
    mended = mend(bytes(batch.items[0]), entry, Mending(patch=patch), 10_000)
    assert isinstance(mended, bytes)
    again = DOORS[batch.door](mended, entry.call, reception())
    assert isinstance(again, Batch)
    return again


def test_a_segment_message_refused_as_a_whole_can_be_mended_and_replayed() -> None:
    batch = decoded(CALL | {"batch": 1}, "segment")
    assert codes(batch) == ["malformed"]
    assert codes(replayed(batch, [{"op": "remove", "path": "/batch"}])) == []


CLOUD_HEADERS = {"ce_id": b"1", "ce_source": b"s", "ce_type": b"50%", "ce_time": b"today"}


@pytest.mark.parametrize("value", [b'{"plan":"pro"}', None])
def test_a_refused_cloud_event_in_headers_keeps_them_and_can_be_replayed(
    value: bytes | None,
) -> None:
    headers = CLOUD_HEADERS | {"ce_specversion": b"1.0", "content_type": b"application/json"}
    batch = decode_message(message(value, **headers), "cloudevents", reception())
    assert [one.refusal.path for one in batch.rejections] == ["time"]
    again = replayed(batch, [{"op": "remove", "path": "/time"}])
    assert [(event.name, event.id) for event in again.events] == [("50%", "s 1")]


@pytest.mark.parametrize("value", [b'{"plan"', b'{"plan":"\xff"}'])
def test_a_cloud_event_in_headers_whose_data_is_no_json_is_kept_as_its_value(value: bytes) -> None:
    headers = CLOUD_HEADERS | {"ce_specversion": b"1.0", "content_type": b"application/json"}
    batch = decoded(value, "cloudevents", **headers)
    assert (codes(batch), list(batch.items)) == (["malformed"], [value])


@pytest.mark.parametrize("shape", sorted(DECODERS))
@given(value=st.binary() | st.text().map(str.encode))
def test_whatever_a_message_holds_it_is_taken_or_refused(shape: Shape, value: bytes) -> None:
    batch = decode_message(message(value), shape, reception())
    assert len(batch.events) + len(batch.rejections) == len(batch.items)


_SCRAPS = st.sampled_from(
    [b'"\xff"', rb'"\ud800"', b"1e999", b"[]", b"{}", b"null", b'"x"', b"1", b"[[[[", b"true"]
)


@pytest.mark.parametrize("shape", sorted(DECODERS))
@given(
    fields=st.dictionaries(
        st.sampled_from(
            [
                *("id", "name", "time", "type", "event", "userId", "messageId", "timestamp"),
                *("batch", "properties", "attributes", "subject", "value", "outcome"),
            ]
        ),
        _SCRAPS | st.just(b'"2026-11-22T11:00:00Z"') | st.just(b'"track"'),
    ),
    inner=st.dictionaries(st.sampled_from(["step", "revenue", "outcome", "duration_ms"]), _SCRAPS),
)
def test_whatever_a_field_holds_its_event_is_taken_or_refused(
    shape: Shape, fields: dict[str, bytes], inner: dict[str, bytes]
) -> None:
    body = b",".join(b'"%s":%s' % (name.encode(), text) for name, text in fields.items())
    nested = b",".join(b'"%s":%s' % (name.encode(), text) for name, text in inner.items())
    value = b'{"type":"track","event":"e","userId":"u","properties":{%s},%s}' % (nested, body)
    batch = decode_message(message(value.replace(b",}", b"}")), shape, reception())
    assert len(batch.events) + len(batch.rejections) == len(batch.items)


def test_a_cloud_event_in_headers_is_read_as_its_http_binding_has_it() -> None:
    seen: list[tuple[bytes, str, Mapping[bytes, bytes]]] = []

    def decode(
        body: bytes, content_type: str, headers: Mapping[bytes, bytes], _: Reception
    ) -> Batch:
        seen.append((body, content_type, headers))
        return Batch("cloudevents", [], [])

    sent = message(
        b"{}", content_type=b"application/json", ce_id=b"50% \xc3\xbc", ce_ext_a=b"x", other=b"y"
    )
    cloudevents_by(decode)(sent, b"{}", reception())
    assert seen == [
        (b"{}", "application/json", {b"ce-id": b"50%25%20%C3%BC", b"ce-ext_a": b"x"}),
    ]
