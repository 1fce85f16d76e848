"""The Python client against a running server, and against none."""

import socket
from pathlib import Path

import httpx

from candor.client import CandorClient, Check, Subject
from tests.support.consent import ANNA, EVENTS, MARKETING, NEWSLETTER, act
from tests.support.server import Server, free_port, serve

WHO = Subject("email", ANNA["value"])


def prepare(server: Server) -> None:
    for path, body in (("purposes/marketing", MARKETING), ("notices/newsletter/1", NEWSLETTER)):
        answer = httpx.put(f"{server.url}/api/v1/{path}", json=body, headers=server.headers)
        assert answer.status_code == 201


def record(server: Server, action: str) -> None:
    answer = httpx.post(server.url + EVENTS, json=act(action), headers=server.headers)
    assert answer.is_success


def test_a_client_hears_of_a_withdrawal_at_once_and_a_dead_server_is_a_no(tmp_path: Path) -> None:
    with serve(tmp_path) as server, CandorClient(server.url, server.key, timeout=5) as candor:
        prepare(server)
        assert not candor.allows(WHO, "marketing", "email")
        record(server, "grant")
        assert candor.allows(WHO, "marketing", "email", recipient="esp-1")
        entry = candor.check(Check(WHO, "marketing", "email", stage="entry"))
        assert (entry.allow, entry.reason, entry.fault) == (True, "granted", None)
        assert entry.evidence is not None
        assert entry.evidence.notice == "newsletter/1"
        many = [Check(Subject("email", f"p{n}@example.org"), "marketing") for n in range(1500)]
        many[1200] = Check(WHO, "marketing", "email")
        many[3] = Check(WHO, "No purpose")
        decisions = list(candor.check_all(many))
        assert [number for number, one in enumerate(decisions) if one] == [1200]
        assert (decisions[3].fault, decisions[4].reason) == ("invalid", "never_asked")
        assert candor.check(Check(WHO, "No purpose")).fault == "invalid"
        assert candor.check(Check(None, "marketing")).reason == "subject_unresolved"
        record(server, "withdraw")
        send = Check(WHO, "marketing", "email", entry_decision=entry.decision_id)
        told = candor.check(send)
        assert (told.reason, told.changed_since_entry) == ("withdrawn", True)
        with CandorClient(server.url, "candor_no", timeout=5) as stranger:
            assert stranger.check(send).fault == "unauthenticated"
        server.kill()
        assert candor.check(send).fault == "unreachable"
        assert not candor.allows(WHO, "marketing", "email")
        assert [one.fault for one in candor.check_all([send, send])] == ["unreachable"] * 2


def test_nobody_there_and_a_server_that_does_not_answer_are_a_no() -> None:
    with CandorClient(f"http://127.0.0.1:{free_port()}", "key") as candor:
        assert candor.check(Check(WHO, "marketing")).fault == "unreachable"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with CandorClient(f"http://127.0.0.1:{port}", "key", timeout=0.2) as candor:
            assert candor.check(Check(WHO, "marketing")).fault == "timeout"
