"""The engine's log of insert tokens, against the parts that are there."""

from pathlib import Path

import pytest

from candor.kernel.insert_log import take_back_torn_inserts


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "a57" / "a573e97c"
    (folder / "deduplication_logs").mkdir(parents=True)
    return folder


def write(table: Path, number: int, *records: str, tail: str = "") -> None:
    text = "".join(f"{record}\n" for record in records) + tail
    log_of(table, number).write_text(text, encoding="ascii")


def log_of(table: Path, number: int) -> Path:
    return table / "deduplication_logs" / f"deduplication_log_{number}.txt"


def test_tokens_whose_part_is_not_there_are_dropped_and_all_others_stay(
    tmp_path: Path, table: Path
) -> None:
    for part in ("202611_1_3_1", "202611_6_6_0_9", "202610_5_5_0", "tmp_insert_202611_5_5_0"):
        (table / part).mkdir()
    write(
        table, 1, "1\t202611_2_2_0\tmerged", "1\t202611_4_4_0\tdropped", "2\t202611_4_4_0\tdropped"
    )
    write(
        table,
        10,
        "1\t202611_5_5_0\ttorn",
        "1\t202611_6_6_0\tmutated",
        "1\t202611_2_4_1\twider than what is there",
        "1\tof another kind\tunknown",
        "3\t202611_9_9_0\tof another kind too",
        "what the engine will complain about",
    )
    assert take_back_torn_inserts(tmp_path) == 2
    assert log_of(table, 10).read_text(encoding="ascii").splitlines()[6:] == [
        "2\t202611_5_5_0\ttorn",
        "2\t202611_2_4_1\twider than what is there",
    ]
    assert take_back_torn_inserts(tmp_path) == 0  # once is enough


def test_a_token_that_came_again_after_it_was_dropped_is_judged_by_its_last_part(
    tmp_path: Path, table: Path
) -> None:
    (table / "202611_7_7_0").mkdir()
    write(table, 1, "1\t202611_5_5_0\tx", "2\t202611_5_5_0\tx", "1\t202611_7_7_0\tx")
    assert take_back_torn_inserts(tmp_path) == 0


def test_a_record_that_was_torn_is_cut_before_anything_is_written_behind_it(
    tmp_path: Path, table: Path
) -> None:
    write(table, 1, "1\t202611_5_5_0\tx", tail="1\t2026")
    assert take_back_torn_inserts(tmp_path) == 1
    assert log_of(table, 1).read_text(encoding="ascii") == (
        "1\t202611_5_5_0\tx\n2\t202611_5_5_0\tx\n"
    )


def test_a_table_without_a_log_and_a_folder_without_tables_have_nothing_to_mend(
    tmp_path: Path, table: Path
) -> None:
    assert table.is_dir()
    assert take_back_torn_inserts(tmp_path) == 0
    assert take_back_torn_inserts(tmp_path / "nowhere") == 0
