"""Alerts and silences as callers read and write them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from candor.kernel.errors import InvalidInputError
from candor.kernel.ids import new_id
from slo.alerting import Alert
from slo.alerts.delivery import Delivery, Silence
from slo.burn_rate import Severity


class SilenceBody(BaseModel):
    """Which alerts not to tell, until when, and why; what is absent matches all."""

    model_config = ConfigDict(extra="forbid")

    objective: Annotated[str, Field(max_length=80)] | None = None
    service: Annotated[str, Field(max_length=63)] | None = None
    severity: Severity | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime
    reason: Annotated[str, Field(min_length=1, max_length=1000)]

    def silence(self, author: str, now: datetime) -> Silence:
        """Return what is meant.

        Raises:
            InvalidInputError: it would silence everything, or ends before it begins.
        """
        since = self.since or now
        if self.until <= since:
            raise InvalidInputError("A silence ends after it begins.", path="until")
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
