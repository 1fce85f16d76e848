"""The application with a gate, and a contract in two versions: one strict, the next lenient."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from candor.kernel.clock import utc_now
from candor.kernel.telemetry_store import TelemetryStore
from tests.support.asgi import Application, application_on
from tests.support.quarantine import NAME, Gate
from tests.support.stores import FixedClock, services_on

SCHEMA = {"properties": {"attributes": {"properties": {"plan": {"enum": ["pro", "free"]}}}}}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def clock() -> FixedClock:
    """The present: what is kept expires by the engine's own clock, too."""
    return FixedClock(utc_now())


@pytest.fixture
def application(
    tmp_path: Path,
    sqlite: Engine,
    embedded_telemetry: TelemetryStore,
    clock: FixedClock,
    gate: Gate,
) -> Iterator[Application]:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, gate=gate)
    with application_on(services) as running:
        for version in ("1-0-0", "1-0-1"):
            schema = SCHEMA if version == "1-0-0" else {}
            path = f"/api/v1/contracts/{NAME}/{version}"
            assert running.request("PUT", path, json={"schema": schema}).status_code == 201
        yield running
