"""How a re-scan cuts tables into pages and samples, and what it leaves alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.field_ports import NoMarks
from privacy.pii.guard import Marks
from privacy.pii.rescan_places import Column, Table
from privacy.pii.rescan_rows import PageScanner
from privacy.pii.rescan_store import PAGE_ROWS, _stretches, sample_mask
from tests.support.pii import guard

MINUTES = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 99), st.integers(1, 2 * PAGE_ROWS)),
    unique_by=lambda one: one[:2],
)
TABLE = Table("notes", "time", (Column("note", ("note",)), Column("more", ("more",), "map")))


def scan(note: str, more: Sequence[tuple[str, str]] = ()) -> Any:  # noqa: ANN401 - a PageScan
    columns: list[list[Any]] = [[note], [list(more)], [""], [""], ["d"]]
    return PageScanner(guard(), TABLE, Marks(NoMarks())).scan(columns)


@given(minutes=MINUTES)
def test_every_row_is_in_one_page_and_no_page_without_need_too_large(
    minutes: list[tuple[str, int, int]],
) -> None:
    counted: list[Mapping[str, Any]] = [
        {"partition": partition, "whole_minute": minute, "rows": rows}
        for partition, minute, rows in sorted(minutes)
    ]
    stretches = list(_stretches(counted))
    for one in counted:
        (held,) = (
            s for s in stretches if s[0] == one["partition"] and s[1] <= one["whole_minute"] <= s[2]
        )
        assert held[3] <= PAGE_ROWS or held[1] == held[2]
    assert sum(s[3] for s in stretches) == sum(one["rows"] for one in counted)


@given(rows=st.integers(0, 10**9), wanted=st.integers(1, 10**6))
def test_a_sample_expects_as_many_rows_as_wanted_and_not_twice_as_many_and_more(
    rows: int, wanted: int
) -> None:
    expected = rows / (sample_mask(rows, wanted) + 1)
    assert min(rows, wanted) <= expected <= max(2 * wanted, 1)


@given(rows=st.integers(0, 10**9), wanted=st.integers(1, 10**6))
def test_a_smaller_sample_is_part_of_a_larger_one(rows: int, wanted: int) -> None:
    larger, smaller = sample_mask(rows, wanted), sample_mask(rows, max(wanted // 2, 1))
    assert larger & smaller == larger


@pytest.mark.parametrize(
    "treated",
    [
        "[PERSON]",
        "[PERSON:0123456789abcdef0123456789abcdef]",
        "tok_6Yk0mJ2c5q0J9m2m0Jx2vA",
        "masked-0123456789abcdef0123456789abcdef",
        f"enc1.{'a' * 16}.{'b' * 40}",
        "Xxxx Xxx",
    ],
)
def test_what_was_treated_is_no_finding_and_stays(treated: str) -> None:
    made = scan(treated, [("full_name", treated)])
    assert (made.found, made.changed) == ([], {})


def test_beside_what_was_treated_the_rest_is_treated() -> None:
    made = scan("tok_6Yk0mJ2c5q0J9m2m0Jx2vA wrote to jane@example.org")
    assert made.changed[0][0] == "tok_6Yk0mJ2c5q0J9m2m0Jx2vA wrote to [EMAIL_ADDRESS]"


def test_keys_that_are_masked_alike_stay_apart() -> None:
    made = scan("", [("a@example.org", "1"), ("b@example.org", "2"), ("plan", "gold")])
    keys = [key for key, _ in made.changed[0][1]]
    assert keys[0] == "[EMAIL_ADDRESS]"
    assert keys[1].startswith("[EMAIL_ADDRESS]#")
    assert [text for _, text in made.changed[0][1]] == ["1", "2", "gold"]


def test_both_values_of_a_key_that_stands_twice_are_looked_at() -> None:
    made = scan("", [("to", "jane@example.org"), ("to", "nobody")])
    assert made.changed[0][1] == [("to", "[EMAIL_ADDRESS]"), ("to", "nobody")]
