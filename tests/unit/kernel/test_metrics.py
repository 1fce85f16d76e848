"""Instruments of the house's own making."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from candor.kernel.metrics import FadingGauge, new_metrics


def page(gauge: FadingGauge) -> str:
    registry = CollectorRegistry()
    registry.register(gauge)
    return generate_latest(registry).decode()


def test_what_is_shown_takes_the_place_of_all_that_was() -> None:
    gauge = FadingGauge("depth", "How deep.", ("place",), seconds=60)
    gauge.show({("here",): 1.0})
    gauge.show({("there",): 2.0})
    assert 'depth{place="there"} 2.0' in page(gauge)
    assert 'here"' not in page(gauge).replace("there", "")


def test_what_nobody_renews_fades() -> None:
    gauge = FadingGauge("depth", "How deep.", ("place",), seconds=0)
    gauge.show({("here",): 1.0})
    assert "depth{" not in page(gauge)


@pytest.mark.parametrize("name", ["web-shop", "checkout.api", "shop_eu-12", "native", "A"])
def test_a_source_with_a_plain_name_is_shown_by_it(name: str) -> None:
    assert new_metrics().sources.label(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("customer-1@example.org", "+353861234567", "353861234567", "key 4711", "Zoë", ""),
        *("a" * 33, "shop\n", "shop1234", "candor_2b7f1c0e4d5a4f0c9be2"),
    ],
)
def test_a_name_that_may_be_a_person_or_a_key_is_not_shown(name: str) -> None:
    assert new_metrics().sources.label(name) == "other"


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=9), max_size=300))
def test_no_more_than_a_hundred_sources_are_shown_and_each_always_as_the_same(
    names: list[str],
) -> None:
    sources = new_metrics().sources
    first = [sources.label(name) for name in names]
    assert first == [sources.label(name) for name in names]
    assert len(set(first) - {"other"}) <= 100
    assert all(shown in {name, "other"} for shown, name in zip(first, names, strict=True))


def test_the_hundred_and_first_source_is_one_of_the_others() -> None:
    sources = new_metrics().sources
    shown = [sources.label(f"shop{number}") for number in range(101)]
    assert "other" not in shown[:100]
    assert shown[100] == "other"
