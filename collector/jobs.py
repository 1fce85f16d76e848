"""The collector's recurring work: synthetic checks, each a job of its own, and what expires."""

import os
from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.jobs import Job, slot_of
from candor.kernel.logging import log
from candor.kernel.services import Services
from collector.assembly import Collector
from collector.check import Check
from collector.quarantine.keys import KeyCabinet, destroy_expired_keys
from collector.quarantine.store import delete_expired_entries, delete_expired_marks
from collector.receivers.synthetic import Probe
from collector.receivers.synthetic_file import open_checks, require_environment


def jobs(services: Services, collector: Collector) -> tuple[Job, ...]:
    """Return the quarantine's expiry and each synthetic check. Raises as ``check_jobs``."""
    cabinet = collector.quarantine.cabinet
    expiry = Job(
        "quarantine expiry",
        timedelta(hours=1),
        lambda running: expire_quarantine(running, cabinet),
    )
    return (expiry, *check_jobs(services, collector))


def check_jobs(services: Services, collector: Collector) -> tuple[Job, ...]:
    """Return a job for each check of the settings' files; none when they name no file.

    A job bears the name of its check and of its location: every location runs every check.

    Raises:
        InvalidInputError: a file has a fault, or a variable is not in the environment.
    """
    settings = services.settings.checks
    checks = open_checks(settings.files)
    require_environment(checks, os.environ)
    if not checks:
        return ()
    probe = Probe(settings.location, os.environ, services.clock)
    return tuple(_job(check, probe, collector, settings.location) for check in checks)


def expire_quarantine(services: Services, cabinet: KeyCabinet) -> None:
    """Destroy the keys of what has been kept long enough, delete it, and make the next day's key.

    Raises:
        UnavailableError: a store cannot be asked.
    """
    now = services.clock()
    with session_of(services.engine) as session:
        destroyed = destroy_expired_keys(session, now)
        delete_expired_marks(session, now)
    delete_expired_entries(services.telemetry, now)
    if destroyed:
        log().info("quarantine keys destroyed", keys=destroyed)
    cabinet.prepare(now)


def _job(check: Check, probe: Probe, collector: Collector, location: str) -> Job:
    def run(services: Services) -> None:
        collector.spool.refuse_when_full()
        results = probe.run(check, slot_of(services.clock(), check.every))
        collector.intake.submit_checks(results).wait()

    return Job(f"check {check.name} from {location}", check.every, run)
