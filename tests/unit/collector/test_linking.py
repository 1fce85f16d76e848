import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from candor.kernel.errors import UnavailableError
from candor.kernel.ports import Identifier, Link, NoSubjectIndex, Provenance
from collector.linking import Linker
from tests.support.stores import NOON, FixedClock

SAID = Provenance("web-shop", "segment", "identify", NOON, NOON)
A, B, C, GROUP = (Identifier("user_id", str(number) * 64) for number in range(4))
AB = Link((A, B), SAID)
BC = Link((B, C), SAID)


class RememberingIndex(NoSubjectIndex):
    """Keeps what it was told; refuses while it is away, and waits for leave to go on."""

    def __init__(self) -> None:
        self.told: list[list[Link]] = []
        self.away = False
        self.asked = threading.Event()
        self.leave = threading.Event()
        self.leave.set()

    def link_all(self, links: Sequence[Link]) -> None:
        self.asked.set()
        self.leave.wait()
        if self.away:
            raise UnavailableError("The index is away.")
        self.told.append(list(links))


def write(linker: Linker, *links: Link) -> bool:
    """Return whether anything was written."""
    fate = linker.submit(links)
    if fate is not None:
        fate.result()
    return fate is not None


def test_what_was_said_before_is_not_written_again(clock: FixedClock) -> None:
    index = RememberingIndex()
    linker = Linker(index, clock)
    with linker.running():
        assert write(linker, AB)
        assert not write(linker, AB, Link((B, A), SAID))
        assert write(linker, AB, BC)
        assert write(linker, Link((A,), SAID, GROUP))
        assert not write(linker, Link((A,), SAID, GROUP))
    assert index.told == [[AB], [BC], [Link((A,), SAID, GROUP)]]


def test_memory_is_bounded_by_number_and_by_age(clock: FixedClock) -> None:
    index = RememberingIndex()
    linker = Linker(index, clock, most=1)
    with linker.running():
        assert write(linker, AB)
        assert write(linker, BC)
        assert not write(linker, AB)
        assert write(linker, Link((A, C), SAID))
        assert write(linker, AB)
    aged = Linker(index, clock)
    with aged.running():
        for link in (AB, BC, Link((A, C), SAID)):
            assert write(aged, link)
            clock.pass_by(timedelta(hours=1))
        assert write(aged, AB)


def test_a_link_that_was_not_written_is_not_remembered(clock: FixedClock) -> None:
    index = RememberingIndex()
    linker = Linker(index, clock)
    with linker.running():
        index.away = True
        with pytest.raises(UnavailableError):
            write(linker, AB)
        index.away = False
        assert write(linker, AB)


def test_what_waits_while_one_transaction_runs_is_written_together(clock: FixedClock) -> None:
    index = RememberingIndex()
    index.leave.clear()
    linker = Linker(index, clock)
    with linker.running():
        first = linker.submit([AB])
        index.asked.wait()
        later = [linker.submit([one]) for one in (BC, Link((A, C), SAID))]
        index.leave.set()
        assert first is not None
        assert all(fate is not None and fate.result() is None for fate in (first, *later))
    assert [len(links) for links in index.told] == [1, 2]
