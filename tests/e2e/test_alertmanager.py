"""A real Alertmanager takes our alerts: they appear, group, inhibit, and resolve."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from slo.alerting import Alert
from slo.alerts.alertmanager import WATCHDOG, push
from tests.support.programs import ROOT, program
from tests.support.receiver import Receiver, receiver
from tests.support.server import free_port

PATIENCE = 300


@contextmanager
def alertmanager(folder: Path, webhook: str) -> Iterator[str]:
    """Give the address of an Alertmanager that runs with the shipped rules of inhibition."""
    binary = program("prometheus-alertmanager", "prometheus-alertmanager")
    shipped = (ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    config = folder / "alertmanager.yml"
    quick = shipped.replace("group_wait: 30s", "group_wait: 1s").replace(
        "group_interval: 5m", "group_interval: 1s"
    )
    config.write_text(quick.replace("http://127.0.0.1:9/pager", webhook), encoding="utf-8")
    port = free_port()
    command = [
        binary,
        f"--config.file={config}",
        f"--storage.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    log = (folder / "log").open("w", encoding="utf-8")
    with log, subprocess.Popen(command, stderr=log, stdout=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            until(lambda: httpx.get(f"{url}/-/ready").is_success)
            yield url
        finally:
            process.terminate()


def until(holds: Any) -> None:  # noqa: ANN401 - a question
    pause = threading.Event()
    for _ in range(PATIENCE):
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        pause.wait(0.1)
    raise AssertionError("it did not come to hold in time")


def alert(severity: str, tier: str, at: datetime, **fields: Any) -> Alert:  # noqa: ANN401 - any field
    values: dict[str, Any] = {
        "id": f"id-{severity}",
        "objective": "checkout",
        "service": "shop",
        "kind": "burn",
        "severity": severity,
        "tier": tier,
        "state": "firing",
        "summary": "The error budget burns 20 times as fast as it may.",
        "pending_since": at,
        "last_active_at": at,
        "evaluated_at": at,
        "fired_at": at,
    }
    return Alert(**(values | fields))


def states(url: str) -> dict[str, str]:
    alerts = httpx.get(f"{url}/api/v2/alerts").json()
    return {one["labels"].get("tier", one["labels"]["alertname"]): one["status"]["state"]
            for one in alerts}  # fmt: skip


def messages(target: Receiver, status: str) -> list[dict[str, Any]]:
    return [
        one
        for request in target.requests
        for one in json.loads(request.body)["alerts"]
        if one["status"] == status and one["labels"]["alertname"] != WATCHDOG
    ]


def test_alerts_appear_inhibit_and_resolve_in_every_replica(tmp_path: Path) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - Alertmanager has a clock of its own
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    firing = [alert("page", "fast", now), alert("ticket", "slow", now)]
    with (
        receiver() as pager,
        alertmanager(tmp_path / "a", f"{pager.url}/pager") as one,
        alertmanager(tmp_path / "b", f"{pager.url}/other") as two,
        httpx.Client(timeout=5) as client,
    ):
        outcomes = push(firing, [one, two, "http://127.0.0.1:9"], client, now)
        assert outcomes == {one: "ok", two: "ok", "http://127.0.0.1:9": "ConnectError"}
        for url in (one, two):
            until(lambda url=url: states(url).get("slow") == "suppressed")
            assert states(url) == {"fast": "active", "slow": "suppressed", WATCHDOG: "active"}
        others = [
            {"labels": {"alertname": "DiskFull", "severity": "page"}},
            {"labels": {"alertname": "DiskOld", "severity": "ticket"}},
        ]
        client.post(f"{two}/api/v2/alerts", json=others)
        until(lambda: states(two).get("DiskOld") == "active")  # whose alerts are not ours
        until(lambda: messages(pager, "firing"))
        again = now + timedelta(minutes=1)
        push(firing, [one, two], client, again)
        over = [
            alert("page", "fast", now, state="resolved", resolved_at=datetime.now(UTC)),  # noqa: TID251 - as above
            alert("ticket", "slow", now),
        ]
        push(over, [one], client, again)
        until(lambda: "fast" not in states(one) and states(one).get("slow") == "active")
        until(lambda: messages(pager, "resolved"))
        told = messages(pager, "firing")
        assert {one["labels"]["severity"] for one in told} >= {"page"}
        assert all("burns" not in json.dumps(one["labels"]) for one in told)
