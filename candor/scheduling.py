"""Runs every package's jobs: each once in a slot of time, by whichever process gets its lease.

``candor serve`` runs them beside an embedded store, which no other process can open; ``candor
work`` runs them, and nothing else, against servers.
"""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.executors.base import BaseExecutor, run_job
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from prometheus_client import start_http_server

from candor.kernel.clock import utc_now
from candor.kernel.errors import CandorError, ConflictError
from candor.kernel.jobs import EPOCH, Job, slot_of
from candor.kernel.lease import Lease, acquire, release, renew
from candor.kernel.logging import configure_logging, log
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.wiring import Installation, open_installation
from collector import jobs as collector_jobs
from privacy.audit import jobs as audit_jobs
from privacy.consent import jobs as consent_jobs
from privacy.pii import jobs as pii_jobs
from privacy.propagation import jobs as propagation_jobs
from privacy.vault import jobs as vault_jobs
from slo import jobs as slo_jobs

LEASE = timedelta(seconds=60)
SHUTDOWN = timedelta(seconds=30)
_RENEWALS_IN_A_LEASE = 3
_STOPS = (signal.SIGINT, signal.SIGTERM)


def jobs_of(installation: Installation) -> tuple[Job, ...]:
    """Return the jobs of every package.

    Raises:
        InvalidInputError: a file of synthetic checks has a fault; it is named.
    """
    services = installation.services
    recurring = collector_jobs.jobs(services, installation.collector)
    return (
        *recurring,
        *slo_jobs.JOBS,
        *audit_jobs.JOBS,
        *consent_jobs.JOBS,
        *pii_jobs.jobs(installation.pii),
        *propagation_jobs.jobs(),
        *vault_jobs.JOBS,
    )


def work_until_stopped(settings: Settings) -> None:
    """Run the jobs, and nothing else, until SIGINT or SIGTERM.

    What they observe goes through a spool of this process's own, beside that of ``candor serve``.

    Raises:
        ConflictError: the stores are embedded, or not migrated.
        CandorError: a store cannot be opened.
    """
    if settings.is_embedded:
        raise ConflictError(
            "`candor work` needs a telemetry store on a server (CANDOR_TELEMETRY_DSN=https://...)."
            " Beside an embedded store `candor serve` runs the jobs itself."
        )
    configure_logging(settings.log_level)
    own = settings.model_copy(update={"spool_dir": settings.spool_dir / "work"})
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    try:
        with open_installation(own) as installation, _measured(installation.services):
            jobs = jobs_of(installation)
            with jobs_running(installation.services, jobs):
                log().info("candor is working", jobs=len(jobs))
                signal.sigwait(_STOPS)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def jobs_running(
    services: Services, jobs: Sequence[Job], patience: timedelta = SHUTDOWN
) -> Iterator[None]:
    """Run jobs in the background; at the end wait for those that are running, if not for ever.

    Every job is tried at once: what was due while no process ran need not wait for its next slot.
    """
    runner = JobRunner(services)
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # it warns of each long run
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": _Threads()},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    for job in jobs:
        trigger = IntervalTrigger(
            seconds=tick_of(job.every).total_seconds(), start_date=EPOCH, timezone=UTC
        )
        scheduler.add_job(
            runner.run, trigger, args=[job], id=job.name, name=job.name, next_run_time=utc_now()
        )
    with runner.renewing():
        scheduler.start()
        try:
            yield
        finally:
            scheduler.shutdown(wait=False)
            unfinished = runner.wait_until_idle(patience.total_seconds())
            if unfinished:
                log().error("jobs did not end in time", jobs=unfinished)


