"""Leases on both state stores, asked by several engines at once as by several processes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from sqlalchemy import Engine

from candor.kernel.database import open_engine
from candor.kernel.lease import Lease, acquire, release, renew
from tests.support.stores import NOON

MINUTE = timedelta(minutes=1)
PROCESSES = 4


def take(engine: Engine, minutes: float = 0) -> Lease | None:
    return acquire(engine, "tidy", at=NOON + minutes * MINUTE, lasting=MINUTE)


def held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def test_a_lease_is_held_by_one_until_it_is_given_back(state: Engine) -> None:
    first = held(take(state))
    assert take(state, 0.9) is None
    assert release(state, first, at=NOON + MINUTE / 2, due=NOON)
    assert take(state, 0.9) is not None


def test_the_lease_of_a_holder_that_crashed_runs_out(state: Engine) -> None:
    crashed = held(take(state))
    assert take(state, 0.999) is None
    successor = held(take(state, 1))
    assert not renew(state, crashed, at=NOON + MINUTE, lasting=MINUTE)
    assert not release(state, crashed, at=NOON + MINUTE, due=NOON)
    assert renew(state, successor, at=NOON + MINUTE, lasting=MINUTE)


def test_a_renewed_lease_lasts_longer(state: Engine) -> None:
    lease = held(take(state))
    assert renew(state, lease, at=NOON + MINUTE / 2, lasting=MINUTE)
    assert take(state, 1.4) is None
    assert take(state, 1.5) is not None


def test_what_is_done_is_not_taken_again_before_it_is_due(state: Engine) -> None:
    release(state, held(take(state)), at=NOON, due=NOON + 5 * MINUTE)
    assert take(state, 4.9) is None
    assert take(state, 5) is not None


def test_of_many_that_ask_at_once_one_gets_the_lease(state: Engine) -> None:
    engines = [
        open_engine(state.url.render_as_string(hide_password=False)) for _ in range(PROCESSES)
    ]
    start = Barrier(PROCESSES)

    def ask(engine: Engine, number: int) -> Lease | None:
        start.wait()
        return acquire(engine, f"job {number}", at=NOON, lasting=MINUTE)

    with ThreadPoolExecutor(PROCESSES) as pool:
        for number in range(10):
            for _ in ("a name that nobody asked for yet", "the same, given back"):
                leases = [one for one in pool.map(ask, engines, [number] * PROCESSES) if one]
                assert len(leases) == 1
                release(state, leases[0], at=NOON, due=NOON)
    for engine in engines:
        engine.dispose()
