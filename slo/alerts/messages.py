"""What is said about an alert: to people in words, to machines as documents."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from string import Template
from typing import Any

from slo.alerting import Alert, Kind, Transition

ALERT_NAMES: Mapping[Kind, str] = {
    "burn": "CandorErrorBudgetBurn",
    "budget_remaining": "CandorErrorBudgetLow",
    "budget_drop": "CandorErrorBudgetDrop",
    "exhaustion": "CandorErrorBudgetExhaustion",
    "no_data": "CandorNoData",
}
EVENT_TYPES: Mapping[Transition, str] = {
    "fired": "dev.candor.alert.fired",
    "resolved": "dev.candor.alert.resolved",
}


def facts_of(alert: Alert, transition: Transition, public_url: str | None) -> dict[str, str]:
    """Return what templates may name: objective, service, severity, tier, summary and so on.

    The summary of an alert that is over says so first: what follows is what it last said.
    """
    since = alert.fired_at or alert.pending_since
    return {
        "id": alert.id,
        "objective": alert.objective,
        "service": alert.service,
        "kind": alert.kind,
        "severity": alert.severity,
        "tier": alert.tier,
        "policy": alert.policy,
        "transition": transition,
        "summary": f"Resolved: {alert.summary}" if transition == "resolved" else alert.summary,
        "since": since.isoformat(),
        "until": alert.resolved_at.isoformat() if alert.resolved_at else "",
        "link": link_to(alert, public_url),
    }


def words(template: str, facts: Mapping[str, str]) -> str:
    """Return a template filled in; a name that it misspells stays as it stands."""
    return Template(template).safe_substitute(facts).strip()


def cloud_event(delivery_id: str, facts: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return an alert's turn as a CloudEvent in structured mode.

    Source: CloudEvents 1.0.2, section "Required attributes".
    """
    return {
        "specversion": "1.0",
        "id": delivery_id,
        "source": "/candor/alerts",
        "type": EVENT_TYPES["fired" if facts["transition"] == "fired" else "resolved"],
        "subject": facts["objective"],
        "time": at.isoformat(),
        "datacontenttype": "application/json",
        "data": dict(facts),
    }


def alertmanager_alert(
    alert: Alert, now: datetime, patience: timedelta, public_url: str | None
) -> dict[str, Any]:
    """Return an alert as Alertmanager's API takes it.

    Labels tell which alert it is, so they hold no measured value and never change while it lasts.
    One that fires ends by itself after ``patience``, unless it is sent again before.

    Source: Alertmanager API v2, postableAlert.
    """
    document: dict[str, Any] = {
        "labels": labels_of(alert),
        "annotations": {
            "summary": f"{alert.objective}: {alert.summary}",
            "candor_alert_id": alert.id,
        },
        "startsAt": (alert.fired_at or alert.pending_since).isoformat(),
        "endsAt": (alert.resolved_at or now + patience).isoformat(),
    }
    link = link_to(alert, public_url)
    if link:
        document["generatorURL"] = link
    return document


def labels_of(alert: Alert) -> dict[str, str]:
    """Return what tells an Alertmanager which alert it is."""
    labels = {
        "alertname": ALERT_NAMES[alert.kind],
        "objective": alert.objective,
        "service": alert.service,
        "severity": alert.severity,
        "tier": alert.tier or alert.kind,
    }
    return labels | {"policy": alert.policy} if alert.policy else labels


def link_to(alert: Alert, public_url: str | None) -> str:
    """Return the address of the objective's page, or nothing where no address is set."""
    return f"{public_url.rstrip('/')}/objectives/{alert.objective}" if public_url else ""
