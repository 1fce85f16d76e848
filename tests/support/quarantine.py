"""What tests of the quarantine share: a gate that can be opened, and ways to refuse and replay."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event

from candor.kernel.ports import Admission, EntryTerms, GatedEvent, Refusal
from tests.support.asgi import Application

EVENTS, QUARANTINE, REPLAY = "/api/v1/events", "/api/v1/quarantine", "/api/v1/quarantine/replay"
NAME = "checkout.payment"
PATCH = [{"op": "replace", "path": "/attributes/plan", "value": "pro"}]


class Gate:
    """Refuses one channel, until it is opened."""

    def __init__(self) -> None:
        self.closed = "sms"

    def admit(self, events: Sequence[GatedEvent], _: Mapping[str, EntryTerms]) -> Admission:
        """Refuse what came through that channel."""
        denied = Refusal("consent_denied", "The person does not allow it.")
        return Admission({n: denied for n, one in enumerate(events) if one.channel == self.closed})


def event(number: int, at: datetime, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """Return an event that breaks version 1-0-0 of its contract, an hour old."""
    subject = {"type": "email", "value": "customer-1@example.org"}
    return {
        "id": f"e-{number}",
        "name": NAME,
        "schema": f"{NAME}/1-0-0",
        "time": (at - timedelta(hours=1)).isoformat(),
        "subject": subject,
        "attributes": {"plan": "gold"},
    } | fields


def refuse(application: Application, *events: object) -> list[str]:
    """Send events that are refused, and return where each is kept."""
    answer = application.post(EVENTS, json=list(events)).json()
    return [one["quarantine_id"] for one in answer["rejected"]]


def replay(application: Application, *ids: str, **mending: Any) -> dict[str, Any]:  # noqa: ANN401 - any body
    """Return the answer to a replay."""
    answer = application.post(REPLAY, json={"ids": list(ids)} | mending)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def statements_of(engine: Engine) -> list[str]:
    """Return what is executed from now on, growing."""
    asked: list[str] = []
    sqlalchemy_event.listen(
        engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2])
    )
    return asked


def stored(application: Application) -> list[dict[str, Any]]:
    """Return the events of the telemetry store."""
    application.collector.flush()
    return application.services.telemetry.query("SELECT id, schema, attributes FROM events")
