"""What recurs for the audit log: its head is signed each minute in which it grew."""

from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.jobs import Job
from candor.kernel.services import Services
from privacy.audit.log import sign_head


def sign_audit_head(services: Services) -> None:
    """Sign the log as it is, unless that was done."""
    with session_of(services.engine) as session:
        sign_head(session, services.secrets.audit_seed, services.clock)


JOBS: tuple[Job, ...] = (Job("privacy.sign_audit_head", timedelta(minutes=1), sign_audit_head),)
