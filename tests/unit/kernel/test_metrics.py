"""Instruments of the house's own making."""

from prometheus_client import CollectorRegistry, generate_latest

from candor.kernel.metrics import FadingGauge


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
