"""Pushes to Alertmanager: every replica, again and again while an alert fires, and once it is over.

An Alertmanager forgets an alert that is not sent again, so each push holds all that fire, and the
watchdog beside them: an alert that always fires, so that its absence tells that nobody is watching.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import httpx

from candor.kernel.logging import log
from slo.alerting import Alert
from slo.alerts.messages import alertmanager_alert, labels_of

PATIENCE = timedelta(minutes=4)
RESOLVED_FOR = timedelta(minutes=15)
WATCHDOG = "CandorWatchdog"


def push(  # noqa: PLR0913 - who, where, by what, when, and what else
    alerts: Sequence[Alert],
    urls: Sequence[str],
    client: httpx.Client,
    now: datetime,
    public_url: str | None = None,
    *,
    watchdog: bool = True,
) -> dict[str, str]:
    """Send all alerts to every replica; return how that ended, by replica.

    Of alerts with the same labels, which are one to an Alertmanager, it gets the latest.

    Source: Alertmanager API v2, POST /api/v2/alerts.
    """
    documents = [alertmanager_alert(one, now, PATIENCE, public_url) for one in _latest(alerts)]
    if watchdog:
        documents.append(_watchdog(now))
    outcomes = {}
    for url in urls:
        try:
            answer = client.post(f"{url.rstrip('/')}/api/v2/alerts", json=documents)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            outcomes[url] = type(error).__name__
        else:
            outcomes[url] = "ok" if answer.is_success else f"status {answer.status_code}"
        if outcomes[url] != "ok":
            log().warning("alertmanager does not take alerts", outcome=outcomes[url])
    return outcomes


def _latest(alerts: Sequence[Alert]) -> list[Alert]:
    began = sorted(alerts, key=lambda one: one.pending_since)
    return list({tuple(labels_of(one).items()): one for one in began}.values())


def _watchdog(now: datetime) -> dict[str, Any]:
    return {
        "labels": {"alertname": WATCHDOG, "severity": "none"},
        "annotations": {"summary": "Candor evaluates its objectives and reaches Alertmanager."},
        "startsAt": now.isoformat(),
        "endsAt": (now + PATIENCE).isoformat(),
    }
