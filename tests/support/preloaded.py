"""``candor`` in processes that need not import it: they are forked from one that has.

A start of Candor is seconds of imports, and the suite starts it some hundred times. Each start is
still a process of its own, with its own folder, environment, files and end; what differs from
``python -m candor`` is that modules are there already. Tests of the start itself take the real one.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import coverage

ROOT = Path(__file__).parents[2]
_MODULES = (
    "candor.cli",
    "candor.server",
    "candor.examination",
    "candor.kernel.rpc",
    "collector.doors.otlp_grpc",
    "privacy.consent.authorization",
    "privacy.pii.detection",
)
_REQUEST_BYTES = 1 << 20


class Process:
    """One forked ``candor``, to be treated like a ``subprocess.Popen``, by several threads too."""

    def __init__(self, told: socket.socket) -> None:
        self.returncode: int | None = None
        self._reading = threading.Lock()
        self._told = told.makefile("r")
        told.close()
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs; that of one that was killed is negative."""
        if self._reading.acquire(blocking=False):  # if not, another thread waits
            try:
                if self.returncode is None and _can_be_read(self._told):
                    self._read()
            finally:
                self._reading.release()
        return self.returncode

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        with self._reading:
            return self._read() if self.returncode is None else self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read(self) -> int:
        self.returncode = os.waitstatus_to_exitcode(int(self._told.readline()))
        self._told.close()
        return self.returncode


def _can_be_read(file: IO[str]) -> bool:
    """Whether something waits; an engine in this process may have opened over 1,024 files."""
    poll = select.poll()
    poll.register(file, select.POLLIN)
    return bool(poll.poll(0))


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *files: IO[str]
) -> Process:
    """Start ``candor`` in a folder, with files for its stdout and stderr; ``-c`` as with Python."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    request = json.dumps([list(arguments), os.fspath(folder.resolve()), dict(environment)])
    with theirs:
        descriptors = [theirs.fileno(), *(file.fileno() for file in files)]
        socket.send_fds(_nursery(), [request.encode()], descriptors)
    return Process(ours)


def run(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run what ``start`` starts to its end, and return what it printed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        code = start(arguments, folder, environment, out, err).wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), code, out.read(), err.read())


@contextmanager
def nursery_closed() -> Iterator[None]:
    """Let the process that the others are forked from end with the block, if there is one."""
    yield
    if _nursery.cache_info().currsize:
        _nursery().close()
        _NURSERIES.pop().wait()
        _nursery.cache_clear()


_NURSERIES: "list[subprocess.Popen[bytes]]" = []


@cache
def _nursery() -> socket.socket:
    """Return where a start is asked for; the process behind it ends when this is closed."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.preloaded", str(theirs.fileno())],
            cwd=ROOT,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # a thread does not survive a fork
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    _NURSERIES.append(process)
    return ours


def main(requests: socket.socket) -> None:
    """Import what every ``candor`` does, then fork one for each request until there are no more."""
    for module in _MODULES:
        importlib.import_module(module)
    importlib.import_module("privacy.pii.naming").promising()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, _REQUEST_BYTES, 8)
        if not request:
            return
        if os.fork() == 0:
            requests.close()
            _keep(json.loads(request), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(request: tuple[list[str], str, dict[str, str]], descriptors: list[int]) -> None:
    """Fork a ``candor``, tell its id, then its end; only it returns from here."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    told, *files = descriptors
    child = os.fork()
    if child == 0:
        os.close(told)
        _become(*request, files)
    os.write(told, b"%d\n" % child)
    for descriptor in (0, 1, 2, *files):
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):  # nobody may want to know any more
        os.write(told, b"%d\n" % status)
    os._exit(0)


def _become(
    arguments: list[str], folder: str, environment: dict[str, str], files: list[int]
) -> None:
    """Run the command as if this process had been started for it, and end."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for target, file in enumerate(files, start=3 - len(files)):
        os.dup2(file, target)
        os.close(file)
    measured = coverage.Coverage.current()
    if measured is not None:
        measured._auto_save = False  # what was measured before is the parent's
        measured.stop()
    if environment.get("COVERAGE_PROCESS_CONFIG"):
        coverage.process_startup(force=True)
    if arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})  # noqa: S102 - a program of a test
        sys.exit()
    sys.argv = ["candor", *arguments]
    sys.exit(importlib.import_module("candor.cli").main())


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
