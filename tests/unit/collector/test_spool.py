import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from candor.kernel.errors import OverloadedError, UnavailableError
from candor.kernel.ids import new_id
from candor.kernel.metrics import new_metrics
from candor.kernel.settings import SpoolSettings
from collector.errors import SpoolBrokenError
from collector.segment import PREAMBLE, Damage, header_of, read_records, seed_of
from collector.spool import Spool
from tests.support.stores import NOON, FixedClock

LONG = {"segment_age": "PT1H", "min_free_disk_bytes": 0}


def spool_in(folder: Path, sync: Callable[[int], None] = os.fdatasync, **settings: object) -> Spool:
    effective = SpoolSettings.model_validate(LONG | settings)
    return Spool(folder, effective, FixedClock(), new_metrics(), sync)


@contextmanager
def running(spool: Spool) -> Iterator[Spool]:
    with spool.running():
        yield spool


def test_a_record_is_on_the_disk_when_its_future_is_done(tmp_path: Path) -> None:
    with running(spool_in(tmp_path)) as spool:
        token = spool.submit("events", b"payload", 3).result()
        (path,) = tmp_path.glob("*.open")
        assert path.name == f"{token}-events.open"
        assert [(one.payload, one.count) for one in read_records(path)] == [(b"payload", 3)]


def test_sealing_hands_out_what_was_submitted_before(tmp_path: Path) -> None:
    with running(spool_in(tmp_path)) as spool:
        tokens = {spool.submit("events", b"a", 1).result() for _ in range(2)}
        spool.submit("traces", b"b", 1)
        spool.seal()
        assert len(tokens) == 1
        assert {one.signal for one in spool.sealed()} == {"events", "traces"}
        assert list(tmp_path.glob("*.open")) == []


def test_a_large_segment_is_sealed_by_itself(tmp_path: Path) -> None:
    with running(spool_in(tmp_path, segment_bytes=4096)) as spool:
        spool.submit("events", b"x" * 5000, 1).result()
        spool.wait_for_segments(10)
        assert len(spool.sealed()) == 1


def test_an_old_segment_is_sealed_by_itself(tmp_path: Path) -> None:
    with running(spool_in(tmp_path, segment_age="PT0.01S")) as spool:
        spool.submit("events", b"x", 1).result()
        spool.wait_for_segments(10)
        assert len(spool.sealed()) == 1


