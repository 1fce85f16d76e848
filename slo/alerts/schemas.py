"""Alerts and silences as callers read and write them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from candor.kernel.errors import InvalidInputError
from candor.kernel.ids import new_id
from slo.alerting import Alert
from slo.alerts.delivery import Delivery, Silence
from slo.burn_rate import Severity
from slo.governance.schemas import Instant, Name, ObjectiveName, Text


class SilenceBody(BaseModel):
    """Which alerts not to tell, until when, and why; what is absent matches all."""

    model_config = ConfigDict(extra="forbid")

    objective: ObjectiveName | None = None
    service: Name | None = None
    severity: Severity | None = None
    since: Instant | None = None
    until: Instant
    reason: Text

    def silence(self, author: str, now: datetime) -> Silence:
        """Return what is meant.

        Raises:
            InvalidInputError: it would silence everything, or is over before it begins.
        """
        since = self.since or now
        if self.until <= max(since, now):
            raise InvalidInputError("A silence ends after it begins, and after now.", path="until")
        if self.objective is None and self.service is None:
            raise InvalidInputError("Name an objective or a service.", path="objective")
        return Silence(
            new_id(now),
            self.objective,
            self.service,
            self.severity,
            since,
            self.until,
            self.reason,
            author,
            now,
        )


def alert_document(alert: Alert, deliveries: Sequence[Delivery] = ()) -> dict[str, Any]:
    """Return an alert and what became of the messages about it."""
    return _instants(asdict(alert)) | {
        "deliveries": [
            {
                "target": one.target,
                "transition": one.transition,
                "state": one.state,
                "attempts": one.attempts,
                "outcome": one.outcome,
            }
            for one in deliveries
        ]
    }


def silence_document(silence: Silence) -> dict[str, Any]:
    """Return a silence."""
    return _instants(asdict(silence))


def _instants(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in document.items()
    }
