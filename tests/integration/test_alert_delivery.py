"""Messages to many targets: one that takes nothing holds up no other."""

from collections.abc import Sequence
from pathlib import Path

import httpx
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from slo.alerts import store
from slo.alerts.delivery import Delivery
from slo.alerts.targets import notify_by_apprise
from slo.jobs import deliver
from tests.support.receiver import receiver
from tests.support.stores import NOON, FixedClock, services_on

MANY = 250
FACTS = {"objective": "checkout", "transition": "fired", "severity": "page", "id": "a"}


def wait_for_delivery(services: Services, target: str, count: int) -> None:
    with session_of(services.engine) as session:
        for number in range(count):
            name, alert = f"{target}-{number}", f"alert-{number}"
            one = Delivery(name, alert, "fired", target, "waiting", 0, NOON, NOON, "", FACTS)
            store.add_delivery(session, one)


def outcomes(services: Services, target: str) -> Sequence[tuple[str, str, int]]:
    alerts = [f"alert-{number}" for number in range(MANY)]
    with session_of(services.engine) as session:
        found = store.deliveries_of(session, alerts)
    return [
        (one.state, one.outcome, one.attempts)
        for own in found.values()
        for one in own
        if one.target == target
    ]


def test_a_target_that_is_away_is_asked_once_a_round_and_the_others_hear_everything(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with receiver() as away, receiver() as pager:
        hooks = [{"url": one.url, "secret": "x" * 16} for one in (away, pager)]
        services = services_on(tmp_path, state, embedded_telemetry, clock, webhooks=hooks)
        wait_for_delivery(services, "webhook:0", MANY)
        wait_for_delivery(services, "webhook:1", 3)
        away.judge = lambda _: 503
        with httpx.Client(timeout=5) as client:
            deliver(services, client, notify_by_apprise)
        assert (len(away.requests), len(pager.requests)) == (1, 3)
        assert set(outcomes(services, "webhook:0")) == {("waiting", "status 503", 1)}
        assert set(outcomes(services, "webhook:1")) == {("sent", "status 200", 1)}


def test_a_message_that_is_refused_says_nothing_of_the_next(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with receiver() as picky:
        hooks = [{"url": picky.url, "secret": "x" * 16}]
        services = services_on(tmp_path, sqlite, embedded_telemetry, clock, webhooks=hooks)
        wait_for_delivery(services, "webhook:0", 2)
        picky.statuses = [422]
        with httpx.Client(timeout=5) as client:
            deliver(services, client, notify_by_apprise)
        assert sorted(outcomes(services, "webhook:0")) == [
            ("sent", "status 200", 1),
            ("waiting", "status 422", 1),
        ]
