from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from collector.token_bucket import TokenBuckets
from tests.support.stores import NOON

SECOND = timedelta(seconds=1)


def test_a_bucket_gives_what_it_holds_and_says_when_the_next_is_there() -> None:
    buckets = TokenBuckets()
    assert [buckets.take("k", 2, NOON) for _ in range(2)] == [None, None]
    assert buckets.take("k", 2, NOON) == 30 * SECOND
    assert buckets.take("k", 2, NOON + 29 * SECOND) == SECOND
    assert buckets.take("k", 2, NOON + 30 * SECOND) is None


def test_one_holder_takes_nothing_from_another() -> None:
    buckets = TokenBuckets()
    buckets.take("k", 1, NOON)
    assert buckets.take("k", 1, NOON) is not None
    assert buckets.take("other", 1, NOON) is None


def test_a_clock_that_steps_back_fills_nothing() -> None:
    buckets = TokenBuckets()
    buckets.take("k", 1, NOON)
    assert buckets.take("k", 1, NOON - timedelta(hours=1)) is not None


@given(st.integers(1, 100), st.lists(st.floats(0, 90), max_size=300))
def test_no_more_pass_than_a_full_bucket_and_the_rate_allow(
    per_minute: int, pauses: list[float]
) -> None:
    buckets, at, passed = TokenBuckets(), NOON, 0
    for pause in pauses:
        at += pause * SECOND
        passed += buckets.take("k", per_minute, at) is None
    minutes = (at - NOON) / timedelta(minutes=1)
    assert passed <= per_minute + minutes * per_minute + 0.001
