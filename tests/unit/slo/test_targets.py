"""Pagers behind Apprise learn which alert a message is about, and when it is over."""

from typing import Any

import apprise
import pytest

from slo.alerts.targets import addressed


def plugin(address: str) -> Any:  # noqa: ANN401 - Apprise types no plugin
    made = apprise.Apprise.instantiate(address)
    assert made is not None
    return made


def test_pagerduty_ends_the_incident_that_it_opened() -> None:
    pager = plugin(addressed("pagerduty://integration@key", "alert-1"))
    assert (pager.action, pager.dedup) == ("map", "alert-1")
    pager = plugin(addressed("pagerduty://integration@key/shop?region=eu&dedup=mine", "alert-1"))
    assert (pager.action, pager.dedup, pager.region_name) == ("map", "mine", "eu")


def test_opsgenie_takes_a_message_that_comes_twice_for_one() -> None:
    assert plugin(addressed("opsgenie://key", "alert-1")).alias == "alert-1"


@pytest.mark.parametrize(
    "address", ["slack://a/b/c/#general", "json://host/path?x=1", "mailto://user:pw@example.org"]
)
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert addressed(address, "alert-1") == address
