"""Messages about alerts: to whom, when again after a failure, and when not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from candor.kernel.backoff import pause_after
from slo.alerting import Alert, Transition

DeliveryState = Literal["waiting", "sent", "dead", "silenced"]
MOST_ATTEMPTS = 10
ALERTMANAGER = "alertmanager:"
"""How the targets begin that are told again and again, by their own job."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message about one turn of an alert to one target.

    ``outcome`` says how the last attempt ended: a status or the kind of an error, never a text
    from the other side. ``dead`` is what failed ten times; it stays for a person to look at.
    """

    id: str
    alert_id: str
    transition: Transition
    target: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_at: datetime
    outcome: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Silence:
    """A span in which the alerts that it matches are not told; budgets do not know of it."""

    id: str
    objective: str | None
    service: str | None
    severity: str | None
    since: datetime
    until: datetime
    reason: str
    author: str
    created_at: datetime

    def covers(self, alert: Alert, at: datetime) -> bool:
        """Whether it keeps this alert from being told at that instant."""
        return (
            self.since <= at < self.until
            and self.objective in {None, alert.objective}
            and self.service in {None, alert.service}
            and self.severity in {None, alert.severity}
        )


def attempted(delivery: Delivery, outcome: str, *, sent: bool, at: datetime) -> Delivery:
    """Return a message after one more attempt: done, due again later, or dead.

    Pauses double from 30 seconds to an hour.
    """
    attempts = delivery.attempts + 1
    after = replace(delivery, attempts=attempts, outcome=outcome)
    if sent:
        return replace(after, state="sent")
    if attempts >= MOST_ATTEMPTS:
        return replace(after, state="dead")
    return replace(after, next_at=at + pause_after(attempts))
