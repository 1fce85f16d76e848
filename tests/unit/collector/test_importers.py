import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from candor.kernel.errors import InvalidInputError
from collector.importers.access_log import read_access_log
from collector.importers.csv_table import read_csv, read_mapping
from collector.importers.json_lines import read_json

LINE = (
    '203.0.113.7 - - [17/May/2015:10:05:03 +0200] "GET /find?name=anna HTTP/1.1" {status} 1207'
    ' "http://example.org/" "Firefox"\n'
)
MAPPING = """
fields:
  name: visit
  time: {column: at, zone: Europe/Berlin}
  channel: {column: via, values: {Internet: web}}
  duration_ms: {column: took}
  subject: {type: user_id, column: who}
attributes:
  place: where
"""


def file(tmp_path: Path, text: str, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def test_a_log_line_becomes_a_request_without_its_query(tmp_path: Path) -> None:
    (record,) = read_access_log(file(tmp_path, LINE.format(status=200), "log.gz"), "shop")
    assert record.document | {"id": ""} == {
        "id": "",
        "name": "http.request",
        "time": "2015-05-17T10:05:03+02:00",
        "service": "shop",
        "channel": "web",
        "outcome": "ok",
        "error_code": None,
        "subject": {"type": "ip_address", "value": "203.0.113.7"},
        "attributes": {"status": 200, "method": "GET", "path": "/find", "bytes": 1207},
    }


def test_an_answer_of_5xx_is_an_error(tmp_path: Path) -> None:
    (record,) = read_access_log(file(tmp_path, LINE.format(status=503).replace("1207", "-")))
    assert (record.document["outcome"], record.document["error_code"]) == ("error", "503")
    assert "bytes" not in record.document["attributes"]


def test_the_same_lines_get_the_same_ids_and_equal_lines_different_ones(tmp_path: Path) -> None:
    path = file(tmp_path, LINE.format(status=200) * 2)
    first = [record.document["id"] for record in read_access_log(path)]
    assert first == [record.document["id"] for record in read_access_log(path)]
    assert len(set(first)) == 2


@pytest.mark.parametrize("line", ["nonsense\n", LINE.format(status=200).replace("May", "Mai")])
def test_a_line_of_another_format_is_named_and_not_repeated(tmp_path: Path, line: str) -> None:
    (record,) = read_access_log(file(tmp_path, line))
    assert (record.line, record.document) == (1, None)
    assert "203.0" not in str(record.fault)


def test_a_row_becomes_an_event_by_its_mapping(tmp_path: Path) -> None:
    path = file(tmp_path, "at,via,took,who,where\n2026-11-22 12:00:00,Internet,3.5,u1,\n")
    (record,) = read_csv(path, read_mapping(MAPPING))
    assert record.document | {"id": ""} == {
        "id": "",
        "name": "visit",
        "time": "2026-11-22T12:00:00+01:00",
        "channel": "web",
        "duration_ms": 3.5,
        "subject": {"type": "user_id", "value": "u1"},
    }


def test_rows_without_ids_get_one_from_their_content(tmp_path: Path) -> None:
    path = file(tmp_path, "at,via,took,who,where\n" + "2026-11-22T12:00:00Z,Desk,,,x\n" * 2)
    records = [record.document for record in read_csv(path, read_mapping(MAPPING))]
    assert len({record["id"] for record in records}) == 2
    assert records[0]["attributes"] == {"place": "x"}
    assert "subject" not in records[0]


@pytest.mark.parametrize("row", ["noon,web,1,u,", "2026-11-22T12:00:00Z,web,long,u,"])
def test_a_cell_that_does_not_fit_is_named_by_its_field(tmp_path: Path, row: str) -> None:
    (record,) = read_csv(file(tmp_path, f"at,via,took,who,where\n{row}\n"), read_mapping(MAPPING))
    assert record.line == 2
    assert record.fault in {
        "The column of time does not hold one.",
        "The column of duration_ms does not hold one.",
    }


def test_a_time_without_a_zone_needs_one_in_the_mapping(tmp_path: Path) -> None:
    mapping = read_mapping("fields: {name: x, id: {column: id}, time: {column: at}}")
    (record,) = read_csv(file(tmp_path, "id,at\n1,2026-11-22 12:00:00\n"), mapping)
    assert record.fault == "The column of time does not hold one."


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="via, where, who"):
        list(read_csv(file(tmp_path, "at,took\n"), read_mapping(MAPPING)))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[", None),
        ("[]", "fields"),
        ("fields: {name: x}", "fields.time"),
        ("fields: {time: {column: a}}", "fields.name"),
        ("fields: {name: x, time: {column: a}, speed: 1}", "fields.speed"),
        ("fields: {name: x, time: {column: a}}\nmore: 1", "more"),
        ("fields: {name: x, time: {colum: a}}", "fields.time"),
        ("fields: {name: x, time: {column: a, zone: Mars/North}}", "fields.time"),
        ("fields: {name: x, time: {column: a}, subject: {column: a}}", "fields.subject"),
        ("fields: {name: x, time: {column: a}}\nattributes: [a]", "attributes"),
    ],
)
def test_a_fault_of_a_mapping_is_named(text: str, path: str | None) -> None:
    with pytest.raises(InvalidInputError) as raised:
        read_mapping(text)
    assert raised.value.path == path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (' \n [{"a": 1}, {"a": 2}]', [(1, {"a": 1}, None), (2, {"a": 2}, None)]),
        ('{"a": 1}\n\n{"a": 2}\n', [(1, {"a": 1}, None), (3, {"a": 2}, None)]),
        ('{"batch": [{"a": 1}, {"a": 2}]}', [(1, {"a": 1}, None), (1, {"a": 2}, None)]),
        ('{"a": 1}\n{"a"', [(1, {"a": 1}, None), (2, None, "The line is not JSON.")]),
        ("[1", [(1, None, "The file is not a JSON array.")]),
        ("", []),
    ],
)
def test_json_is_read_as_array_lines_or_batch(
    tmp_path: Path, text: str, found: list[tuple[int, Any, str | None]]
) -> None:
    records = read_json(file(tmp_path, text))
    assert [(one.line, one.document, one.fault) for one in records] == found


def test_json_lines_may_be_packed(tmp_path: Path) -> None:
    path = file(tmp_path, json.dumps({"a": 1}), "lines.gz")
    assert [one.document for one in read_json(path)] == [{"a": 1}]
