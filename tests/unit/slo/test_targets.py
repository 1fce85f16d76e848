"""Pagers behind Apprise learn which alert a message is about, and when it is over."""

from typing import Any

import apprise
import pytest

from candor.kernel.settings import Settings
from slo.alerts.targets import address_faults, addressed, notify_by_apprise


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


UNUSABLE = ["foo://secret-token/x", "slack://secret-token", "secret-token"]


def test_an_address_that_apprise_cannot_use_is_named_by_its_place_and_never_quoted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    urls = ["json://host/path", *UNUSABLE]
    faults = address_faults(Settings.model_validate({"notify": {"urls": urls}}))
    assert list(faults) == ["notify:1", "notify:2", "notify:3"]
    assert faults["notify:2"].startswith("notify.urls[2] is no address that Apprise can use")
    assert "secret-token" not in "".join(faults.values()) + caplog.text


@pytest.mark.parametrize("address", UNUSABLE)
def test_what_is_sent_to_an_address_that_cannot_be_used_does_not_log_it(
    address: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert not notify_by_apprise(address, "title", "body", "warning")
    assert caplog.text == ""
