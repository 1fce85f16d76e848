"""Consent survives a kill: no answered decision is missing from the log, no act from the ledger."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.support.consent import MARKETING, NEWSLETTER
from tests.support.server import Server, query_stores, serve, serve_until_killed

ROUNDS = 6
PEOPLE = 20


def ask_until_dead(server: Server, decided: dict[str, bool]) -> None:
    """Check one after the other until the connection breaks; note what was answered."""
    dice = random.Random(len(decided))
    with httpx.Client(headers=server.headers, timeout=30) as client:
        for _ in range(100_000):
            body = {
                "subject": {"type": "email", "value": f"p{dice.randrange(PEOPLE)}@example.org"},
                "purpose": "marketing",
                "channel": "email",
            }
            try:
                answer = client.post(f"{server.url}/api/v1/consent/check", json=body)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                decided[answer.json()["decision_id"]] = answer.json()["allow"]


def ask_many_until_dead(server: Server, decided: dict[str, bool]) -> None:
    with httpx.Client(headers=server.headers, timeout=30) as client:
        for _ in range(100_000):
            items = [
                {
                    "subject": {"type": "email", "value": f"p{number}@example.org"},
                    "purpose": "marketing",
                    "channel": "email",
                    "correlation_id": str(number),
                }
                for number in range(PEOPLE)
            ]
            try:
                answer = client.post(f"{server.url}/api/v1/consent/check/batch", json=items)
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                told = answer.json().values()
                decided.update({one["decision_id"]: one["allow"] for one in told})


def act_until_dead(server: Server, recorded: set[str]) -> None:
    """Grant and withdraw by turns until the connection breaks; note what was acknowledged."""
    with httpx.Client(headers=server.headers, timeout=30) as client:
        for number in range(100_000):
            body = {
                "subject": {"type": "email", "value": f"p{number % PEOPLE}@example.org"},
                "purpose": "marketing",
                "channel": "email",
                "action": "grant" if number // PEOPLE % 2 else "withdraw",
                "at": "2026-11-20T08:14:00Z",
                "source": "preference_centre",
                "notice": "newsletter/1",
            }
            try:
                answer = client.post(f"{server.url}/api/v1/consent/events", json=body)
            except httpx.TransportError:
                return
            if answer.status_code == 201:
                recorded.add(answer.json()["id"])


@pytest.mark.crash
def test_what_was_answered_is_in_the_log_and_what_was_acknowledged_in_the_ledger_after_kills(
    tmp_path: Path,
) -> None:
    decided: dict[str, bool] = {}
    recorded: set[str] = set()
    for number in range(ROUNDS):
        dice = random.Random(number)
        age = dice.choice(["PT0.02S", "PT0.1S", "PT5S"])
        with serve_until_killed(tmp_path, CANDOR_SPOOL__SEGMENT_AGE=age) as server:
            put(server, "purposes/marketing", json.dumps(dict(MARKETING)))
            put(server, "notices/newsletter/1", json.dumps(dict(NEWSLETTER)))
            with ThreadPoolExecutor(3) as pool:
                working = [
                    pool.submit(ask_until_dead, server, decided),
                    pool.submit(ask_many_until_dead, server, decided),
                    pool.submit(act_until_dead, server, recorded),
                ]
                threading.Event().wait(dice.uniform(0.2, 0.9))
                server.kill()
            for one in working:
                one.result()
    with serve(tmp_path) as server:
        told = httpx.get(
            f"{server.url}/api/v1/decisions/{next(iter(decided))}", headers=server.headers
        )
        assert told.json()["allow"] == next(iter(decided.values()))
        kept = set()
        for number in range(PEOPLE):
            who = {"type": "email", "value": f"p{number}@example.org"}
            history = httpx.get(
                f"{server.url}/api/v1/subjects/history", params=who, headers=server.headers
            )
            kept |= {one["id"] for one in history.json()}
    assert len(decided) > ROUNDS * PEOPLE
    assert recorded
    assert recorded - kept == set()
    logged = {
        row["id"]: bool(row["allow"])
        for row in query_stores(tmp_path, "SELECT id, allow FROM consent_decisions")
    }
    assert {one: logged.get(one) for one in decided} == decided


def put(server: Server, path: str, body: str) -> None:
    answer = httpx.put(
        f"{server.url}/api/v1/{path}",
        content=body,
        headers=server.headers | {"content-type": "application/json"},
    )
    assert answer.is_success, answer.text
