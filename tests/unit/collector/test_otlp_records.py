"""Single records of a request, in the form in which they are kept."""

from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.ports import OtlpSignal
from collector.receivers.otlp_json import read_json, write_json
from collector.receivers.otlp_record import LoneRecords, mended_record, open_record, record_document
from collector.receivers.otlp_shape import SHAPES
from tests.support.otlp import log_request, metric_request, span_request

NUMBERS = st.floats(allow_nan=False)
ATTRIBUTES = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)


def alone(
    signal: OtlpSignal,
    message: Any,  # noqa: ANN401 - a request
    *,
    digest: str = "",
    left_out: Collection[int] = (),
    most_bytes: int = 1_000_000,
) -> LoneRecords:
    return LoneRecords(signal, lambda: message, digest, left_out, most_bytes)


@given(st.lists(ATTRIBUTES, max_size=4), st.lists(ATTRIBUTES, max_size=3), NUMBERS)
def test_all_records_together_are_the_request_in_its_order(
    spans: list[dict[str, str]], more: list[dict[str, str]], number: float
) -> None:
    message = span_request(*spans)
    message.MergeFrom(span_request(*more))
    for resource in message.resource_spans:
        for span in resource.scope_spans[0].spans:
            span.attributes.add(key="n").value.double_value = number
    records = [open_record("traces", item)[1] for item in alone("traces", message)]
    sent = [span for part in message.resource_spans for span in part.scope_spans[0].spans]
    kept = [request.resource_spans[0].scope_spans[0].spans[0] for request in records]  # type: ignore[attr-defined]  # of traces
    assert kept == sent
    assert all(len(request.resource_spans) == 1 for request in records)  # type: ignore[attr-defined]  # as above


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        ("traces", span_request({"a": 1, "traceId": "x"}, {"b": {"spanId": "y"}})),
        ("logs", log_request("a", "b", plan="pro")),
        ("metrics", metric_request()),
    ],
)
def test_a_document_says_all_that_the_message_says(signal: OtlpSignal, message: Any) -> None:  # noqa: ANN401 - a request
    document = msgspec.json.encode(write_json(message))
    assert read_json(document, SHAPES[signal].request) == message


def test_a_record_knows_its_request_and_its_place() -> None:
    items = alone("logs", log_request("a", "a"), digest="f" * 32)
    assert items[0] != items[1]
    assert [open_record("logs", item)[0][-2:] for item in items] == ["-0", "-1"]
    again = mended_record("logs", items[1], b"{}")
    assert open_record("logs", again)[0] == "f" * 32 + "-1"


def test_what_is_left_out_is_empty() -> None:
    items = alone("logs", log_request("a", "b", "c"), left_out={1})
    assert [bool(item) for item in items] == [True, False, True]


def test_together_they_weigh_no_more_than_they_may() -> None:
    one = len(alone("logs", log_request("a"))[0])
    items = alone("logs", log_request(*"abcd"), most_bytes=2 * one + 1)
    assert [bool(item) for item in items] == [True, True, False, False]
    assert [len(item) for item in items[:2]] == [one, one]


def test_a_metric_without_data_has_no_record() -> None:
    message = metric_request()
    message.resource_metrics[0].scope_metrics[0].metrics.add(name="empty")
    assert len(alone("metrics", message)) == 5


def test_a_data_point_is_kept_without_its_siblings() -> None:
    message = metric_request()
    gauge = message.resource_metrics[0].scope_metrics[0].metrics[0].gauge
    gauge.data_points.add(time_unix_nano=1, as_int=7)
    document = record_document("metrics", alone("metrics", message)[1])
    [metric] = document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    assert metric["name"] == "gauge"
    assert metric["gauge"]["dataPoints"] == [{"timeUnixNano": "1", "asInt": "7"}]
