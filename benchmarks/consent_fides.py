"""What a consent check costs beside the consent-preference read of ethyca-fides.

``candor serve`` embedded answers whether one person may be sent one message, each decision in the
log before its answer. Fides has no such answer: its ``POST /api/v1/consent-request/preferences``
with a client's token returns what one e-mail address chose, and logs no decision. That is the read
that a sender has to decide upon, so it is what is compared. Its web server runs under uvicorn as
``fides webserver`` starts it, but on the loopback alone, with PostgreSQL and Redis as it asks for,
no rate limit (its default), logs at ``WARNING`` as Candor's, and no descriptions of connectors,
which its package does not hold and this read does not touch. Its people choose through its own
API: a thousand, one purpose each; Candor holds twenty thousand.

Both get the same client and as many connections, 16 and then 64, in turn; the first requests are
not counted. (With 256, as Candor is measured elsewhere, Fides answers 500: each request waits for a
thread while it holds one of the hundred database connections that its pool has by default.) CPU is
user + system time of the whole process: Candor's with its engine and store until every decision is
in the telemetry store; of Fides its web server alone, and with PostgreSQL and Redis. Median of five
rounds.

``FIDES_VENV`` is the folder of a virtual environment with ``ethyca-fides``. Redis and PostgreSQL
with its pgcrypto extension are Debian's ``redis-server``, ``postgresql`` and ``postgresql-common``.
Where something is missing, a sentence says so and nothing is measured.

Budget: >= 20 x the reads per CPU-second of Fides's web server alone.
"""

import os
import random
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import httpx
import msgspec
import uvloop
from consent_check import (  # type: ignore[import-not-found]  # beside this script
    CHECK,
    full_server,
    send,
    some_bodies,
    wait_until_loaded,
)
from harness.processes import (  # type: ignore[import-not-found]  # beside this script
    cpu_seconds,
    family_cpu_seconds,
    free_port,
    running,
)

ROUNDS = 5
CONNECTIONS = (16, 64)
PEOPLE = 1000
READS = 600
READ = "/api/v1/consent-request/preferences"
CLIENT = "benchmark"
STARTS_WITHIN = timedelta(minutes=5)  # it makes its tables first
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")


@dataclass(frozen=True)
class Server:
    """A server under test: its door, what is sent there, and the CPU its parts have used."""

    port: int
    path: str
    headers: dict[str, str]
    bodies: Callable[[], list[bytes]]
    settle: Callable[[], None]
    parts: dict[str, Callable[[], float]]


def main() -> None:
    """Run the rounds and print both rates, their ratio, and the budget; or what is missing."""
    lacking = missing()
    if lacking:
        print(
            f"Nothing was measured, because {' and '.join(lacking)} not there: make a virtual"
            " environment of Python 3.13, run `pip install ethyca-fides` in it, give its folder as"
            " FIDES_VENV, and run `apt-get install redis-server postgresql postgresql-common`."
        )
        return
    with tempfile.TemporaryDirectory(prefix="candor-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = [
            stack.enter_context(candor_server(folder)),
            stack.enter_context(fides_server(folder)),
        ]
        rounds = {
            connections: [
                [cpu_per_request(server, connections) for server in servers] for _ in range(ROUNDS)
            ]
            for connections in CONNECTIONS
        }
    print(", ".join(versions()))
    for connections, pairs in rounds.items():
        report(connections, pairs)


def report(connections: int, pairs: list[list[dict[str, float]]]) -> None:
    """Print the medians of one number of connections."""
    candor = statistics.median(1 / checked["server"] for checked, _ in pairs)
    print(f"{connections} connections: candor {candor:,.0f} checks per CPU-second")
    for label, budget in (("server", " (>= 20)"), ("server, PostgreSQL and Redis", "")):
        reads = statistics.median(1 / read[label] for _, read in pairs)
        ratio = statistics.median(read[label] / checked["server"] for checked, read in pairs)
        print(f"  fides, {label}: {reads:,.0f} reads per CPU-second, ratio {ratio:.1f}{budget}")


