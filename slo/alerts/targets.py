"""Where messages go: signed webhooks and Apprise services, each under a name without secrets.

A fault is told by its kind alone: the other side's text may hold anything.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode

import httpx

from candor.kernel.objective_settings import WebhookSettings
from candor.kernel.settings import Settings
from candor.kernel.webhook import Outcome, post_signed
from slo.alerts.delivery import Delivery
from slo.alerts.messages import cloud_event, words

_SAME_INCIDENT = {
    "pagerduty": {"action": "map", "dedup": "{id}"},
    "opsgenie": {"alias": "{id}"},
}
"""What tells a pager that two messages are about one incident, by the scheme of its address."""

_UNUSABLE = (
    "notify.urls[{number}] is no address that Apprise can use: it knows no such kind, or a part is"
    " missing. Write it as Apprise documents it, such as json://host/path."
)
Gravity = Literal["failure", "warning", "success"]
"""What a message means, in the words of Apprise: pagers raise at the first two, and end at one."""

NotifyByApprise = Callable[[str, str, str, Gravity], bool]
"""Send (address, title, body, gravity) through Apprise; whether the service took it."""


def target_names(settings: Settings) -> list[str]:
    """Return the names of all targets: ``webhook:N`` and ``notify:N``, by their place."""
    return [
        *(f"webhook:{number}" for number in range(len(settings.webhooks))),
        *(f"notify:{number}" for number in range(len(settings.notify.urls))),
    ]


def address_faults(settings: Settings) -> dict[str, str]:
    """Return a sentence for each address that Apprise cannot use, by its target; none quotes it.

    Cost: Apprise is imported where there is an address.
    """
    if not settings.notify.urls:
        return {}
    import apprise  # noqa: PLC0415 - a hundred services are slow to import

    with _unlogged():
        usable = [
            bool(apprise.Apprise.instantiate(address.get_secret_value()))
            for address in settings.notify.urls
        ]
    return {
        f"notify:{number}": _UNUSABLE.format(number=number)
        for number, is_usable in enumerate(usable)
        if not is_usable
    }


def send(
    delivery: Delivery,
    settings: Settings,
    client: httpx.Client,
    notify: NotifyByApprise,
    at: datetime,
) -> Outcome:
    """Try a message once; a service behind Apprise never says why it did not take one."""
    kind, _, number = delivery.target.partition(":")
    facts = {name: str(value) for name, value in delivery.payload.items()}
    if kind == "webhook" and int(number) < len(settings.webhooks):
        return _post(settings.webhooks[int(number)], delivery, client, at)
    if kind == "notify" and int(number) < len(settings.notify.urls):
        address = addressed(settings.notify.urls[int(number)].get_secret_value(), facts["id"])
        title, body = words(settings.notify.title, facts), words(settings.notify.body, facts)
        taken = notify(address, title, body, _gravity_of(facts))
        return Outcome(taken, "taken" if taken else "not taken", blames_receiver=not taken)
    return Outcome(taken=False, told="no such target any more")


def addressed(address: str, alert_id: str) -> str:
    """Return an Apprise address that tells the service which alert a message is about.

    PagerDuty would otherwise open a new incident for the message that the first one is over. What
    the address says by itself stays.
    """
    scheme, _, rest = address.partition("://")
    said = {name for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True)}
    more = [
        (name, value.format(id=alert_id))
        for name, value in _SAME_INCIDENT.get(scheme.lower(), {}).items()
        if name not in said
    ]
    if not more:
        return address
    return f"{address}{'&' if '?' in rest else '?'}{urlencode(more)}"


def notify_by_apprise(address: str, title: str, body: str, gravity: Gravity) -> bool:
    """Send one message to the service behind an Apprise address.

    Without the gravity Opsgenie would raise nothing: it takes a message that is mere information
    for a note on an alert that it has already.
    """
    import apprise  # noqa: PLC0415 - a hundred services are slow to import

    services = apprise.Apprise()
    with _unlogged():
        is_usable = bool(services.add(address))
    return is_usable and bool(services.notify(title=title, body=body, notify_type=gravity))


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep out of the log what Apprise says of an address: it may quote it, secret and all."""
    here = threading.get_ident()

    def is_of_another(record: logging.LogRecord) -> bool:
        return record.thread != here

    logger = logging.getLogger("apprise")
    logger.addFilter(is_of_another)
    try:
        yield
    finally:
        logger.removeFilter(is_of_another)


def _gravity_of(facts: Mapping[str, str]) -> Gravity:
    if facts["transition"] == "resolved":
        return "success"
    return "failure" if facts["severity"] == "page" else "warning"


def _post(
    webhook: WebhookSettings,
    delivery: Delivery,
    client: httpx.Client,
    at: datetime,
) -> Outcome:
    event = cloud_event(delivery.id, delivery.payload, delivery.created_at)
    return post_signed(client, webhook.url, webhook.secret.get_secret_value(), event, at)
