"""A test message to every target, so that nobody learns during an incident that one is deaf."""

from datetime import datetime
from typing import Any

import httpx

from candor.kernel.ids import new_id
from candor.kernel.settings import Settings
from slo.alerting import Alert
from slo.alerts.alertmanager import push
from slo.alerts.delivery import ALERTMANAGER, Delivery
from slo.alerts.messages import facts_of
from slo.alerts.targets import address_faults, notify_by_apprise, send, target_names

_SENDING_SECONDS = 10.0


def rehearse(settings: Settings, at: datetime) -> list[dict[str, Any]]:
    """Return for each target whether it took a test message, and how that ended.

    A webhook knows it from an alarm by ``"test": true`` in the data, which no alarm has.
    To an Alertmanager the test alert is over as soon as it is sent.
    """
    alert = Alert(
        id=new_id(at),
        objective="candor-test",
        service="candor",
        kind="burn",
        severity="ticket",
        tier="",
        state="resolved",
        summary="This is a test. Nothing is wrong.",
        pending_since=at,
        last_active_at=at,
        evaluated_at=at,
        fired_at=at,
        resolved_at=at,
    )
    facts = {**facts_of(alert, "fired", settings.public_url), "test": True}
    faults = address_faults(settings)
    outcomes = []
    with httpx.Client(timeout=_SENDING_SECONDS) as client:
        for target in target_names(settings):
            if target in faults:
                outcomes.append({"target": target, "taken": False, "outcome": faults[target]})
                continue
            delivery = Delivery(
                new_id(at), alert.id, "fired", target, "waiting", 0, at, at, "", facts
            )
            answer = send(delivery, settings, client, notify_by_apprise, at)
            outcomes.append({"target": target, "taken": answer.taken, "outcome": answer.told})
        pushed = push([alert], settings.alertmanager.urls, client, at, settings.public_url)
    for number, outcome in enumerate(pushed.values()):
        outcomes.append(
            {"target": f"{ALERTMANAGER}{number}", "taken": outcome == "ok", "outcome": outcome}
        )
    return outcomes
