from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from collector.segment import Record, header_of, read_records, segment_at, whole_bytes

RECORDS = st.lists(
    st.builds(Record, payload=st.binary(max_size=60), count=st.integers(0, 2**32 - 1)), max_size=5
)


def written(records: list[Record]) -> bytes:
    return b"".join(header_of(one.payload, one.count) + one.payload for one in records)


@given(RECORDS, st.data())
def test_any_prefix_of_a_segment_holds_a_prefix_of_its_records(
    records: list[Record], data: st.DataObject
) -> None:
    content = written(records)
    cut = data.draw(st.integers(0, len(content)))
    path = Path("segment")
    path.write_bytes(content[:cut])
    found = list(read_records(path))
    assert found == records[: len(found)]
    assert whole_bytes(path) == len(written(found))
    assert len(found) == len(records) or cut < len(content)


@given(RECORDS.filter(bool), st.data())
def test_a_flipped_byte_is_noticed(records: list[Record], data: st.DataObject) -> None:
    content = bytearray(written(records))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 0xFF
    path = Path("segment")
    path.write_bytes(bytes(content))
    assert list(read_records(path)) != records


def test_a_segments_name_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "0192-aa-traces.sealed"
    path.write_bytes(b"abc")
    segment = segment_at(path)
    assert (segment.token, segment.signal, segment.size_bytes) == ("0192-aa", "traces", 3)
