"""What recurs for PII protection: re-scans that somebody asked for are run."""

from datetime import timedelta

from candor.kernel.jobs import Job
from candor.kernel.services import Services
from privacy.pii.assembly import Pii
from privacy.pii.rescan import Means, run_waiting


def jobs(pii: Pii) -> tuple[Job, ...]:
    """Return the jobs of a running PII protection."""
    means = Means(pii.policies, pii.guards, pii.marks, pii.ledger)

    def rescan(services: Services) -> None:
        while run_waiting(services, means):
            pass

    return (Job("privacy.rescan", timedelta(seconds=10), rescan),)
