"""A server that is killed while it tells a subscriber: nothing is lost, and the order stays."""

import json
import sqlite3
import threading
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.consent import EVENTS, MARKETING
from tests.support.loopback import Received
from tests.support.receiver import receiver
from tests.support.server import serve, serve_until_killed

ACTS, PEOPLE = 400, 40
_TRIES = 3000
LOCAL = {"CANDOR_CONSENT__PRIVATE_SUBSCRIBERS": "true"}


def rows() -> str:
    return "\n".join(
        json.dumps(
            {
                "subject": {"type": "email", "value": f"customer-{number % PEOPLE}@example.org"},
                "purpose": "marketing",
                "action": "withdraw",
                "at": f"2026-01-02T00:{number // 60:02}:{number % 60:02}Z",
                "source": "import",
            }
        )
        for number in range(ACTS)
    )


def end_leases(folder: Path) -> None:
    """Let the leases of a killed server be over, as they are a minute later."""
    with closing(sqlite3.connect(folder / ".candor" / "state.db")) as state:
        assert state.execute("DELETE FROM leases").rowcount
        state.commit()


@pytest.mark.crash
def test_a_killed_server_goes_on_where_it_was(tmp_path: Path) -> None:
    pause, half = threading.Event(), threading.Event()
    taken: dict[str, list[str]] = defaultdict(list)
    distinct: set[str] = set()

    def judge(received: Received) -> int:
        pause.wait(0.01)
        told = received.json()
        taken[told["subject"]].append(told["sequence"])
        distinct.add(told["id"])
        if len(distinct) > ACTS // 3:
            half.set()
        return 200

    with receiver() as target:
        target.judge = judge
        hook = {"webhook": {"url": target.url, "secret": "a secret of the receiver"}}
        with (
            serve_until_killed(tmp_path, **LOCAL) as server,
            httpx.Client(headers=server.headers) as client,
        ):
            url = f"{server.url}/api/v1"
            made = client.put(f"{url}/purposes/marketing", json=dict(MARKETING))
            assert made.status_code == 201
            assert client.put(f"{url}/consent/subscribers/crm", json=hook).status_code == 201
            done = client.post(f"{server.url}{EVENTS}/import", content=rows().encode())
            assert done.json()["recorded"] == ACTS
            assert half.wait(60)
            server.kill()
            assert len(distinct) < ACTS
        end_leases(tmp_path)
        with serve(tmp_path, **LOCAL):
            for _ in range(_TRIES):
                if len(distinct) == ACTS:
                    break
                pause.wait(0.05)
    assert len(distinct) == ACTS
    for told in taken.values():
        first_seen = list(dict.fromkeys(told))
        assert first_seen == sorted(first_seen)
