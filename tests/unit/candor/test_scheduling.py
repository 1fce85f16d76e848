from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.jobs import EPOCH, slot_of
from candor.scheduling import LEASE, tick_of
from tests.support.stores import NOON

periods = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=40))


@given(periods, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)))
def test_a_slot_holds_its_instant_and_begins_at_a_whole_multiple(
    every: timedelta, later: timedelta
) -> None:
    at = NOON + later
    slot = slot_of(at, every)
    assert slot <= at < slot + every
    assert (slot - EPOCH) % every == timedelta(0)


@given(st.integers(1, 100_000))
def test_a_job_is_tried_at_the_start_of_every_slot_and_once_in_a_lease(seconds: int) -> None:
    every = timedelta(seconds=seconds)
    tick = tick_of(every)
    assert every % tick == timedelta(0)
    assert tick <= LEASE


@pytest.mark.parametrize(("every", "tick"), [(10, 10), (60, 60), (90, 45), (86_400, 60)])
def test_a_tick_is_the_longest_that_fits(every: int, tick: int) -> None:
    assert tick_of(timedelta(seconds=every)) == timedelta(seconds=tick)
