import struct
from datetime import timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.ids import new_id
from collector.segment import (
    PREAMBLE,
    Damage,
    Record,
    header_of,
    opened_at,
    read_records,
    read_segment,
    seed_of,
    segment_at,
    segment_name,
    torn_from,
)
from tests.support.stores import NOON

TOKEN = new_id(NOON)
SEED = seed_of(TOKEN)
RECORDS = st.lists(
    st.builds(Record, payload=st.binary(max_size=60), count=st.integers(0, 2**32 - 1)), max_size=5
)


def framed(record: Record, seed: int = SEED) -> bytes:
    return header_of(record.payload, record.count, seed) + record.payload


def written(records: list[Record]) -> bytes:
    return PREAMBLE + b"".join(map(framed, records))


def segment_of(content: bytes) -> Path:
    path = Path(segment_name(TOKEN, "events", ".open"))
    path.write_bytes(content)
    return path


def damages(path: Path) -> list[Damage]:
    return [part for part in read_segment(path) if isinstance(part, Damage)]


@given(RECORDS, st.data())
def test_any_prefix_of_a_segment_holds_a_prefix_of_its_records(
    records: list[Record], data: st.DataObject
) -> None:
    content = written(records)
    cut = data.draw(st.integers(0, len(content)))
    path = segment_of(content[:cut])
    found = list(read_records(path))
    assert found == records[: len(found)]
    assert torn_from(path) == (len(written(found)) if cut >= len(PREAMBLE) else 0)
    assert len(found) == len(records) or cut < len(content)


@given(RECORDS.filter(bool), st.data())
def test_a_flipped_byte_costs_no_other_record_and_invents_none(
    records: list[Record], data: st.DataObject
) -> None:
    content = bytearray(written(records))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    path = segment_of(bytes(content))
    ends = [len(written(records[: number + 1])) for number in range(len(records))]
    hit = next(number for number, end in enumerate(ends) if position < end)
    expected = list(records)
    if position >= len(PREAMBLE):
        del expected[hit]
    assert list(read_records(path)) == expected
    (damage,) = damages(path)
    assert damage.position <= position < damage.position + len(damage.content)
    assert bytes(damage.content) == bytes(content[damage.position :][: len(damage.content)])
    assert not damage.torn or len(damage.content) < len(framed(Record(b"", 0)))


@given(RECORDS, st.data())
def test_overwritten_bytes_leave_every_record_outside_them(
    records: list[Record], data: st.DataObject
) -> None:
    content = bytearray(written(records))
    start = data.draw(st.integers(0, len(content)))
    room = len(content) - start
    noise = data.draw(st.binary(max_size=room) | st.just((bytes(content) * 2)[: room // 2]))
    content[start : start + len(noise)] = noise
    path = segment_of(bytes(content))
    found = list(read_records(path))
    assert all(record in records for record in found)
    for number, record in enumerate(records):
        begin, end = len(written(records[:number])), len(written(records[: number + 1]))
        if end <= start or begin >= start + len(noise):
            assert record in found


@given(st.binary(max_size=30), st.integers(0, 19))
def test_what_looks_like_a_record_inside_a_payload_is_none(hidden: bytes, flipped: int) -> None:
    outer = Record(framed(Record(hidden, 1), seed_of(new_id(NOON))), 1)
    content = bytearray(written([outer, Record(b"after", 2)]))
    content[len(PREAMBLE) + flipped] ^= 0xFF
    assert list(read_records(segment_of(bytes(content)))) == [Record(b"after", 2)]


def test_a_tail_of_nothing_but_room_is_torn() -> None:
    whole = written([Record(b"a", 1)])
    assert torn_from(segment_of(whole + bytes(4096))) == len(whole)


def test_a_bad_last_record_of_full_length_is_not_taken_for_a_torn_one() -> None:
    content = written([Record(b"a", 1), Record(b"acknowledged", 1)])
    path = segment_of(content[:-1] + b"?")
    assert torn_from(path) == len(content)
    assert [damage.torn for damage in damages(path)] == [False]


def test_a_segment_of_another_format_is_damage_as_a_whole() -> None:
    content = struct.pack("<III", 5, 1, 0) + b"older format"
    path = segment_of(content)
    assert [bytes(damage.content) for damage in damages(path)] == [content]


def test_a_segments_name_says_what_it_holds_and_when_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / segment_name(TOKEN, "traces", ".sealed")
    path.write_bytes(b"abc")
    segment = segment_at(path)
    assert (segment.token, segment.signal, segment.size_bytes) == (TOKEN, "traces", 3)
    at = NOON + timedelta(milliseconds=7)
    assert opened_at(new_id(at)) == at
