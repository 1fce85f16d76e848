"""Jobs under leases: on real state stores, by several runners as by several processes."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.jobs import Job
from candor.kernel.lease import LeaseRow, acquire
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import TelemetryStore
from candor.scheduling import LEASE, JobRunner, _measured, jobs_running, work_until_stopped
from tests.support.stores import NOON, FixedClock, services_on, sqlite_engine

MINUTE = timedelta(minutes=1)
PATIENCE_SECONDS = 60


@pytest.fixture
def shared(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Services:
    return services_on(tmp_path, state, embedded_telemetry, clock)


def job(run: Callable[[], None], name: str = "tidy") -> Job:
    def run_it(services: Services) -> None:
        del services
        run()

    return Job(name, MINUTE, run_it)


def count_of(services: Services, outcome: str) -> float:
    value = services.metrics.registry.get_sample_value(
        "candor_job_runs_total", {"job": "tidy", "outcome": outcome}
    )
    return value or 0


def test_a_job_runs_once_in_a_slot_whoever_tries_it(shared: Services, clock: FixedClock) -> None:
    runs: list[float] = []
    runners = [JobRunner(shared), JobRunner(shared)]
    for _ in range(6):
        for runner in runners:
            runner.run(job(lambda: runs.append(clock().timestamp())))
        clock.pass_by(MINUTE / 2)
    assert [at - NOON.timestamp() for at in runs] == [0, 60, 120]


def test_while_one_runs_a_job_no_other_does(shared: Services, clock: FixedClock) -> None:
    running, done = threading.Event(), threading.Event()
    seen: list[bool] = []

    def slow() -> None:
        running.set()
        done.wait(PATIENCE_SECONDS)

    first, second = JobRunner(shared), JobRunner(shared)
    thread = threading.Thread(target=first.run, args=(job(slow),))
    thread.start()
    assert running.wait(PATIENCE_SECONDS)
    clock.pass_by(LEASE * 0.9)
    first.renew()
    clock.pass_by(LEASE * 0.9)
    second.run(job(lambda: seen.append(True)))
    assert first.wait_until_idle(0) == ["tidy"]
    done.set()
    thread.join()
    assert first.wait_until_idle(0) == []
    assert seen == []
    second.run(job(lambda: seen.append(True)))
    assert seen == [True]


def test_a_job_that_fails_is_counted_and_logged_without_its_text(
    shared: Services, clock: FixedClock
) -> None:
    def fail() -> None:
        raise ValueError("customer-1@example.org")

    runner = JobRunner(shared)
    with capture_logs() as said:
        runner.run(job(fail))
    assert said == [
        {"event": "job failed", "job": "tidy", "error": "ValueError", "log_level": "error"}
    ]
    assert (count_of(shared, "error"), count_of(shared, "ok")) == (1, 0)
    clock.pass_by(MINUTE)
    runner.run(job(lambda: None))
    assert count_of(shared, "ok") == 1
    registry, named = shared.metrics.registry, {"job": "tidy"}
    last = registry.get_sample_value("candor_job_last_success_timestamp_seconds", named)
    assert last == clock().timestamp()
    assert registry.get_sample_value("candor_job_seconds_count", named) == 2


def test_a_job_that_fails_for_a_reason_of_ours_logs_it(shared: Services) -> None:
    def fail() -> None:
        raise UnavailableError("Prometheus was not read for checkout")

    with capture_logs() as said:
        JobRunner(shared).run(job(fail))
    assert said[0]["reason"] == "Prometheus was not read for checkout"


def test_a_lease_that_was_lost_is_said_and_left_to_its_new_holder(
    shared: Services, clock: FixedClock
) -> None:
    runner = JobRunner(shared)

    def lose() -> None:
        clock.pass_by(2 * LEASE)
        assert acquire(shared.engine, "tidy", at=clock(), lasting=LEASE) is not None
        runner.renew()

    with capture_logs() as said:
        runner.run(job(lose))
    assert [one["event"] for one in said] == ["lease lost to another process"]
    with session_of(shared.engine) as session:
        row = session.get(LeaseRow, "tidy")
        assert row is not None
        assert row.until > clock()


def test_the_scheduler_runs_every_job_at_once_and_ends_with_them(shared: Services) -> None:
    names = {"one", "two"}
    ran = {name: threading.Event() for name in names}
    with jobs_running(shared, [job(ran[name].set, name) for name in names]):
        assert all(event.wait(PATIENCE_SECONDS) for event in ran.values())
    assert not [one for one in threading.enumerate() if one.name in {"leases", "APScheduler"}]


def test_a_job_that_hangs_is_named_and_not_waited_for(shared: Services) -> None:
    started, done = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        done.wait(PATIENCE_SECONDS)

    with capture_logs() as said:
        with jobs_running(shared, [job(hang)], patience=timedelta(0)):
            assert started.wait(PATIENCE_SECONDS)
        done.set()
    assert {"event": "jobs did not end in time", "jobs": ["tidy"], "log_level": "error"} in said


def test_a_lease_that_cannot_be_renewed_now_is_said_and_kept(
    tmp_path: Path, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    with sqlite_engine(tmp_path) as engine:
        services = services_on(tmp_path, engine, embedded_telemetry, clock)
        runner = JobRunner(services)

        def lose_the_store() -> None:
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE leases RENAME TO elsewhere"))
            runner.renew()
            with engine.begin() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO leases"))

        with capture_logs() as said:
            runner.run(job(lose_the_store))
    assert [one["event"] for one in said] == ["lease not renewed"]
    assert count_of(services, "ok") == 1


def test_a_port_of_the_worker_that_is_taken_is_said(shared: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = shared.settings.model_copy(update={"work_port": taken.getsockname()[1]})
        with (
            pytest.raises(ConflictError, match="CANDOR_WORK_PORT"),
            _measured(replace(shared, settings=settings)),
        ):
            pass


def test_embedded_stores_have_no_workers() -> None:
    with pytest.raises(ConflictError, match="candor serve"):
        work_until_stopped(Settings())
