"""``candor check``, ``migrate`` and ``slo gate`` beside a running server, and when it is down."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from candor.examination import complaints_of, examine, pending_in
from candor.kernel.settings import load_settings
from tests.support import preloaded
from tests.support.loopback import answering, json_reply
from tests.support.server import Server, free_port, serve

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder) as running:
        yield running


@pytest.fixture
def candor(folder: Path) -> Run:
    def run(*arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = preloaded.run(arguments, folder, os.environ)
        assert done.returncode == expect, done.stderr
        return done

    return run


def test_check_works_beside_a_running_server_and_says_how_to_ask_it(
    server: Server, candor: Run
) -> None:
    done = candor("check")
    assert "in use by another process" in done.stderr
    assert "candor check --url http://127.0.0.1:8080" in done.stderr
    assert "All is well." in done.stderr
    told = json.loads(candor("check", "--json").stdout)
    assert (told["complaints"], len(told["notes"])) == ([], 1)
    assert server.process.poll() is None


def test_check_asks_a_server_how_it_is(server: Server, candor: Run) -> None:
    done = candor("check", "--url", server.url)
    assert json.loads(done.stdout)["components"] == dict.fromkeys(
        ["state", "telemetry", "spool"], "ok"
    )
    assert "does not answer" in candor(
        "check", "--url", f"http://127.0.0.1:{free_port()}", expect=1
    ).stderr  # fmt: skip


def test_check_tells_each_component_that_a_server_says_is_unwell(
    tmp_path: Path, candor: Run
) -> None:
    settings = {"CANDOR_SPOOL__SEGMENT_AGE": "PT1H", "CANDOR_SPOOL__MAX_AGE": "PT0.2S"}
    with serve(tmp_path, **settings) as server:
        event = {"id": "1", "name": "x", "time": "2026-11-22T09:00:00Z"}
        httpx.post(f"{server.url}/api/v1/events", json=event, headers=server.headers)
        threading.Event().wait(0.3)
        done = candor("check", "--url", server.url, expect=1)
    assert "spool: What waits in the spool is too old." in done.stderr


def test_an_answer_that_is_no_candors_is_said() -> None:
    assert "address of a Candor" in complaints_of({})[0]
    assert complaints_of({"components": {"state": "ok", "spool": "It is full."}}) == [
        "spool: It is full."
    ]


def test_migrations_are_checked_beside_a_running_server(server: Server, candor: Run) -> None:
    done = candor("migrate", "--check")
    assert "brings both up to date when it starts" in done.stderr
    assert json.loads(candor("migrate", "--dry-run", "--json").stdout) == []
    assert "Restart it instead." in candor("migrate", expect=2).stderr
    assert server.process.poll() is None


def test_a_state_store_that_is_behind_a_running_server_is_a_complaint(tmp_path: Path) -> None:
    settings = load_settings(
        telemetry_dsn=f"chdb:///{tmp_path}/telemetry", state_dsn=f"sqlite:///{tmp_path}/state.db"
    )
    holder = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX);"
        " f.write('77'); f.flush(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "telemetry.lock")],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            pending, examined = pending_in(settings), examine(settings)
        finally:
            process.kill()
    assert {step.store for step in pending.steps} == {"state"}
    assert examined.complaints == [
        f"{len(pending.steps)} migrations of the state store are pending. Restart the server."
    ]
    assert examined.notes == [pending.note]


def test_the_gate_tells_no_from_nobody_and_from_no_answer(server: Server, candor: Run) -> None:
    objective = str(ROOT / "examples" / "web-access-objective.yaml")
    reach = ("--url", server.url, "--key", server.key)
    candor("slo", "apply", objective, *reach)
    assert candor("slo", "gate", "--service", "web-access", *reach).stdout == "go\n"
    unknown = candor("slo", "gate", "--service", "nobody", *reach, expect=2)
    assert "No objective belongs to that service." in unknown.stderr
    nowhere = f"http://127.0.0.1:{free_port()}"
    down = candor("slo", "gate", "--service", "web-access", "--url", nowhere, expect=1)
    wrong_key = candor(
        "slo", "gate", "--service", "web-access", "--url", server.url, "--key", "x", expect=1
    )
    elsewhere = (f"{server.url}/console", "--key", server.key)
    astray = candor("slo", "gate", "--service", "nobody", "--url", *elsewhere, expect=1)
    assert "Give --url the address that serves /api/v1." in astray.stderr
    assert {one.stdout for one in (unknown, down, wrong_key, astray)} == {""}
    told = candor("slo", "gate", "--help").stdout
    assert all(f"Exit {code}:" in told for code in (0, 1, 2))


@pytest.mark.parametrize("status", [401, 404, 502])
def test_a_server_that_is_no_candor_is_told_whatever_it_refuses_with(
    candor: Run, status: int
) -> None:
    with answering(lambda _: json_reply(status, ["no", "problem"])) as url:
        done = candor("slo", "gate", "--service", "web-access", "--url", url, expect=1)
    assert url in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_refuses_one_of_several_files_is_told_by_file_and_line(
    server: Server, candor: Run, tmp_path: Path
) -> None:
    example = (ROOT / "examples" / "shop-objectives.yaml").read_text()
    line = example[: example.index("target: 0.98")].count("\n") + 1
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("\ufeff" + example.partition("---\n")[0], encoding="utf-8")
    second.write_text(example.partition("---\n")[2].replace("target: 0.98", "target: 1.98"))
    reach = ("--url", server.url, "--key", server.key)
    refused = candor("slo", "apply", str(tmp_path), *reach, expect=1).stderr
    gone = example.partition("---\n")[0].count("\n") + 1
    assert f"{second}:{line - gone}: spec.objectives[0].target: range:" in refused
    second.write_text("kind: [")
    refused = candor("slo", "apply", str(tmp_path), *reach, expect=1).stderr
    assert refused.startswith(f"{second}:")
    assert "document: yaml:" in refused
    assert str(first) not in refused
