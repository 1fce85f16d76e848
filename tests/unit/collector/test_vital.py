import pytest

from collector.vital import Vital, VitalName, rating_of
from tests.support.stores import NOON


def vital(name: VitalName = "CLS", delta: float = 0.1) -> Vital:
    return Vital(NOON, NOON, "v5-1", name, 0.3, delta, "poor")


@pytest.mark.parametrize(
    ("name", "good", "fair"),
    [
        ("LCP", 2500, 4000),
        ("INP", 200, 500),
        ("CLS", 0.1, 0.25),
        ("FCP", 1800, 3000),
        ("TTFB", 800, 1800),
    ],
)
def test_a_value_on_a_threshold_counts_as_the_better_rating(
    name: VitalName, good: float, fair: float
) -> None:
    assert rating_of(name, 0) == rating_of(name, good) == "good"
    assert rating_of(name, good * 1.0001) == rating_of(name, fair) == "needs-improvement"
    assert rating_of(name, fair * 1.0001) == "poor"


def test_one_id_may_report_several_deltas_and_each_is_its_own_beacon() -> None:
    assert vital(delta=0.1).identity == vital(delta=0.1).identity
    assert len({vital(delta=0.1).identity, vital(delta=0.1 + 2**-54).identity}) == 2
    assert vital("CLS").identity != vital("LCP").identity
