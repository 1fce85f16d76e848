"""The demo, small: through the real doors of a real server, to its end."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import free_port

ROOT = Path(__file__).parents[2]


@pytest.fixture
def demo() -> list[str]:
    port = free_port()
    return [sys.executable, "-m", "candor", "demo", "--events", "2000", "--port", str(port)]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}


def test_the_demo_prints_its_summary_and_ends(demo: list[str]) -> None:
    done = subprocess.run(
        [*demo, "--once"], capture_output=True, text=True, env=environment(), check=True
    )
    assert "0 rejected" in done.stdout
    for name in ("checkout-availability", "payment-latency", "checkout.confirmation", "/docs"):
        assert name in done.stdout
    assert "Serving" not in done.stdout
    assert [one.name for one in Path(".candor").iterdir()] == ["demo"]


def test_the_demo_serves_until_it_is_interrupted(demo: list[str]) -> None:
    with subprocess.Popen(demo, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Serving"):
                break
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().strip() == "Stopped."
    assert process.returncode == 0


def test_a_taken_port_is_said(demo: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo[-1] = str(taken.getsockname()[1])
        done = subprocess.run(demo, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    assert "CANDOR_PORT" in done.stderr
