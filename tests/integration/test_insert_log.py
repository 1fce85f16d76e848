"""What an embedded engine is opened with: a killed insert is not lost, and nobody waits for it."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import preloaded
from tests.support.server import query_stores

ROLLUPS = ("events_by_minute", "events_by_hour")
TABLES = ("events", "events_by_subject", *ROLLUPS)
INSERT = """
import sys
from candor.kernel.clock import utc_now
from candor.kernel.migrate import migrate_telemetry
from candor.kernel.settings import load_settings
from candor.kernel.telemetry_store import open_telemetry_store
from collector.event import Event
from collector.store import encode_events, insert_events
settings = load_settings()
store = open_telemetry_store(settings.telemetry_dsn, settings.telemetry)
migrate_telemetry(store, utc_now)
now = utc_now()
for token in sys.argv[1:]:
    ids = (f"{token}-{number}" for number in range(20))
    made = [Event(one, "native", "a", "", now, now, subject_key="k") for one in ids]
    insert_events(store, [encode_events(made)], token)
store.close()
"""


def insert(folder: Path, *tokens: str) -> None:
    """Insert twenty events under each token, in a process of its own."""
    done = preloaded.run(["-c", INSERT, *tokens], folder, os.environ)
    assert done.returncode == 0, done.stderr


def counts(folder: Path) -> list[int]:
    """Return how many events each table tells of."""
    told = query_stores(
        folder,
        "SELECT (SELECT count() FROM events) AS events,"
        " (SELECT count() FROM events_by_subject) AS events_by_subject,"
        " (SELECT sum(events) FROM events_by_minute) AS events_by_minute,"
        " (SELECT sum(events) FROM events_by_hour) AS events_by_hour",
    )
    return [told[0][table] for table in TABLES]


def part_of_last_insert(folder: Path, table: str) -> Path:
    """Return the directory of the part that came last into a table."""
    data = folder / ".candor" / "telemetry" / "data" / "candor" / table
    return max(data.resolve().glob("*_*_*_*"), key=lambda part: int(part.name.split("_")[2]))


def test_an_insert_that_was_killed_between_token_and_part_is_stored_when_it_is_repeated(
    tmp_path: Path,
) -> None:
    insert(tmp_path, "one", "two")
    assert counts(tmp_path) == [40, 40, 40, 40]
    insert(tmp_path, "two")
    assert counts(tmp_path) == [40, 40, 40, 40]  # known by its token
    for table in TABLES:  # what a kill leaves that came before each part had its name
        shutil.rmtree(part_of_last_insert(tmp_path, table))
    assert counts(tmp_path) == [20, 20, 20, 20]
    insert(tmp_path, "two", "one")
    assert counts(tmp_path) == [40, 40, 40, 40]
    insert(tmp_path, "two", "one")
    assert counts(tmp_path) == [40, 40, 40, 40]


@pytest.mark.parametrize("lost", [ROLLUPS, ROLLUPS[:1], ROLLUPS[1:]])
def test_a_kill_between_a_table_and_its_views_is_made_good_by_the_same_repetition(
    tmp_path: Path, lost: Sequence[str]
) -> None:
    insert(tmp_path, "one", "two")
    for table in lost:
        shutil.rmtree(part_of_last_insert(tmp_path, table))
    insert(tmp_path, "two")
    assert counts(tmp_path) == [40, 40, 40, 40]


WATCHER_OF_MEMORY = -20
"""The niceness of a thread of the engine that bears, for a while, the name of its starter."""

OPEN = """
import os
from pathlib import Path
from candor.kernel.settings import load_settings
from candor.kernel.telemetry_store import open_telemetry_store
settings = load_settings()
store = open_telemetry_store(settings.telemetry_dsn, settings.telemetry)
store.query("SELECT 1")
for task in Path("/proc/self/task").iterdir():
    print((task / "comm").read_text().strip(), os.getpriority(os.PRIO_PROCESS, int(task.name)))
print("own", os.getpriority(os.PRIO_PROCESS, 0))
store.close()
"""


def test_what_the_engine_does_behind_the_scenes_goes_after_whoever_waits(tmp_path: Path) -> None:
    done = preloaded.run(["-c", OPEN], tmp_path, os.environ)
    assert done.returncode == 0, done.stderr
    told = [line.rsplit(maxsplit=1) for line in done.stdout.splitlines()]
    behind = {int(niceness) for name, niceness in told if name == "BgSchPool"}
    (own,) = (int(niceness) for name, niceness in told if name == "own")
    behind.discard(WATCHER_OF_MEMORY)
    assert (own, behind) == (os.getpriority(os.PRIO_PROCESS, 0), {10})
