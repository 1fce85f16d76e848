"""The client says no whenever it cannot be sure of a yes, and tells nobody who was asked about."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from candor.client import CandorClient, Check, Decision, Evidence, Subject
from tests.support.server import ROOT

ANNA = Subject("email", "anna@example.org")
GRANTED: dict[str, Any] = {
    "decision_id": "0192",
    "allow": True,
    "reason": "granted",
    "rule": "purpose.opt_in",
    "stage": "send",
    "evidence": {
        "consent_event": "0191",
        "notice": "newsletter/3",
        "at": "2026-11-20T08:14:00Z",
        "source": "preference_centre",
    },
    "valid_until": "2027-11-20T08:14:00Z",
    "obligations": ["no_profiling"],
    "checked_at": "2026-11-22T09:00:00.123Z",
}


def client(answer: Callable[[httpx.Request], httpx.Response]) -> CandorClient:
    return CandorClient("http://candor", "key", transport=httpx.MockTransport(answer))


def answering(status: int, content: Any) -> CandorClient:  # noqa: ANN401 - any body
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return client(lambda _: httpx.Response(status, content=body))


def test_a_yes_is_told_with_all_that_it_rests_on() -> None:
    decision = answering(200, GRANTED).check(Check(ANNA, "marketing", "email"))
    assert decision
    assert (decision.reason, decision.decision_id) == ("granted", "0192")
    assert decision.obligations == ("no_profiling",)
    assert isinstance(decision.evidence, Evidence)
    assert decision.evidence.at.isoformat() == "2026-11-20T08:14:00+00:00"
    assert decision.evidence.notice == "newsletter/3"
    assert decision.valid_until is not None
    assert decision.changed_since_entry is None
    assert decision.fault is None


def test_a_check_is_sent_with_everything_that_it_names() -> None:
    seen: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        assert request.headers["authorization"] == "Bearer key"
        changed = {"decision_id": "1", "allow": False, "reason": "never_asked", "changed": True}
        return httpx.Response(200, json=GRANTED | {"entry": changed})

    asked = Check(
        ANNA, "marketing", "email", "entry", ["AU", "DE"], "esp-1", gpc=True, entry_decision="0190"
    )
    decision = client(answer).check(asked)
    assert decision.changed_since_entry is True
    assert seen == [
        {
            "subject": {"type": "email", "value": "anna@example.org"},
            "purpose": "marketing",
            "channel": "email",
            "stage": "entry",
            "jurisdiction": ["AU", "DE"],
            "recipient": "esp-1",
            "gpc": True,
            "context": {"entry_decision": "0190"},
        }
    ]


@pytest.mark.parametrize(
    ("status", "content", "fault"),
    [
        (200, b"no json", "unreadable"),
        (200, b"\xff", "unreadable"),
        (200, b"[" * 100_000, "unreadable"),
        (200, [], "unreadable"),
        (200, {}, "unreadable"),
        (200, GRANTED | {"allow": "true"}, "unreadable"),
        (200, GRANTED | {"allow": 1}, "unreadable"),
        (200, GRANTED | {"decision_id": None}, "unreadable"),
        (200, GRANTED | {"valid_until": "soon"}, "unreadable"),
        (200, GRANTED | {"evidence": {}}, "unreadable"),
        (200, GRANTED | {"evidence": "x"}, "unreadable"),
        (200, GRANTED | {"obligations": 7}, "unreadable"),
        (202, GRANTED, "unreadable"),
        (302, GRANTED, "unreadable"),
        (400, GRANTED, "invalid"),
        (401, GRANTED, "unauthenticated"),
        (403, GRANTED, "forbidden"),
        (422, GRANTED, "invalid"),
        (429, GRANTED, "unavailable"),
        (500, GRANTED, "unavailable"),
        (503, GRANTED, "unavailable"),
    ],
)
def test_whatever_is_no_clear_yes_is_a_no(status: int, content: object, fault: str) -> None:
    candor = answering(status, content)
    decision = candor.check(Check(ANNA, "marketing", "email"))
    assert (decision.allow, decision.fault, bool(decision)) == (False, fault, False)
    assert not candor.allows(ANNA, "marketing", "email")
    assert [one.fault for one in candor.check_all([Check(ANNA, "marketing")] * 2)] == [
        fault if status != 200 or not isinstance(content, dict) else "unreadable"
    ] * 2


@pytest.mark.parametrize(
    ("error", "fault", "tries"),
    [
        (httpx.ConnectError, "unreachable", 2),
        (httpx.ReadError, "unreachable", 2),
        (httpx.RemoteProtocolError, "unreachable", 2),
        (httpx.ConnectTimeout, "timeout", 1),
        (httpx.ReadTimeout, "timeout", 1),
        (httpx.PoolTimeout, "timeout", 1),
    ],
)
def test_an_outage_is_a_no_and_only_what_broke_off_is_asked_again(
    error: type[httpx.TransportError], fault: str, tries: int
) -> None:
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise error("anna@example.org")

    assert client(answer).check(Check(ANNA, "marketing")).fault == fault
    assert len(calls) == tries


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    answers: list[Exception | httpx.Response] = [
        httpx.RemoteProtocolError("closed"),
        httpx.Response(200, json=GRANTED),
    ]

    def answer(_: httpx.Request) -> httpx.Response:
        told = answers.pop(0)
        if isinstance(told, Exception):
            raise told
        return told

    assert client(answer).check(Check(ANNA, "marketing", "email", jurisdiction="AU"))


def test_a_batch_is_split_and_one_bad_check_denies_no_other() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)
        sizes.append(len(items))
        told = {item["correlation_id"]: GRANTED for item in items}
        told["7"] = {"allow": False, "decision_id": None, "reason": None, "detail": "", "path": ""}
        del told["8"]
        return httpx.Response(200, json=told)

    checks = (Check(ANNA, "marketing") for _ in range(2500))
    decisions = list(client(answer).check_all(checks))
    assert (sizes, len(decisions)) == ([1000, 1000, 500], 2500)
    denied = {number: one.fault for number, one in enumerate(decisions) if not one}
    assert denied == {
        base + number: fault
        for base in (0, 1000, 2000)
        for number, fault in ((7, "invalid"), (8, "unreadable"))
    }
    assert list(client(answer).check_all([])) == []


def test_the_log_tells_when_faults_begin_and_end_and_of_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    statuses = [503, 503, 401, 200, 200]

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(statuses.pop(0), json=GRANTED)

    with caplog.at_level(logging.DEBUG, "candor.client"):
        candor = client(answer)
        decisions: list[Decision] = [candor.check(Check(ANNA, "marketing")) for _ in range(5)]
    told = [record.getMessage() for record in caplog.records if record.name == "candor.client"]
    assert told == [
        "checks are denied without a decision: unavailable",
        "checks are denied without a decision: unauthenticated",
        "checks are answered again",
    ]
    assert "anna" not in caplog.text + repr(decisions) + repr(Check(ANNA, "marketing"))


def test_a_value_that_is_no_text_of_the_wire_is_asked_about_all_the_same() -> None:
    assert answering(200, GRANTED).check(Check(Subject("email", "\ud800"), "marketing"))


def test_what_is_allowed_under_obligations_is_allowed_to_whoever_fulfils_them_all() -> None:
    both = GRANTED | {"obligations": ["no_profiling", "exclude:location"]}
    for fulfils, allowed in (
        ((), False),
        (("no_profiling",), False),
        (("exclude:location", "no_profiling", "other"), True),
    ):
        found = answering(200, both).allows(ANNA, "marketing", "email", fulfils=fulfils)
        assert found is allowed
    assert answering(200, GRANTED | {"obligations": []}).allows(ANNA, "marketing", "email")


def test_what_no_text_can_say_is_denied_alone_in_a_batch() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        assert b"ud800" not in request.content
        return httpx.Response(200, json={one["correlation_id"]: GRANTED for one in asked})

    odd = Check(Subject("email", "\ud800"), "marketing")
    checks = [Check(ANNA, "marketing"), odd, Check(ANNA, "marketing")]
    told = list(client(answer).check_all(checks))
    assert [(one.allow, one.fault) for one in told] == [
        (True, None),
        (False, "invalid"),
        (True, None),
    ]
    assert [one.fault for one in client(answer).check_all([odd])] == ["invalid"]


@pytest.mark.parametrize(
    ("url", "key"), [("candor:8080", "key"), ("http://candor", ""), ("http://candor", "a\nb")]
)
def test_an_address_or_a_key_that_is_none_is_said_at_once(url: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"server|key"):
        CandorClient(url, key)


def test_importing_the_client_imports_nothing_else_of_candor() -> None:
    program = "import sys, candor.client; print(sorted(m for m in sys.modules if 'candor' in m))"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['candor', 'candor.client']"


def test_a_check_can_be_asked_field_by_field() -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json=GRANTED)

    with client(answer) as candor:
        told = candor.check(ANNA, "newsletter", "email", recipient="esp-1")
        assert told == candor.check(Check(ANNA, "newsletter", "email", recipient="esp-1"))
        with pytest.raises(TypeError, match="purpose"):
            candor.check(ANNA)
    assert told.reason == "granted"
    assert asked[0] == asked[1]
