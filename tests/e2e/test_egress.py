"""Whoever searches for personal data asks nobody: no name is resolved, and nothing is connected to.

Real processes run with a hook that writes down whatever Python hands to the network. Where the
machine lets them, they run once more in a network of their own that leads nowhere, which holds for
compiled code too.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.events import native_event
from tests.support.server import ROOT, serve

MAIL = "jane@shop.example.co.uk"
EVENT = {"mail": MAIL, "note": f"Jane Miller wrote from {MAIL}", "phone": "425 882 8080"}
HOOK = """
import os, sys
kinds = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
         "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
told = os.open(os.environ["TOLD_TO"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def hook(kind, given):
    if kind in kinds:
        os.write(told, f"{kind} {given[-1] if kind == 'socket.connect' else given!r}\\n".encode())
sys.addaudithook(hook)
"""
LONELY = ("unshare", "--map-root-user", "--net", "--")


def lonely() -> bool:
    """Whether this machine lets us have a network without a way out."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*LONELY, "true"], check=False, capture_output=True).returncode == 0


def watched(folder: Path) -> dict[str, str]:
    """Return an environment in which every Python process tells what it asks of the network."""
    (folder / "hook").mkdir(parents=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    home = folder / "home"
    home.mkdir()
    return {
        "PYTHONPATH": f"{folder / 'hook'}{os.pathsep}{ROOT}",
        "TOLD_TO": str(folder / "told"),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
    }


def asked(folder: Path) -> list[str]:
    """Return what the processes of a folder asked of the network, beyond this machine.

    Raises:
        FileNotFoundError: the hook was not there.
    """
    lines = (folder / "told").read_text(encoding="utf-8").splitlines()
    return [one for one in lines if "127.0.0.1" not in one and "localhost" not in one]


def scan(folder: Path, *before: str) -> None:
    """Scan an event in a new installation, and see that all of it is found."""
    environment = os.environ | watched(folder)
    (folder / "event.json").write_text(json.dumps(EVENT), encoding="utf-8")
    command = [*before, sys.executable, "-m", "candor", "pii", "scan", "event.json", "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    found = {one["entity"] for one in json.loads(done.stdout)["findings"]}
    assert found == {"EMAIL_ADDRESS", "PERSON", "PHONE_NUMBER"}


def test_the_hook_tells_of_whoever_asks(tmp_path: Path) -> None:
    program = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=0.01)"
    environment = os.environ | watched(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, check=False, capture_output=True
    )
    assert done.returncode == 1
    assert any("192.0.2.1" in one for one in asked(tmp_path))


def test_a_first_scan_asks_nothing_of_the_network(tmp_path: Path) -> None:
    scan(tmp_path / "usual")
    assert asked(tmp_path / "usual") == []


@pytest.mark.skipif(not lonely(), reason="this machine gives nobody a network of their own")
def test_a_first_scan_without_a_network_finds_the_same(tmp_path: Path) -> None:
    scan(tmp_path / "alone", *LONELY)
    assert asked(tmp_path / "alone") == []


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_server_that_takes_its_first_event_asks_nothing_either(
    tmp_path: Path, workers: str
) -> None:
    environment = watched(tmp_path)
    with serve(tmp_path, CANDOR_PII__WORKERS=workers, **environment) as server:
        sent = native_event(1, attributes=EVENT)
        answer = httpx.post(
            f"{server.url}/api/v1/events", json=sent, headers=server.headers, timeout=60
        )
        assert answer.json()["accepted"] == 1
    assert asked(tmp_path) == []
