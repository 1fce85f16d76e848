"""Synthetic checks in the real processes: beside embedded stores, and shared between workers."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import yaml

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.clickhouse_http import serve_clickhouse
from tests.support.server import ROOT, free_port, serve
from tests.support.shop import Shop, open_shop
from tests.support.stores import empty_postgresql

TRIES = 1200


def wait_until(is_so: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(TRIES):
        if is_so():
            return
        pause.wait(0.05)
    raise AssertionError("that did not happen in time")


def checks_of(shop: Shop, folder: Path) -> Path:
    step = {"name": "ask", "request": {"url": f"{shop.url}/search"}}
    path = folder / "checks.yaml"
    path.write_text(
        yaml.safe_dump({"checks": [{"name": "search", "every": "1s", "steps": [step]}]})
    )
    return path


@contextmanager
def worker(folder: Path, settings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Give a running ``candor work``; it is terminated at the end."""
    folder.mkdir()
    with (
        (folder / "work.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [sys.executable, "-m", "candor", "work"],
            cwd=folder,
            env=settings,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def test_serve_runs_checks_beside_embedded_stores(tmp_path: Path) -> None:
    with open_shop() as shop:
        files = str(checks_of(shop, tmp_path))
        with serve(tmp_path, CANDOR_CHECKS__FILES=files, CANDOR_CHECKS__LOCATION="cork") as server:
            wait_until(lambda: len(shop.asked) > 1)

            def is_counted() -> bool:
                counted = 'candor_job_runs_total{job="check search from cork",outcome="ok"}'
                return counted in server.metrics()

            wait_until(is_counted)
        assert '"job failed"' not in server.log()


def test_workers_share_the_jobs_and_end_when_told(
    tmp_path: Path, embedded: TelemetryStore, postgresql_dsn: str
) -> None:
    key = tmp_path / "master.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    assert embedded.path is not None
    with ExitStack() as stack:
        shop = stack.enter_context(open_shop())
        url = stack.enter_context(serve_clickhouse(embedded.path))
        state = stack.enter_context(empty_postgresql(postgresql_dsn))
        own = embedded.using("test_work")
        stack.callback(own.close)
        stack.callback(own.command, "DROP DATABASE test_work SYNC")
        settings = {
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "CANDOR_TELEMETRY_DSN": f"{url}/test_work",
            "CANDOR_STATE_DSN": state,
            "CANDOR_MASTER_KEY_FILE": str(key),
            "CANDOR_VAULT__REGISTER_FILE": str(tmp_path / "destroyed.log"),
            "CANDOR_CHECKS__FILES": str(checks_of(shop, tmp_path)),
        }
        run = [sys.executable, "-m", "candor"]
        subprocess.run([*run, "migrate"], env=settings, check=True, stdout=subprocess.DEVNULL)
        port = str(free_port())
        with (
            worker(tmp_path / "one", settings | {"CANDOR_WORK_PORT": port}) as one,
            worker(tmp_path / "two", settings) as two,
        ):
            wait_until(lambda: len(shop.asked) >= 5)
            counted = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            assert "candor_job_runs_total" in counted
        assert (one.returncode, two.returncode) == (0, 0)
        (row,) = own.query("SELECT count() AS results, uniqExact(time) AS slots FROM checks FINAL")
        assert row["results"] == row["slots"] >= 4
        for folder in ("one", "two"):
            assert "candor is working" in (tmp_path / folder / "work.log").read_text()
            assert (tmp_path / folder / ".candor" / "spool" / "work").is_dir()


def test_work_beside_embedded_stores_is_wrong_use(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "candor", "work"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "candor serve" in done.stderr