def cpu_per_request(server: Server, connections: int) -> dict[str, float]:
    """Send one round, and return the seconds of CPU that a request cost by what is counted."""
    bodies = server.bodies()

    def send_some(some: list[bytes]) -> None:
        sending = send(server.port, some, server.headers, path=server.path, connections=connections)
        uvloop.run(sending)
        server.settle()

    send_some(bodies[: len(bodies) // 4])
    before = {label: spent() for label, spent in server.parts.items()}
    send_some(bodies)
    return {label: (spent() - before[label]) / len(bodies) for label, spent in server.parts.items()}


@contextmanager
def candor_server(folder: Path) -> Iterator[Server]:
    """Run ``candor serve`` on a filled store."""
    with full_server(folder) as ((pid, port), key):
        headers = {"authorization": f"Bearer {key}"}
        settle = partial(wait_until_loaded, port, headers)
        parts = {"server": lambda: float(cpu_seconds(pid))}
        yield Server(port, CHECK, headers, some_bodies, settle, parts)


@contextmanager
def fides_server(folder: Path) -> Iterator[Server]:
    """Run the web server of Fides with its stores, and have its people choose."""
    home, port = folder / "fides", free_port()
    (home / "data" / "saas" / "config").mkdir(parents=True)  # it lists the folder when it starts
    command = [str(venv() / "bin" / "uvicorn"), "fides.api.main:app", "--host", "127.0.0.1"]
    with (
        postgresql(folder) as (database, database_port),
        redis(folder) as (cache, cache_port),
    ):
        password = secrets.token_hex(16)
        environment = fides_environment(database_port, cache_port, password)
        command += ["--port", str(port), "--log-level", "warning"]
        with running(command, environment, home, port, STARTS_WITHIN) as pid:
            headers = fill_fides(f"http://127.0.0.1:{port}", password)
            parts = {
                "server": lambda: float(family_cpu_seconds(pid)),
                "server, PostgreSQL and Redis": lambda: float(
                    sum(family_cpu_seconds(one) for one in (pid, database, cache))
                ),
            }
            yield Server(port, READ, headers, reads, let_end, parts)


def fides_environment(database_port: int, cache_port: int, password: str) -> dict[str, str]:
    """Return the settings of Fides."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {
        "FIDES__DATABASE__SERVER": "127.0.0.1",
        "FIDES__DATABASE__PORT": str(database_port),
        "FIDES__DATABASE__USER": "postgres",
        "FIDES__DATABASE__DB": "fides",
        "FIDES__REDIS__HOST": "127.0.0.1",
        "FIDES__REDIS__PORT": str(cache_port),
        "FIDES__REDIS__PASSWORD": "",
        "FIDES__SECURITY__APP_ENCRYPTION_KEY": secrets.token_hex(16),
        "FIDES__SECURITY__OAUTH_ROOT_CLIENT_ID": CLIENT,
        "FIDES__SECURITY__OAUTH_ROOT_CLIENT_SECRET": password,
        "FIDES__EXECUTION__DISABLE_CONSENT_IDENTITY_VERIFICATION": "true",  # so that PEOPLE choose
        "FIDES__LOGGING__LEVEL": "WARNING",
    }


def fill_fides(address: str, password: str) -> dict[str, str]:
    """Have everybody choose through the API of Fides; return the headers of a reader.

    Raises:
        RuntimeError: What was chosen is not what is read.
    """
    chosen = {"data_use": "marketing.advertising", "opt_in": True}
    with httpx.Client(base_url=f"{address}/api/v1", timeout=60) as client:

        def call(method: str, path: str, **body: object) -> dict[str, object]:
            answer = client.request(method, path, **body)  # type: ignore[arg-type]  # as httpx takes
            answer.raise_for_status()
            told: dict[str, object] = answer.json()
            return told

        form = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": password}
        token = call("POST", "/oauth/token", data=form)["access_token"]
        client.headers["authorization"] = f"Bearer {token}"

        def choose(number: int) -> None:
            identity = {"email": email(number)}
            made = call("POST", "/consent-request", json={"identity": identity})
            path = f"/consent-request/{made['consent_request_id']}/preferences"
            call("PATCH", path, json={"identity": identity, "consent": [chosen]})

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(choose, range(PEOPLE)))
        read = call("POST", "/consent-request/preferences", json={"email": email(PEOPLE - 1)})
        consents = msgspec.convert(read["consent"], list[dict[str, object]])
        if [{name: one[name] for name in chosen} for one in consents] != [chosen]:
            raise RuntimeError(f"fides read something else than what was chosen: {read}")
    return {"authorization": f"Bearer {token}"}


def let_end() -> None:
    """Give the database's processes of closed connections time to end."""
    time.sleep(0.5)


def reads() -> list[bytes]:
    """Return the bodies of one round of reads."""
    return [msgspec.json.encode({"email": email(random.randrange(PEOPLE))}) for _ in range(READS)]


def email(number: int) -> str:
    """Return the address of one of the people."""
    return f"customer-{number}@example.org"


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[int, int]]:
    """Run an empty PostgreSQL on the loopback; give its process and port."""
    data, programs, port = folder / "postgresql", postgresql_programs(), free_port()
    data.mkdir()
    user: tuple[str, ...] = ()
    if os.geteuid() == 0:  # which it refuses to be run by
        user = AS_POSTGRES
        folder.chmod(0o711)
        shutil.chown(data, "postgres")
    initdb = [*user, str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-E", "UTF8"]
    subprocess.run([*initdb, "-A", "trust"], check=True, cwd=data, stdout=subprocess.DEVNULL)
    command = [*user, str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1"]
    command += ["-p", str(port), "-k", "", "-N", "300", "-c", "log_min_messages=panic"]
    with running(command, os.environ, data, port) as pid:
        yield pid, port


@contextmanager
def redis(folder: Path) -> Iterator[tuple[int, int]]:
    """Run an empty Redis on the loopback; give its process and port."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    with running(command, os.environ, folder, port) as pid:
        yield pid, port


def missing() -> list[str]:
    """Return what there is not, each with its verb, as the subject of a sentence."""
    wanted = {
        "ethyca-fides is": "FIDES_VENV" in os.environ and (venv() / "bin" / "fides").exists(),
        "Redis is": shutil.which("redis-server") is not None,
        "PostgreSQL is": shutil.which("pg_config") is not None
        and (postgresql_programs() / "postgres").exists(),
    }
    return [what for what, there in wanted.items() if not there]


def venv() -> Path:
    """Return the virtual environment of Fides."""
    return Path(os.environ["FIDES_VENV"]).absolute()


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    return Path(told("pg_config", "--bindir"))


def versions() -> list[str]:
    """Return the name and version of everything that was measured."""
    script = "from importlib.metadata import version; print(version('ethyca-fides'))"
    return [
        f"candor {version('candor')}",
        f"ethyca-fides {told(str(venv() / 'bin' / 'python'), '-c', script)}",
        told(str(postgresql_programs() / "postgres"), "--version"),
        told("redis-server", "--version").partition(" sha=")[0],
    ]


def told(*command: str) -> str:
    """Return what a program prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