def test_closing_seals_what_is_open_and_may_be_repeated(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with running(spool):
        spool.submit("events", b"x", 1)
    spool.close()
    assert [path.suffix for path in tmp_path.iterdir()] == [".sealed"]


def test_a_torn_tail_is_cut_and_the_rest_is_handed_out(tmp_path: Path) -> None:
    token, other = new_id(NOON), new_id(NOON)
    seed = seed_of(token)
    whole = PREAMBLE + header_of(b"whole", 1, seed) + b"whole"
    torn = header_of(b"torn", 1, seed) + b"to"
    (tmp_path / f"{token}-events.open").write_bytes(whole + torn)
    (tmp_path / f"{other}-events.open").write_bytes(PREAMBLE + b"nothing")
    with running(spool_in(tmp_path)) as spool:
        (segment,) = spool.sealed()
        assert segment.path.read_bytes() == whole
        assert not (tmp_path / f"{other}-events.open").exists()


def test_a_failed_sync_is_told_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    failures = iter([False, True])

    def sync(descriptor: int) -> None:
        if next(failures, False):
            raise OSError(errno.EIO, "broken")
        os.fdatasync(descriptor)

    with running(spool_in(tmp_path, sync)) as spool:
        spool.submit("events", b"kept", 1).result()
        with pytest.raises(UnavailableError, match="send the same request again"):
            spool.submit("events", b"lost", 1).result()
        assert spool.submit("events", b"next", 1).result()
        spool.seal()
        payloads = [
            bytes(one.payload) for part in spool.sealed() for one in read_records(part.path)
        ]
    assert sorted(payloads) == [b"kept", b"next"]


def test_a_first_write_that_fails_leaves_no_segment(tmp_path: Path) -> None:
    def sync(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    with running(spool_in(tmp_path, sync)) as spool:
        with pytest.raises(UnavailableError):
            spool.submit("events", b"lost", 1).result()
        spool.refuse_when_full()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_shuts_the_doors_and_opens_them_by_itself(tmp_path: Path) -> None:
    full = threading.Event()
    full.set()

    def sync(descriptor: int) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "full")
        os.fdatasync(descriptor)

    with running(spool_in(tmp_path, sync)) as spool:
        with pytest.raises(OverloadedError, match="disk"):
            spool.submit("events", b"lost", 1).result()
        with pytest.raises(OverloadedError, match="disk"):
            spool.refuse_when_full()
        full.clear()
        wait_until_taken(spool)
        assert spool.submit("events", b"next", 1).result()
    (path,) = tmp_path.iterdir()
    assert [bytes(record.payload) for record in read_records(path)] == [b"next"]


def test_a_segment_that_cannot_be_cut_stops_the_spool_until_it_can(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    failures = iter([False, True])

    def sync(descriptor: int) -> None:
        if next(failures, False):
            (path,) = tmp_path.glob("*.open")
            path.rename(elsewhere)
            path.mkdir()
            raise OSError(errno.EIO, "gone")
        os.fdatasync(descriptor)

    with running(spool_in(tmp_path, sync)) as spool:
        spool.submit("events", b"kept", 1).result()
        with pytest.raises(UnavailableError):
            spool.submit("events", b"lost", 1).result()
        with pytest.raises(SpoolBrokenError):
            spool.refuse_when_full()
        with pytest.raises(SpoolBrokenError):
            spool.submit("events", b"lost too", 1).result()
        (path,) = tmp_path.glob("*.open")
        path.rmdir()
        elsewhere.rename(path)
        wait_until_taken(spool)
        (segment,) = spool.sealed()
    assert [bytes(record.payload) for record in read_records(segment.path)] == [b"kept"]


def wait_until_taken(spool: Spool) -> None:
    pause = threading.Event()
    for _ in range(600):
        try:
            spool.refuse_when_full()
        except UnavailableError:
            pause.wait(0.05)
        else:
            return
    raise AssertionError("the spool did not recover")


def test_bytes_that_went_bad_are_kept_once_and_counted(tmp_path: Path) -> None:
    spool = spool_in(tmp_path)
    with running(spool):
        spool.submit("events", b"x", 1)
        spool.seal()
        (segment,) = spool.sealed()
        damage = Damage(8, memoryview(b"bad"), torn=False)
        spool.keep_corrupt(segment, damage)
        spool.keep_corrupt(segment, damage)
        kept = tmp_path / f"{segment.token}-events-8.corrupt"
        assert kept.read_bytes() == b"bad"
        assert b"candor_spool_records_corrupt 1.0" in spool._metrics.exposition()


def test_what_waits_and_how_long_is_measured(tmp_path: Path) -> None:
    clock, syncing, go_on = FixedClock(), threading.Event(), threading.Event()

    def sync(descriptor: int) -> None:
        syncing.set()
        go_on.wait(30)
        os.fdatasync(descriptor)

    metrics = new_metrics()
    spool = Spool(tmp_path, SpoolSettings.model_validate(LONG), clock, metrics, sync)
    value = metrics.registry.get_sample_value
    with running(spool):
        write = spool.submit("events", b"12345", 1)
        assert syncing.wait(30)
        assert (value("candor_spool_oldest_unsynced_seconds") or 0) > 0
        go_on.set()
        write.result()
        clock.pass_by(timedelta(seconds=9))
        assert value("candor_spool_bytes") == 5
        assert value("candor_loader_lag_seconds") == 9
        spool.seal()
        spool.remove(spool.sealed()[0])
        assert value("candor_spool_bytes") == 0
        assert value("candor_loader_lag_seconds") == 0


def test_a_full_spool_refuses_and_takes_again_when_drained(tmp_path: Path) -> None:
    with running(spool_in(tmp_path, max_bytes=4096)) as spool:
        spool.refuse_when_full()
        spool.submit("events", b"x" * 4096, 1).result()
        with pytest.raises(OverloadedError):
            spool.refuse_when_full()
        spool.seal()
        for segment in spool.sealed():
            spool.remove(segment)
        spool.refuse_when_full()
        assert spool.wait_until_loaded([], 1)


def test_a_nearly_full_disk_refuses(tmp_path: Path) -> None:
    with (
        running(spool_in(tmp_path, min_free_disk_bytes=2**62)) as spool,
        pytest.raises(OverloadedError, match="disk"),
    ):
        spool.refuse_when_full()


def test_a_segment_set_aside_waits_no_longer(tmp_path: Path) -> None:
    with running(spool_in(tmp_path)) as spool:
        spool.submit("events", b"x", 1)
        spool.seal()
        spool.set_aside(spool.sealed()[0])
        assert spool.sealed() == []
    assert [path.suffix for path in tmp_path.iterdir()] == [".stuck"]
