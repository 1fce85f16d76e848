"""What recurs in the collector."""

from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.jobs import Job
from candor.kernel.logging import log
from candor.kernel.services import Services
from collector.quarantine.keys import destroy_expired_keys
from collector.quarantine.store import delete_expired_entries, delete_expired_marks


def expire_quarantine(services: Services) -> None:
    """Destroy the keys of what has been kept long enough, then delete it."""
    now = services.clock()
    with session_of(services.engine) as session:
        destroyed = destroy_expired_keys(session, now)
        delete_expired_marks(session, now)
    delete_expired_entries(services.telemetry, now)
    if destroyed:
        log().info("quarantine keys destroyed", keys=destroyed)


JOBS: tuple[Job, ...] = (Job("quarantine expiry", timedelta(hours=1), expire_quarantine),)