def tick_of(every: timedelta) -> timedelta:
    """Return how often a job is tried: its period, cut into equal parts no longer than a lease.

    Its lease says whether it is due. Trying in between lets another process take over soon what a
    process that crashed left undone.
    """
    whole = every // timedelta(microseconds=1)
    parts = -(-every // LEASE)
    while whole % parts:
        parts += 1
    return every / parts


class JobRunner:
    """Runs jobs under leases. Safe to share between threads."""

    def __init__(self, services: Services, lasting: timedelta = LEASE) -> None:
        self._services = services
        self._lasting = lasting
        self._held: dict[str, Lease] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()

    def run(self, job: Job) -> None:
        """Run a job if it is due and no other process runs it; never raise.

        A run that failed is logged by the type of its error, with the words of one of ours, which
        hold nothing personal; it is due again in the next slot.
        """
        metrics = self._services.metrics
        try:
            ran = self._run_leased(job)
        except Exception as error:  # noqa: BLE001 - one job that fails must not end the others
            told = {"reason": error.detail} if isinstance(error, CandorError) else {}
            log().error("job failed", job=job.name, error=type(error).__name__, **told)
            metrics.jobs.runs.labels(job.name, "error").inc()
            return
        if ran:
            metrics.jobs.runs.labels(job.name, "ok").inc()
            metrics.jobs.last_success.labels(job.name).set(self._services.clock().timestamp())

    def renew(self) -> None:
        """Hold every lease of a running job for longer."""
        services = self._services
        with self._changed:
            held = list(self._held.values())
        for lease in held:
            try:
                kept = renew(services.engine, lease, at=services.clock(), lasting=self._lasting)
            except CandorError as error:
                log().warning("lease not renewed", job=lease.name, reason=error.detail)
                continue
            if not kept:
                log().warning("lease lost to another process", job=lease.name)

    @contextmanager
    def renewing(self) -> Iterator[None]:
        """Renew leases on a thread of its own, three times as often as they run out."""
        thread = threading.Thread(target=self._renew_until_stopped, name="leases")
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def wait_until_idle(self, timeout_seconds: float) -> list[str]:
        """Return the names of the jobs that still run after the time; most often none."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held, timeout_seconds)
            return sorted(self._held)

    def _run_leased(self, job: Job) -> bool:
        """Return whether the job ran."""
        services = self._services
        started = services.clock()
        lease = acquire(services.engine, job.name, at=started, lasting=self._lasting)
        if lease is None:
            return False
        due = slot_of(started, job.every) + job.every
        with self._holding(lease, due), services.metrics.jobs.seconds.labels(job.name).time():
            job.run(services)
        return True

    @contextmanager
    def _holding(self, lease: Lease, due: datetime) -> Iterator[None]:
        """Let a lease be renewed inside the block, and give it back at its end."""
        services = self._services
        with self._changed:
            self._held[lease.name] = lease
        try:
            yield
        finally:
            try:
                release(services.engine, lease, at=services.clock(), due=due)
            finally:
                with self._changed:
                    del self._held[lease.name]
                    self._changed.notify_all()

    def _renew_until_stopped(self) -> None:
        pause = self._lasting.total_seconds() / _RENEWALS_IN_A_LEASE
        while not self._stopping.wait(pause):
            self.renew()


@contextmanager
def _measured(services: Services) -> Iterator[None]:
    """Show the process's measurements to a Prometheus, where the settings give it a port.

    Raises:
        ConflictError: the port is taken or not allowed.
    """
    settings = services.settings
    if not settings.work_port:
        yield
        return
    try:
        server, thread = start_http_server(
            settings.work_port, settings.host, services.metrics.registry
        )
    except OSError as error:
        raise ConflictError(
            f"Cannot listen on {settings.host}:{settings.work_port} ({error.strerror}). Choose"
            " another port with CANDOR_WORK_PORT."
        ) from None
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Threads(BaseExecutor):  # type: ignore[misc]  # APScheduler ships no types
    """Runs each job on a daemon thread: one that hangs must not keep the process from ending."""

    def _do_submit_job(self, job: object, run_times: object) -> None:
        threading.Thread(target=self._run, args=(job, run_times), daemon=True).start()

    def _run(self, job: object, run_times: object) -> None:
        events = run_job(job, job._jobstore_alias, run_times, self._logger.name)  # type: ignore[attr-defined]  # noqa: SLF001 - how APScheduler's own executors call it
        self._run_job_success(job.id, events)  # type: ignore[attr-defined]  # as above
