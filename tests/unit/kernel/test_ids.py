from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.ids import new_id
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
