"""Where messages go: signed webhooks and Apprise services, each under a name without secrets.

A fault is told by its kind alone: the other side's text may hold anything.
"""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

import httpx
from pydantic import SecretStr

from candor.kernel.objective_settings import WebhookSettings
from candor.kernel.settings import Settings
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


def signature(secret: SecretStr, message_id: str, at: datetime, body: bytes) -> str:
    """Return the signature of a message: ``v1,`` and HMAC-SHA-256 over id, time and body.

    Source: Standard Webhooks 1.0, "Signature scheme".
    """
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    digest = hmac.digest(secret.get_secret_value().encode(), signed, sha256)
    return "v1," + base64.b64encode(digest).decode()


def _post(
    webhook: WebhookSettings,
    delivery: Delivery,
    facts: Mapping[str, str],
    client: httpx.Client,
    at: datetime,
) -> tuple[bool, str]:
    body = json.dumps(cloud_event(delivery.id, facts, delivery.created_at)).encode()
    headers: dict[str, Any] = {
        "content-type": "application/cloudevents+json",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(webhook.secret, delivery.id, at, body),
    }
    try:
        answer = client.post(webhook.url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return False, type(error).__name__
    return answer.is_success, f"status {answer.status_code}"
