from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.ids import made_at, new_id, new_ids
from tests.support.stores import NOON


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 2)))  # noqa: DTZ001 - the zone is given
def test_an_id_is_a_uuid_of_version_7_that_holds_its_millisecond(at: datetime) -> None:
    made = UUID(new_id(at))
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(at.timestamp() * 1000)


def test_ids_sort_by_the_millisecond_of_their_making() -> None:
    ids = [new_id(NOON + timedelta(milliseconds=number)) for number in range(100)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 100


@given(st.integers(min_value=1, max_value=3000))
def test_many_ids_of_one_instant_are_distinct_ascend_and_hold_it(count: int) -> None:
    ids = new_ids(NOON, count)
    assert len(set(ids)) == count
    assert ids == sorted(ids)
    for one in (ids[0], ids[-1]):
        made = UUID(one)
        assert (str(made), made.version, made.variant) == (one, 7, "specified in RFC 4122")
        assert made_at(one) == NOON


def test_what_is_no_uuid_of_version_7_tells_no_instant() -> None:
    with pytest.raises(ValueError, match="0000"):
        made_at("00000000-0000-4000-8000-000000000000")
