"""Where messages go: signed webhooks and Apprise services, each under a name without secrets.

A fault is told by its kind alone: the other side's text may hold anything.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import httpx

from candor.kernel.objective_settings import WebhookSettings
from candor.kernel.settings import Settings
from candor.kernel.webhook import post_signed
from slo.alerts.delivery import Delivery
from slo.alerts.messages import cloud_event, words

NotifyByApprise = Callable[[str, str, str], bool]
"""Send (address, title, body) through Apprise; whether the service took it."""


def target_names(settings: Settings) -> list[str]:
    """Return the names of all targets: ``webhook:N`` and ``notify:N``, by their place."""
    return [
        *(f"webhook:{number}" for number in range(len(settings.webhooks))),
        *(f"notify:{number}" for number in range(len(settings.notify.urls))),
    ]


def send(
    delivery: Delivery,
    settings: Settings,
    client: httpx.Client,
    notify: NotifyByApprise,
    at: datetime,
) -> tuple[bool, str]:
    """Try a message once; return whether the target took it, and how that ended."""
    kind, _, number = delivery.target.partition(":")
    facts = {name: str(value) for name, value in delivery.payload.items()}
    if kind == "webhook" and int(number) < len(settings.webhooks):
        return _post(settings.webhooks[int(number)], delivery, facts, client, at)
    if kind == "notify" and int(number) < len(settings.notify.urls):
        address = settings.notify.urls[int(number)].get_secret_value()
        title, body = words(settings.notify.title, facts), words(settings.notify.body, facts)
        return (True, "taken") if notify(address, title, body) else (False, "not taken")
    return False, "no such target any more"


def notify_by_apprise(address: str, title: str, body: str) -> bool:
    """Send one message to the service behind an Apprise address."""
    import apprise  # noqa: PLC0415 - a hundred services are slow to import

    services = apprise.Apprise()
    return bool(services.add(address)) and bool(services.notify(title=title, body=body))


def _post(
    webhook: WebhookSettings,
    delivery: Delivery,
    facts: Mapping[str, str],
    client: httpx.Client,
    at: datetime,
) -> tuple[bool, str]:
    event = cloud_event(delivery.id, facts, delivery.created_at)
    outcome = post_signed(client, webhook.url, webhook.secret.get_secret_value(), event, at)
    return outcome.taken, outcome.told
