"""The real ``candor serve`` in a process of its own."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import httpx

from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine, session_of
from candor.kernel.secrets import open_secrets
from candor.kernel.security import create_key
from tests.support import preloaded
from tests.support.stores import migrated_sqlite

ROOT = Path(__file__).parents[2]
_TRIES = 600
_NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading authorities takes longer than asking
_OF_A_START = {"PYTHONPATH", "CANDOR_PII__WORKERS"}
"""Settings that ask for a whole start: of what Python finds, or of processes started likewise."""
UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
"""Variables of a process whose coverage is not wanted: its start costs a third less."""


Running = preloaded.Process | subprocess.Popen[str]


class Server:
    """One running server, and the folder in which its stores lie."""

    def __init__(self, process: Running, folder: Path, ports: tuple[int, int], key: str) -> None:
        self.process = process
        self.folder = folder
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.grpc = f"127.0.0.1:{ports[1]}"
        self.key = key
        self.headers = {"authorization": f"Bearer {key}"}

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(encoding="utf-8")

    def metrics(self) -> str:
        """Return what it measures, as text."""
        return httpx.get(f"{self.url}/metrics", verify=_NO_TRUST).text

    def wait_for_line(self, text: str, since: int) -> None:
        """Return when the log holds a text behind its first ``since`` characters."""
        pause = threading.Event()
        for _ in range(4 * _TRIES):
            if text in self.log()[since:]:
                return
            pause.wait(0.05)
        raise AssertionError(self.log())


def run_candor(folder: Path, *arguments: str) -> str:
    """Return what a command prints; it runs in ``folder``."""
    done = preloaded.run(arguments, folder, _environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def query_stores(folder: Path, statement: str, dsn: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a SELECT on the stores of a folder, read by a process of its own.

    A process can open one embedded engine, and the tests' own has another.
    """
    program = """
import json, sys
from candor.kernel.settings import load_settings
from candor.kernel.telemetry_store import open_telemetry_store
settings = load_settings()
store = open_telemetry_store(settings.telemetry_dsn, settings.telemetry)
print(json.dumps(store.query(sys.argv[1])))
store.close()
"""
    environment = _environment() | UNMEASURED | ({"CANDOR_TELEMETRY_DSN": dsn} if dsn else {})
    done = preloaded.run(["-c", program, statement], folder, environment)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def load_what_waits(folder: Path) -> None:
    """Bring what a stopped server left on its disk into the telemetry store.

    A server stops after ten seconds even if not all is loaded, which happens on a busy machine.
    """
    if any((folder / ".candor" / "spool").iterdir()):
        (folder / "nothing.json").write_text("", encoding="utf-8")
        run_candor(folder, "ingest", "nothing.json", "--format", "native")


def log_size(folder: Path) -> int:
    """Return how much the servers of a folder have logged so far, in characters."""
    path = folder / "serve.log"
    return len(path.read_text(encoding="utf-8")) if path.exists() else 0


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Server]:
    """Give a ready server with a key for everything; it is terminated at the end."""
    key_file = folder / "key"
    if not key_file.exists():
        key_file.write_text(_new_key(folder), encoding="utf-8")
    ports = (free_port(), free_port())
    environment = _environment() | {
        "CANDOR_PORT": str(ports[0]),
        "CANDOR_GRPC_PORT": str(ports[1]),
        "CANDOR_SELF_OBJECTIVES": "false",  # a test counts what it sent alone
        **settings,
    }
    with (folder / "serve.log").open("a", encoding="utf-8") as log:
        process = _started(folder, environment, log, anew=bool(_OF_A_START & settings.keys()))
        server = Server(process, folder, ports, key_file.read_text(encoding="utf-8"))
        try:
            _wait_until_ready(server)
            yield server
        finally:
            process.terminate()
            process.wait()


@contextmanager
def serve_until_killed(folder: Path, **settings: str) -> Iterator[Server]:
    """Give a ready server that is killed at the end, if not before.

    What is killed writes no coverage, so none is measured.
    """
    with serve(folder, **settings, **UNMEASURED) as server:
        try:
            yield server
        finally:
            server.kill()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, and that no other worker is given."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        if port // 2 % workers == worker % workers:  # Linux may give out odd ports alone
            return port


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def _started(folder: Path, environment: dict[str, str], log: IO[str], *, anew: bool) -> Running:
    if not anew:
        return preloaded.start(["serve"], folder, environment, log)
    command = [sys.executable, "-m", "candor", "serve"]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=log, text=True)


def _new_key(folder: Path) -> str:
    """Return a new key for everything, as ``candor keys create`` does in seconds of a process."""
    home = folder / ".candor"
    home.mkdir(mode=0o700, exist_ok=True)
    secrets = open_secrets(home / "master.key", may_create=True)
    state = home / "state.db"
    if not state.exists():
        state.write_bytes(migrated_sqlite())
        state.chmod(0o600)
    engine = open_engine(f"sqlite:///{state}")
    with session_of(engine) as session:
        made = create_key(session, secrets, name="test", scopes=["admin"], at=utc_now())
    engine.dispose()
    return made.key


def _wait_until_ready(server: Server) -> None:
    pause = threading.Event()
    with httpx.Client(base_url=server.url) as client:  # to make one takes as long as a pause
        for _ in range(_TRIES):
            if server.process.poll() is not None:
                raise AssertionError(server.log())
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.TransportError:
                pause.wait(0.05)
    raise AssertionError("the server did not become ready")
