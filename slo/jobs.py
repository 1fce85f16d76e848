"""What recurs for objectives: evaluate alerts, and deliver the messages about them."""

from datetime import datetime, timedelta

import httpx

from candor.kernel.database import session_of
from candor.kernel.jobs import Job
from candor.kernel.services import Services
from candor.kernel.webhook import Outcome
from slo.alerts import store
from slo.alerts.alertmanager import RESOLVED_FOR, push
from slo.alerts.delivery import ALERTMANAGER, Delivery, attempted
from slo.alerts.evaluator import evaluate
from slo.alerts.targets import NotifyByApprise, notify_by_apprise, send
from slo.prometheus import read_sources
from slo.register import all_objectives

_SENDING_SECONDS = 10.0
_CLAIMED_FOR = timedelta(minutes=2)


def evaluate_alerts(services: Services) -> None:
    """Evaluate every objective, and tell every Alertmanager what fires.

    What fired before is told again when it cannot be evaluated now, or an Alertmanager would take
    it for over; the watchdog is not, so that its absence tells of the failure.
    """
    evaluated = False
    try:
        evaluate(services)
        evaluated = True
    finally:
        if services.settings.alertmanager.urls:
            with httpx.Client(timeout=_SENDING_SECONDS) as client:
                push_alerts(services, client, watchdog=evaluated)


def push_alerts(services: Services, client: httpx.Client, *, watchdog: bool = True) -> None:
    """Send what fires, and what was over lately, to every Alertmanager, and write how that ended.

    What is silenced is not sent.
    """
    now = services.clock()
    with session_of(services.engine) as session:
        alerts = store.alerts_to_push(session, now - RESOLVED_FOR)
        silences = store.silences(session, ends_after=now)
    heard = [one for one in alerts if not any(silence.covers(one, now) for silence in silences)]
    settings = services.settings
    urls = settings.alertmanager.urls
    outcomes = push(heard, urls, client, now, settings.public_url, watchdog=watchdog)
    with session_of(services.engine) as session:
        for number, url in enumerate(urls):
            store.note_push(session, heard, f"{ALERTMANAGER}{number}", outcomes[url], now)


def deliver_messages(services: Services) -> None:
    """Send the messages that are due."""
    with httpx.Client(timeout=_SENDING_SECONDS) as client:
        deliver(services, client, notify_by_apprise)


def deliver(services: Services, client: httpx.Client, notify: NotifyByApprise) -> None:
    """Try each message that is due once, and write what became of it.

    A message is claimed before it is sent: two senders at once send it once. One that dies in
    between leaves it due again after two minutes; its id tells a receiver that it came before.
    What is due to a target that takes nothing now counts as tried, so that it holds up no other.
    """
    now = services.clock()
    away: dict[str, Outcome] = {}
    while due := _claimed(services, now):
        for delivery in due:
            outcome = away.get(delivery.target)
            if outcome is None:
                outcome = send(delivery, services.settings, client, notify, now)
            if outcome.blames_receiver:
                away[delivery.target] = outcome
            after = attempted(delivery, outcome.told, sent=outcome.taken, at=now)
            with session_of(services.engine) as session:
                store.settle(session, after)


def _claimed(services: Services, now: datetime) -> list[Delivery]:
    with session_of(services.engine) as session:
        return store.claim_due(session, now, _CLAIMED_FOR)


def read_prometheus(services: Services) -> None:
    """Read what is new from every Prometheus that an objective asks.

    Raises:
        UnavailableError: one could not be read; the others were.
    """
    with session_of(services.engine) as session:
        objectives = [one.objective for one in all_objectives(session)]
    settings = services.settings.prometheus
    with httpx.Client(timeout=settings.timeout_seconds) as client:
        read_sources(services.telemetry, objectives, settings, client, services.clock())


JOBS: tuple[Job, ...] = (
    Job("slo.evaluate_alerts", timedelta(minutes=1), evaluate_alerts),
    Job("slo.read_prometheus", timedelta(minutes=1), read_prometheus),
    Job("slo.deliver_messages", timedelta(seconds=15), deliver_messages),
)
