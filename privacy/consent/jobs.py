"""What recurs for consent: answers that no sender can still ask for again are forgotten."""

from datetime import timedelta

from candor.kernel.database import session_of
from candor.kernel.jobs import Job
from candor.kernel.services import Services
from privacy.consent import store

ANSWERS_KEPT_FOR = timedelta(days=7)
"""How long a request with an ``Idempotency-Key`` is answered as the first time."""


def forget_answers(services: Services) -> None:
    """Forget the answers to requests with a key that are over a week old."""
    with session_of(services.engine) as session:
        store.forget_requests(session, services.clock() - ANSWERS_KEPT_FOR)


JOBS: tuple[Job, ...] = (Job("privacy.forget_answers", timedelta(hours=1), forget_answers),)
