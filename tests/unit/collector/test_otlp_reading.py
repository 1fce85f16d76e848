"""What a request of OTLP is read as, without any store."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from candor.kernel.errors import MalformedError
from candor.kernel.settings import JourneySettings, LimitSettings
from collector.receivers.decoding import Reception
from collector.receivers.otlp import PROTOBUF, read_request
from collector.receivers.otlp_json import read_json
from collector.receivers.otlp_values import may_be_nested, pseudonymise, text_of
from tests.support.otlp import log_request, span_request
from tests.support.stores import NOON, SECRETS


def reception(source: str = "") -> Reception:
    return Reception(NOON, LimitSettings(), SECRETS, source)


def read(signal: Any, message: Any, source: str = "") -> Any:  # noqa: ANN401 - a signal and its request
    return read_request(signal, message.SerializeToString(), PROTOBUF, reception(source))


@given(st.text(max_size=300), st.integers(0, 3), st.binary(max_size=3))
def test_a_nested_body_is_never_missed(text: str, depth: int, noise: bytes) -> None:
    message = log_request(noise.hex())
    value = message.resource_logs[0].scope_logs[0].log_records[0].body
    for _ in range(depth):
        value = value.array_value.values.add()
    value.string_value = text
    assert may_be_nested(message.SerializeToString(), bodies=True) or depth == 0


@pytest.mark.parametrize("size", [39, 40, 125, 126, 127, 128, 300])
def test_a_key_that_ends_like_a_tag_hides_no_nested_value(size: int) -> None:
    attribute = KeyValue(key="odd\x12")
    attribute.value.array_value.values.add().string_value = "x" * size
    assert may_be_nested(attribute.SerializeToString())


def test_a_clean_request_is_kept_byte_for_byte() -> None:
    message = span_request({"a": "b"}, {})
    request = read("traces", message)
    assert request.content(request.indices) is request.body
    assert request.body == message.SerializeToString()
    assert len(request.content([0])) < len(request.body)


def test_the_same_bytes_are_one_request_for_one_sender_alone() -> None:
    first, second = log_request("a"), log_request("b")
    digest = read("logs", first, "web").digest
    assert digest == read("logs", first, "web").digest
    assert digest != read("logs", first, "app").digest
    assert digest != read("logs", second, "web").digest
    assert read("logs", ExportLogsServiceRequest()).identities == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (AnyValue(), ""),
        (AnyValue(string_value='"'), '"'),
        (AnyValue(int_value=0), "0"),
        (AnyValue(bool_value=False), "false"),
        (AnyValue(bytes_value=b"\0"), '"AA=="'),
    ],
)
def test_a_value_has_one_text(value: AnyValue, text: str) -> None:
    assert text_of(value) == text


def test_people_are_found_in_arrays_of_maps() -> None:
    attribute = KeyValue(key="people")
    inner = attribute.value.array_value.values.add().kvlist_value.values.add(key="enduser.id")
    inner.value.int_value = 4711
    subjects = JourneySettings().subjects
    assert pseudonymise([attribute], subjects, lambda kind, value: f"{kind}:{value}")
    assert inner.value.string_value == "user_id:4711"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"resourceLogs": {}},
        {"resourceLogs": [7]},
        {"resourceLogs": [{"schemaUrl": 7}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": True}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": 1.5}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": -1}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "xyz"}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"boolValue": 1}}]}]}]},
        {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"intValue": 10**400}}]}]}]},
    ],
)
def test_json_of_another_form_is_malformed(document: object) -> None:
    with pytest.raises(MalformedError, match="ExportLogsServiceRequest"):
        read_json(json.dumps(document).encode(), ExportLogsServiceRequest)


def test_json_reads_over_what_it_does_not_know_and_what_is_null() -> None:
    record = {"timeUnixNano": "5", "severityNumber": 99, "body": None, "later": {"x": []}}
    record["body_"] = record["severity_number"] = 1
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    message = read_json(json.dumps(document).encode(), ExportLogsServiceRequest)
    read_record = message.resource_logs[0].scope_logs[0].log_records[0]
    assert (read_record.time_unix_nano, int(read_record.severity_number)) == (5, 99)
    assert not read_record.HasField("body")


def test_a_long_run_of_bytes_that_looks_like_a_number_is_no_number() -> None:
    run = b"\x12\x01\x2a" + b"\xff" * 2_000_000
    assert not may_be_nested(
        KeyValue(key="noise", value=AnyValue(bytes_value=run)).SerializeToString()
    )
