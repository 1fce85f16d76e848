from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from slo.journeys.funnel import Moment, deepest_attempt, tally

WINDOW = timedelta(milliseconds=10)
MOMENTS = st.lists(st.builds(Moment, st.integers(0, 15), st.integers(0, 7)), max_size=6).map(
    lambda moments: sorted(moments, key=lambda one: one.at_milliseconds)
)


def depth(moments: list[Moment], steps: int = 3) -> int:
    attempt = deepest_attempt(moments, steps, WINDOW)
    return attempt.depth if attempt else 0


def test_steps_convert_in_order_inside_the_window_and_at_its_very_end() -> None:
    assert depth([Moment(0, 1), Moment(5, 2), Moment(10, 4)]) == 3
    assert depth([Moment(0, 1), Moment(5, 2), Moment(11, 4)]) == 2
    assert depth([Moment(0, 2), Moment(5, 1), Moment(6, 4)]) == 1
    assert depth([Moment(0, 2)]) == 0


def test_events_of_the_same_instant_convert_in_either_order() -> None:
    for order in permutations([Moment(3, 1), Moment(3, 2), Moment(3, 4)]):
        assert depth(list(order)) == 3


def test_events_of_one_instant_that_fit_several_steps_are_shared_out() -> None:
    assert depth([Moment(0, 1), Moment(0, 6), Moment(0, 2)]) == 3


def test_one_event_counts_for_one_step() -> None:
    assert depth([Moment(0, 7)]) == 1
    assert depth([Moment(0, 7), Moment(1, 7), Moment(2, 7)]) == 3


def test_the_deepest_attempt_counts_and_of_equal_ones_the_earliest() -> None:
    moments = [Moment(0, 1, "web"), Moment(20, 1, "app"), Moment(21, 2)]
    deepest = deepest_attempt(moments, 3, WINDOW)
    assert deepest is not None
    assert (deepest.times, deepest.group) == ((20, 21), "app")
    earliest = deepest_attempt([Moment(0, 1, "web"), Moment(20, 1, "app")], 3, WINDOW)
    assert earliest is not None
    assert earliest.group == "web"


@given(MOMENTS)
def test_it_goes_as_deep_as_trying_every_choice_does(moments: list[Moment]) -> None:
    best = 0
    for size in range(1, 4):
        for chosen in permutations(moments, size):
            times = [one.at_milliseconds for one in chosen]
            fits = all(one.steps >> step & 1 for step, one in enumerate(chosen))
            if fits and times == sorted(times) and times[-1] - times[0] <= 10:
                best = max(best, size)
    assert depth(moments) == best


def test_a_tally_counts_conversion_and_time_from_the_previous_step() -> None:
    units = [
        [Moment(0, 1, "web"), Moment(2000, 2), Moment(5000, 4)],
        [Moment(0, 1, "web"), Moment(4000, 2)],
        [Moment(0, 1, "app")],
        [Moment(0, 2, "app")],
    ]
    total, groups = tally(units, 3, timedelta(minutes=1))
    first, second, third = total.results()
    assert (first.count, second.count, third.count) == (3, 2, 1)
    assert (first.from_previous, first.from_first, first.median_seconds) == (None, 1.0, None)
    assert (second.from_previous, second.median_seconds, second.mean_seconds) == (2 / 3, 3.0, 3.0)
    assert (third.from_previous, third.from_first, third.mean_seconds) == (1 / 2, 1 / 3, 3.0)
    assert {value: part.counts for value, part in groups.items()} == {
        "web": [2, 2, 1],
        "app": [1, 0, 0],
    }


def test_a_funnel_that_nobody_entered_has_no_ratio() -> None:
    total, groups = tally([], 2, WINDOW)
    assert [one.from_first for one in total.results()] == [None, None]
    assert [one.from_previous for one in total.results()] == [None, None]
    assert groups == {}
