"""A real Prometheus, with samples from a file or from what it scrapes."""

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.programs import program
from tests.support.server import free_port

_PATIENCE = 600
Series = Mapping[str, Sequence[tuple[int, float]]]
"""Samples (seconds since the epoch, value) by their series."""


class Prometheus:
    """Asks one that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, at: float | None = None) -> dict[str, float]:
        """Return the values of an instant query by the objective or name that they are about."""
        asked: dict[str, Any] = {"query": query} | ({} if at is None else {"time": at})
        answer = httpx.get(f"{self.url}/api/v1/query", params=asked).raise_for_status()
        return {
            one["metric"].get("objective") or one["metric"].get("sloth_slo", ""): float(
                one["value"][1]
            )
            for one in answer.json()["data"]["result"]
        }

    def wait_for(self, query: str, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        """Return the answer once it is as wanted."""
        answers: dict[str, float] = {}

        def is_there() -> bool:
            answers.clear()
            answers.update(self.ask(query))
            return holds(answers)

        _until(is_there, f"{query} is {answers}")
        return answers


@contextmanager
def prometheus(
    folder: Path,
    *,
    series: Series | None = None,
    scraped: str | None = None,
    key: str = "",
    rules: str | None = None,
) -> Iterator[Prometheus]:
    """Give a Prometheus that holds these series, scrapes that address, and keeps these rules."""
    binary = program("prometheus", "prometheus")
    folder.mkdir(exist_ok=True)
    if series is not None:
        _backfill(folder, series)
    config: dict[str, Any] = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}}
    if rules is not None:
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        config["rule_files"] = ["rules.yml"]
    if scraped is not None:
        job: dict[str, Any] = {"job_name": "candor", "static_configs": [{"targets": [scraped]}]}
        config["scrape_configs"] = [job | ({"authorization": {"credentials": key}} if key else {})]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    command = [
        binary,
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, stderr=log, stdout=log) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _until(lambda: httpx.get(f"{url}/-/ready").is_success, "it is not ready")
            yield Prometheus(url)
        finally:
            process.terminate()


def _backfill(folder: Path, series: Series) -> None:
    """Write samples as blocks of a Prometheus: the tool reads OpenMetrics."""
    families: dict[str, list[str]] = {}
    for name, samples in series.items():
        family = name.partition("{")[0].removesuffix("_total")
        families.setdefault(family, []).extend(f"{name} {value} {at}" for at, value in samples)
    lines = [
        line
        for family, samples in families.items()
        for line in (f"# TYPE {family} counter", *samples)
    ]
    text = folder / "samples.om"
    text.write_text("\n".join([*lines, "# EOF", ""]), encoding="utf-8")
    command = [program("promtool", "prometheus"), "tsdb", "create-blocks-from", "openmetrics"]
    done = subprocess.run(
        [*command, str(text), str(folder / "data")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _until(holds: Callable[[], bool], what: str) -> None:
    pause = threading.Event()
    for _ in range(_PATIENCE):
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        pause.wait(0.1)
    raise AssertionError(f"It did not come to hold in time: {what}.")
