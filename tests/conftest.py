"""Fixtures: real stores, opened once and given to each test as a database of its own."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from sqlalchemy import Engine

from candor.kernel.services import Services
from candor.kernel.settings import TelemetryLimits
from candor.kernel.telemetry_store import TelemetryStore, open_telemetry_store
from tests.support.asgi import Application, application_on
from tests.support.clickhouse_http import serve_clickhouse
from tests.support.preloaded import nursery_closed
from tests.support.stores import (
    FixedClock,
    SpareDatabases,
    open_over_http,
    postgresql_engine,
    postgresql_server,
    services_on,
    spare_databases,
    sqlite_engine,
)

settings.register_profile("candor", deadline=None)  # how long an example takes is the machine's
settings.load_profile("candor")

_TESTS = Path(__file__).parent
_LONGEST_FIRST = ("e2e", "browser", "integration", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave short files for the end, in their random order, so that no worker ends late."""
    items.sort(key=lambda item: _LONGEST_FIRST.index(item.path.relative_to(_TESTS).parts[0]))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def _nursery() -> Iterator[None]:
    with nursery_closed():
        yield


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TelemetryStore]:
    path = tmp_path_factory.mktemp("engine") / "telemetry"
    store = open_telemetry_store(f"chdb:///{path}", TelemetryLimits())
    yield store
    store.close()


@pytest.fixture(scope="session")
def over_http(embedded: TelemetryStore) -> Iterator[TelemetryStore]:
    assert embedded.path is not None
    with serve_clickhouse(embedded.path) as url:
        store = open_over_http(url)
        yield store
        store.close()


@pytest.fixture(scope="session")
def embedded_databases(embedded: TelemetryStore) -> Iterator[SpareDatabases]:
    with spare_databases(embedded) as databases:
        yield databases


@pytest.fixture(scope="session")
def databases_over_http(over_http: TelemetryStore) -> Iterator[SpareDatabases]:
    with spare_databases(over_http) as databases:
        yield databases


@pytest.fixture(params=["embedded_databases", "databases_over_http"], ids=["embedded", "over_http"])
def telemetry(request: pytest.FixtureRequest) -> Iterator[TelemetryStore]:
    """A migrated telemetry database, embedded and through the real HTTP client."""
    databases: SpareDatabases = request.getfixturevalue(request.param)
    with databases.fresh() as store:
        yield store


@pytest.fixture
def embedded_telemetry(embedded_databases: SpareDatabases) -> Iterator[TelemetryStore]:
    with embedded_databases.fresh() as store:
        yield store


@pytest.fixture(scope="session")
def postgresql_dsn() -> Iterator[str]:
    # Not in pytest's folder: a second session closes that to the server's user.
    with TemporaryDirectory(prefix="candor-") as folder, postgresql_server(Path(folder)) as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated state store, on SQLite and on a real PostgreSQL."""
    if request.param == "sqlite":
        with sqlite_engine(tmp_path) as engine:
            yield engine
        return
    with postgresql_engine(request.getfixturevalue("postgresql_dsn")) as engine:
        yield engine


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    with sqlite_engine(tmp_path) as engine:
        yield engine


@pytest.fixture
def services(
    tmp_path: Path, sqlite: Engine, telemetry: TelemetryStore, clock: FixedClock
) -> Services:
    return services_on(tmp_path, sqlite, telemetry, clock)


@pytest.fixture
def application(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Application]:
    """The whole application on embedded stores, in this process."""
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    with application_on(services) as running:
        yield running
