"""An event whose id is masked is the same event after a restart, and in a replay."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.database import session_of
from candor.kernel.ports import NoRedaction, Refusal, StorableEvent
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.quarantine.tables import ReplayRow
from tests.support.asgi import application_on
from tests.support.events import native_event
from tests.support.quarantine import Gate, refuse, replay
from tests.support.stores import FixedClock, services_on

EVENTS = "/api/v1/events"
PERSON = "anna.secret@example.org"


class MaskingIds(NoRedaction):
    """Puts one and the same text into the place of each id that is an address."""

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        del source
        for event in events:
            if "@" in event.id:
                event.id = sha256(event.id.encode()).hexdigest()
            event.attributes.pop("secret", None)
        return {}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def masking(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, gate: Gate
) -> Services:
    clock = FixedClock(utc_now())
    return services_on(
        tmp_path, sqlite, embedded_telemetry, clock, redactor=MaskingIds(), gate=gate
    )


def test_it_is_known_again_before_and_after_a_restart(masking: Services) -> None:
    answers = []
    for _ in range(2):
        with application_on(masking) as application:
            answers += [
                application.post(EVENTS, json=native_event() | {"id": PERSON}).json()
                for _ in range(2)
            ]
    assert [one["accepted"] for one in answers] == [1, 0, 0, 0]
    [row] = masking.telemetry.query("SELECT id FROM events")
    assert PERSON not in row["id"]


def test_others_with_masked_ids_are_others(masking: Services) -> None:
    sent = [native_event() | {"id": name + PERSON} for name in ("a", "b")]
    with application_on(masking) as application:
        assert application.post(EVENTS, json=sent).json()["accepted"] == 2


def test_its_replay_finds_it_stored_when_all_else_is_forgotten(
    masking: Services, gate: Gate
) -> None:
    with application_on(masking) as application:
        event = native_event() | {"id": PERSON, "channel": "sms", "attributes": {"secret": "s"}}
        [kept] = refuse(application, event)
        gate.closed = ""
        assert replay(application, kept)["accepted"] == 1
        application.collector.flush()
        with session_of(masking.engine) as session:
            session.query(ReplayRow).delete()
        application.collector.intake._window._buckets.clear()
        assert replay(application, kept)["deduplicated"] == 1
    assert masking.telemetry.query("SELECT attributes FROM events") == [{"attributes": {}}]
