import errno
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.trace import NoOpTracer

from candor.kernel.errors import UnavailableError
from candor.kernel.metrics import Metrics, new_metrics
from candor.kernel.settings import SpoolSettings
from candor.kernel.telemetry_store import UnreadablePayloadError
from collector.loader import Loader
from collector.spool import Spool
from tests.support.stores import FixedClock


class FakeStore:
    """Keeps what is inserted, once for each token; fails as told."""

    def __init__(self, failures: Sequence[Exception] = (), bad: bytes = b"bad") -> None:
        self.rows: dict[str, list[bytes]] = {}
        self.failures = list(failures)
        self.bad = bad
        self.tried = threading.Event()

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        payloads: Sequence[bytes | memoryview],
        fmt: str,
        token: str,
    ) -> None:
        del table, columns, fmt
        self.tried.set()
        if self.failures:
            raise self.failures.pop(0)
        if self.bad in payloads:
            raise UnreadablePayloadError("no")
        self.rows.setdefault(token, [bytes(payload) for payload in payloads])

    def query(self, statement: str, parameters: Mapping[str, object] | None = None) -> None:
        raise NotImplementedError


@contextmanager
def spool_with(folder: Path, *payloads: bytes) -> Iterator[tuple[Spool, Metrics]]:
    metrics = new_metrics()
    settings = SpoolSettings.model_validate({"segment_age": "PT1H", "min_free_disk_bytes": 0})
    spool = Spool(folder, settings, FixedClock(), metrics)
    with spool.running():
        for payload in payloads:
            spool.submit("events", payload, 1)
        spool.seal()
        yield spool, metrics


def loader_on(spool: Spool, store: FakeStore, metrics: Metrics) -> Loader:
    return Loader(spool, store, metrics, NoOpTracer())  # type: ignore[arg-type]  # a fake of the store's insert


def test_a_segment_is_one_insert_and_is_removed_after_it(tmp_path: Path) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a", b"b") as (spool, metrics):
        loader_on(spool, store, metrics).load_waiting()
        assert list(store.rows.values()) == [[b"a", b"b"]]
        assert list(tmp_path.iterdir()) == []


def test_a_segment_stays_when_the_store_is_away(tmp_path: Path) -> None:
    store = FakeStore([UnavailableError("away")])
    with spool_with(tmp_path, b"a") as (spool, metrics):
        with pytest.raises(UnavailableError):
            loader_on(spool, store, metrics).load_waiting()
        assert len(spool.sealed()) == 1


@pytest.mark.parametrize("failure", [UnavailableError("away"), OSError(errno.EIO, "disk")])
def test_the_background_loader_tries_again_until_it_succeeds(
    tmp_path: Path, failure: Exception
) -> None:
    store = FakeStore([failure])
    with spool_with(tmp_path, b"a") as (spool, metrics):
        tokens = [segment.token for segment in spool.sealed()]
        with loader_on(spool, store, metrics).running():
            assert spool.wait_until_loaded(tokens, 30)
        assert list(store.rows) == tokens
        assert b"candor_load_failures_total 1.0" in metrics.exposition()


def test_only_the_record_that_cannot_be_read_is_kept_back(tmp_path: Path) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a", b"bad", b"c") as (spool, metrics):
        loader_on(spool, store, metrics).load_waiting()
        assert sorted(store.rows.values()) == [[b"a"], [b"c"]]
        assert [path.suffix for path in tmp_path.iterdir()] == [".stuck"]
        assert spool.sealed() == []


def test_a_segment_that_is_readable_record_by_record_is_removed(tmp_path: Path) -> None:
    store = FakeStore([UnreadablePayloadError("only as a whole")])
    with spool_with(tmp_path, b"a", b"b") as (spool, metrics):
        loader_on(spool, store, metrics).load_waiting()
        assert sorted(store.rows.values()) == [[b"a"], [b"b"]]
        assert list(tmp_path.iterdir()) == []


def test_a_stopping_loader_begins_no_further_segment(tmp_path: Path) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a") as (spool, metrics):
        loader = loader_on(spool, store, metrics)
        loader._stopping.set()
        loader.load_waiting()
        assert store.rows == {}


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(bytes(content))


def test_a_record_that_went_bad_on_the_disk_is_kept_apart_and_the_others_are_loaded(
    tmp_path: Path,
) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a", b"went bad", b"c") as (spool, metrics):
        (segment,) = spool.sealed()
        position = segment.path.read_bytes().index(b"went bad")
        flip(segment.path, position)
        loader_on(spool, store, metrics).load_waiting()
        assert list(store.rows.values()) == [[b"a", b"c"]]
        (kept,) = tmp_path.iterdir()
        assert kept.suffix == ".corrupt"
        assert kept.read_bytes().endswith(bytes([ord("w") ^ 0xFF]) + b"ent bad")
        assert metrics.registry.get_sample_value("candor_spool_records_corrupt") == 1


def test_a_segment_with_nothing_whole_is_kept_apart_without_an_insert(tmp_path: Path) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a") as (spool, metrics):
        segment = spool.sealed()[0]
        segment.path.write_bytes(b"something else altogether")
        loader_on(spool, store, metrics).load_waiting()
        assert store.rows == {}
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"something else altogether"]


def test_a_segment_is_kept_whole_where_the_disk_does_not_take_its_bad_part(tmp_path: Path) -> None:
    store = FakeStore()
    with spool_with(tmp_path, b"a", b"b") as (spool, metrics):
        segment = spool.sealed()[0]
        flip(segment.path, segment.size_bytes - 1)
        start = segment.path.read_bytes().index(b"\xc3\xff", 9 + len(b"a"))
        (tmp_path / f"{segment.path.stem}-{start}.corrupt").mkdir()
        loader_on(spool, store, metrics).load_waiting()
        assert list(store.rows.values()) == [[b"a"]]
        assert {path.suffix for path in tmp_path.iterdir()} == {".stuck", ".corrupt"}
        assert spool.sealed() == []


def test_inserts_are_timed(tmp_path: Path) -> None:
    with spool_with(tmp_path, b"a") as (spool, metrics):
        loader_on(spool, FakeStore(), metrics).load_waiting()
        labels = {"signal": "events"}
        assert metrics.registry.get_sample_value("candor_insert_seconds_count", labels) == 1
