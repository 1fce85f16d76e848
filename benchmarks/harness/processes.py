"""What benchmarks that measure other processes share: start one, wait for it, read its CPU time.

It lies in a folder of its own, because every script beside it is a benchmark.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = timedelta(seconds=30)
_PAUSE = timedelta(seconds=0.1)


@contextmanager
def running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    patience: timedelta = _PATIENCE,
) -> Iterator[int]:
    """Run a program until the end of the block; give its process id once it listens."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _wait_until_up(process, port, patience)
            yield process.pid
        finally:
            process.terminate()


@contextmanager
def candor_running(
    folder: Path, port: int, settings: Mapping[str, str] | None = None, script: Sequence[str] = ()
) -> Iterator[int]:
    """Run ``candor serve``, or a script with its settings, in a folder; give its process id.

    What the search for personal data costs is measured by itself: it is off unless a setting says
    otherwise.
    """
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "CANDOR_PORT": str(port),
        "CANDOR_GRPC_PORT": "0",
        "CANDOR_AUTH__MODE": "open",
        "CANDOR_PII__ENABLED": "false",
        **(settings or {}),
    }
    command = [sys.executable, *(script or ("-m", "candor", "serve"))]
    with running(command, environment, folder, port) as pid:
        wait_until_ready(port)  # it listens before it has opened its stores
        yield pid


def wait_until_ready(port: int) -> None:
    """Return when a server says that its stores are open and it takes requests."""
    for _ in range(_PATIENCE // _PAUSE):
        if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=60).is_success:
            return
        time.sleep(_PAUSE.total_seconds())
    raise RuntimeError("the server did not become ready")


def cpu_seconds(pid: int) -> float:
    """Return user + system time of a process and all its threads."""
    return sum(_ticks(pid)[:2]) / _TICKS


def family_cpu_seconds(pid: int) -> float:
    """Return user + system time of a process and of its children, ended ones included."""
    spent = 0.0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(FileNotFoundError):  # it ended just now: its parent knows what it used
            spent += cpu_seconds(int(child))
    return spent + sum(_ticks(pid)) / _TICKS


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _ticks(pid: int) -> list[int]:
    """Return user and system time, the process's own and that of its children that ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[11:15]]


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, patience: timedelta) -> None:
    """Return when the process listens on the port."""
    for _ in range(patience // _PAUSE):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(_PAUSE.total_seconds())
        else:
            return
    raise RuntimeError("the process did not come up")
