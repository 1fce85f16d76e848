"""Checks that come together: what comes while a group is logged is the next."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Engine

from candor.kernel.metrics import new_metrics
from privacy.consent.checking import Answered, Asked, Checker
from privacy.consent.decision import Question
from privacy.consent.log import GroupedLog
from privacy.consent.reading import Reader, Snapshot, open_reader
from privacy.consent.register import PolicyRegister
from tests.support.stores import FixedClock

ANNA, BEN, CARL = ("a" * 64, "b" * 64, "c" * 64)


class Disk:
    """A log whose writes end when the test says so."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, Future[Any]]] = []

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        assert rows.count(b"\n") == count
        self.writes.append((count, Future()))
        return self.writes[-1][1]

    def flush(self) -> None:
        raise NotImplementedError


class Watched:
    """A reader that keeps what it was asked, and fails where it is told to."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.asked: list[Sequence[str]] = []
        self.fails = False

    def read(self, keys: Sequence[str]) -> Snapshot:
        raise NotImplementedError

    async def read_soon(self, keys: Sequence[str]) -> Snapshot:
        self.asked.append(keys)
        if self.fails:
            raise ZeroDivisionError
        return await self._reader.read_soon(keys)

    def close(self) -> None:
        self._reader.close()


@pytest.fixture
def reader(sqlite: Engine) -> Iterator[Watched]:
    watched = Watched(open_reader(sqlite))
    yield watched
    watched.close()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def checker(sqlite: Engine, reader: Watched, disk: Disk, clock: FixedClock) -> Checker:
    return Checker(
        engine=sqlite,
        reader=reader,
        policies=PolicyRegister(sqlite),
        log=GroupedLog(disk),
        clock=clock,
        metrics=new_metrics(),
    )


def asking(checker: Checker, key: str) -> "asyncio.Task[Answered]":
    return asyncio.ensure_future(checker.check_one(Asked(key, Question("marketing"), "test")))


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def written(disk: Disk, number: int) -> None:
    disk.writes[number][1].set_result("token")
    await turns()


def test_what_comes_while_a_group_is_logged_is_the_next(
    checker: Checker, reader: Watched, disk: Disk
) -> None:
    async def run() -> None:
        first = asking(checker, ANNA)
        await turns()
        others = [asking(checker, BEN), asking(checker, CARL), asking(checker, BEN)]
        await turns()
        assert reader.asked == [[ANNA]]
        assert not first.done()
        await written(disk, 0)
        assert (await first).decision.reason == "purpose_unknown"
        assert reader.asked == [[ANNA], [BEN, CARL]]
        assert not any(one.done() for one in others)
        others[0].cancel()
        await written(disk, 1)
        assert [count for count, _ in disk.writes] == [1, 3]
        assert [one.done() for one in others] == [True, True, True]
        late = asking(checker, ANNA)
        await turns()
        await written(disk, 2)
        assert not (await late).decision.allow

    asyncio.run(run())


def test_what_nobody_foresaw_is_told_to_those_who_asked_and_to_nobody_else(
    checker: Checker, reader: Watched, disk: Disk
) -> None:
    async def run() -> None:
        reader.fails = True
        first, second = asking(checker, ANNA), asking(checker, BEN)
        await turns()
        reader.fails = False
        for one in (first, second):
            with pytest.raises(ZeroDivisionError):
                await one
        third = asking(checker, CARL)
        await turns()
        await written(disk, 0)
        assert (await third).decision.reason == "purpose_unknown"

    asyncio.run(run())


def test_a_loop_that_ends_leaves_nobody_behind(checker: Checker, disk: Disk) -> None:
    async def leave() -> None:
        asking(checker, ANNA)
        await turns()

    asyncio.run(leave())

    async def run() -> None:
        one = asking(checker, ANNA)
        await turns()
        disk.writes[0][1].set_result("token")
        await turns()
        await written(disk, len(disk.writes) - 1)
        assert (await one).decision.reason == "purpose_unknown"

    asyncio.run(run())
