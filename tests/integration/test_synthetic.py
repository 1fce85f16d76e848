"""Synthetic checks against a real HTTP server, and their results on real stores."""

import logging
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from structlog.testing import capture_logs

from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from candor.scheduling import JobRunner
from collector.assembly import open_collector
from collector.check import CheckResult
from collector.jobs import check_jobs
from collector.receivers.synthetic import Probe
from collector.receivers.synthetic_file import read_checks
from tests.support.certificates import self_signed
from tests.support.shop import CANARY, PASSWORD, Shop, open_shop
from tests.support.stores import NOON, FixedClock, services_on, sqlite_engine

CHECKOUT = """
name: checkout
journey: checkout
every: 60s
variables: {base: BASE, sku: A-1, password: {env: SHOP_PASSWORD}}
steps:
  - name: sign-in
    request: {method: POST, url: "{{base}}/login", form: {user: probe, password: "{{password}}"}}
    expect: {contains: csrf}
    save: {csrf: {regex: "value=(\\\\w+)"}}
  - name: start
    request: {method: POST, url: "{{base}}/cart", json: {sku: "{{sku}}", csrf: "{{csrf}}"}}
    expect: {status: 201, max_ms: 60000, json: {"/ok": true, "/cart/id": 7}}
    save: {cart: {json: "/cart/id"}, token: {header: x-token}}
  - name: pay
    request:
      {method: POST, url: "{{base}}/cart/{{cart}}/payment?sku=A-1", headers: {x-token: "{{token}}"}}
"""
SECRETS = (CANARY, PASSWORD, "tok1", "secret-token", "session=s1", "sku=A-1", "/payment")


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as running:
        yield running


def walk(document: dict[str, Any], **more: Any) -> list[CheckResult]:  # noqa: ANN401 - as Probe
    checks, findings = read_checks({"f": yaml.safe_dump({"checks": [document]})})
    assert findings == []
    probe = Probe("here", {"SHOP_PASSWORD": PASSWORD}, FixedClock(), **more)
    return probe.run(checks[0], NOON)


def checkout(shop: Shop) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(CHECKOUT)
    document["variables"]["base"] = shop.url
    return document


def search(shop: Shop, path: str = "/search", **step: Any) -> list[CheckResult]:  # noqa: ANN401 - any YAML
    asked = {"url": shop.url + path} | step.pop("request", {})
    return walk({"name": "search", "steps": [{"name": "ask", "request": asked} | step]})


def test_a_journey_is_walked_with_cookies_and_saved_values(shop: Shop) -> None:
    results = walk(checkout(shop))
    assert [(one.step, one.outcome, one.reason, one.status) for one in results] == [
        ("sign-in", "ok", "", 200),
        ("start", "ok", "", 201),
        ("pay", "ok", "", 200),
    ]
    assert [one.ends_run for one in results] == [False, False, True]
    assert shop.asked == ["/login", "/cart", "/cart/7/payment"]
    first = results[0]
    assert first.connect_ms is not None
    assert first.first_byte_ms is not None
    assert 0 < first.connect_ms <= first.first_byte_ms <= first.duration_ms
    assert first.tls_ms is None
    assert (first.time, first.location, first.journey) == (NOON, "here", "checkout")


def test_cookies_last_for_one_run(shop: Shop) -> None:
    walk(checkout(shop))
    without_sign_in = checkout(shop)
    without_sign_in["variables"]["csrf"] = "tok1"
    del without_sign_in["steps"][0]
    assert walk(without_sign_in)[0].status == 403


def test_the_run_stops_at_the_first_failing_step(shop: Shop) -> None:
    document = checkout(shop)
    document["steps"][1]["expect"]["json"]["/cart/id"] = 8
    results = walk(document)
    assert [(one.step, one.outcome, one.ends_run) for one in results] == [
        ("sign-in", "ok", False),
        ("start", "error", True),
    ]
    assert (results[1].reason, results[1].status) == ("assertion:json", 201)
    assert "/cart/7/payment" not in shop.asked


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"expect": {"status": 404}}, "status"),
        ({"expect": {"max_ms": 0.0001}}, "assertion:max_ms"),
        ({"expect": {"header": {"x-shop": "closed"}}}, "assertion:header"),
        ({"expect": {"contains": ["Returns", "nowhere"]}}, "assertion:contains"),
        ({"expect": {"json": {"/found/0/open": 1}}}, "assertion:json"),
        ({"expect": {"json": {"/found/7": True}}}, "assertion:json"),
        ({"expect": {"json": {"/found/0/title": "returns"}}}, "assertion:json"),
        ({"save": {"a": {"json": "/found"}}}, "save"),
        ({"save": {"a": {"header": "x-token"}}}, "save"),
        ({"save": {"a": {"regex": "nowhere"}}}, "save"),
        ({"expect": {"json": {"/found/0/score": 0.9, "/found/0/next": None}}}, ""),
        ({"expect": {"contains": "Returns", "header": {"X-SHOP": "open"}}}, ""),
        ({"save": {"a": {"json": "/found/0/score"}, "b": {"regex": "Ret"}}}, ""),
    ],
)
def test_a_response_is_held_against_each_expectation(
    shop: Shop, step: dict[str, Any], reason: str
) -> None:
    (result,) = search(shop, **step)
    assert (result.reason, result.status) == (reason, 200)


@pytest.mark.parametrize(
    ("text", "expect", "reason"),
    [
        ("plain words", {"contains": "plain words"}, ""),
        ("plain words", {"json": {"": "plain words"}}, "assertion:json"),
        ("[" * 100_000, {"json": {"/0": 1}}, "assertion:json"),
        ("5", {"json": {"": 5, "/a": 1}}, "assertion:json"),
        ("{{base}}", {"contains": "http://"}, ""),
    ],
)
def test_a_text_is_sent_and_what_is_no_json_has_nothing_at_any_pointer(
    shop: Shop, text: str, expect: dict[str, Any], reason: str
) -> None:
    request = {"method": "POST", "url": "{{base}}/echo", "text": text}
    step = {"name": "echo", "request": request, "expect": expect}
    (result,) = walk({"name": "echo", "variables": {"base": shop.url}, "steps": [step]})
    assert (result.reason, result.status) == (reason, 200)


@pytest.mark.parametrize(
    ("path", "step", "reason", "status"),
    [
        ("/nowhere", {}, "status", 404),
        ("/loop", {}, "status", None),
        ("/moved", {}, "", 200),
        ("/moved", {"request": {"follow_redirects": False}}, "", 302),
        ("/large", {}, "assertion:size", 200),
        ("/slow", {"timeout": "1s"}, "timeout", None),
        ("/drip", {"timeout": "1s"}, "timeout", None),
        ("/search", {"request": {"headers": {"x": "\u00e9\u4e16"}}}, "connect", None),
        ("/search", {"request": {"headers": {"x": "a\nb"}}}, "connect", None),
        ("/search", {"request": {"url": "http://127.0.0.1:1/"}}, "connect", None),
    ],
)
def test_an_exchange_ends_for_one_reason_of_the_list(
    shop: Shop, path: str, step: dict[str, Any], reason: str, status: int | None
) -> None:
    (result,) = search(shop, path, **step)
    assert (result.reason, result.status) == (reason, status)
    assert result.duration_ms > 0


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    with open_shop(context) as shop:
        (refused,) = search(shop)
        assert (refused.reason, refused.status) == ("tls", None)
        trusting = ssl.create_default_context(cafile=tmp_path / "server.pem")
        document = {"name": "s", "steps": [{"name": "a", "request": {"url": shop.url + "/search"}}]}
        (trusted,) = walk(document, transport=lambda: httpx.AsyncHTTPTransport(verify=trusting))
        assert trusted.outcome == "ok"
        assert trusted.tls_ms is not None


@pytest.fixture
def watched(
    tmp_path: Path, embedded_telemetry: TelemetryStore, clock: FixedClock, shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Services]:  # fmt: skip
    """Services whose settings name the checkout's check."""
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    path = tmp_path / "checks.yaml"
    path.write_text(yaml.safe_dump({"checks": [checkout(shop)]}))
    checks = {"files": [path], "location": "dublin"}
    with sqlite_engine(tmp_path) as engine:
        yield services_on(tmp_path, engine, embedded_telemetry, clock, checks=checks)


ROWS = "SELECT * FROM checks FINAL ORDER BY time, received_at, step"


def test_a_failing_check_keeps_step_status_and_timings_and_nothing_of_the_response(
    watched: Services, shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop.payment_fails = True
    with open_collector(watched) as collector, capture_logs() as said:
        (job,) = check_jobs(watched, collector)
        with caplog.at_level(logging.DEBUG):
            JobRunner(watched).run(job)
        on_disk = b"".join(path.read_bytes() for path in (tmp_path / "spool").iterdir())
        collector.flush()
        rows = watched.telemetry.query(ROWS)
    assert [(row["step"], row["outcome"]) for row in rows] == [
        ("pay", "error"),
        ("sign-in", "ok"),
        ("start", "ok"),
    ]
    failed = rows[0]
    timings = ("duration_ms", "first_byte_ms")
    assert all(failed[name] > 0 for name in timings)
    assert {name: failed[name] for name in failed if not name.endswith("_ms")} == {
        "time": NOON,
        "received_at": NOON,
        "check": "checkout",
        "journey": "checkout",
        "step": "pay",
        "location": "dublin",
        "outcome": "error",
        "reason": "status",
        "ends_run": True,
        "status": 500,
    }
    assert b"sign-in" in on_disk
    warned = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    kept = [on_disk.decode("latin-1"), repr(rows), repr(said), repr(warned)]
    assert [secret for secret in SECRETS for text in kept if secret in text] == []


def test_a_run_that_is_walked_again_is_stored_once(watched: Services) -> None:
    for _ in ("once", "again after a restart"):
        with open_collector(watched) as collector:
            (job,) = check_jobs(watched, collector)
            job.run(watched)
            job.run(watched)
            collector.flush()
    assert watched.telemetry.query("SELECT count() AS n FROM checks")[0]["n"] == 3


def test_a_run_that_two_processes_walked_counts_once(watched: Services, tmp_path: Path) -> None:
    own = services_on(
        tmp_path / "other", watched.engine, watched.telemetry, FixedClock(),
        checks=watched.settings.checks,
    )  # fmt: skip
    for services in (watched, own):
        with open_collector(services) as collector:
            check_jobs(services, collector)[0].run(services)
    assert watched.telemetry.query("SELECT count() AS n FROM checks FINAL")[0]["n"] == 3


def test_each_slot_of_time_is_a_run_of_its_own(watched: Services, clock: FixedClock) -> None:
    runner = JobRunner(watched)
    with open_collector(watched) as collector:
        (job,) = check_jobs(watched, collector)
        for _ in range(4):
            clock.pass_by(timedelta(seconds=30))
            runner.run(job)
        collector.flush()
    times = [row["time"] for row in watched.telemetry.query(ROWS)]
    assert sorted(set(times)) == [NOON + number * timedelta(minutes=1) for number in range(3)]


def test_every_location_runs_every_check(watched: Services) -> None:
    with open_collector(watched) as collector:
        assert [job.name for job in check_jobs(watched, collector)] == [
            "check checkout from dublin"
        ]


def test_a_check_that_cannot_be_meant_keeps_the_process_from_starting(watched: Services) -> None:
    watched.settings.checks.files[0].write_text("checks: [{name: a}]")
    with (
        open_collector(watched) as collector,
        pytest.raises(InvalidInputError, match=r"checks\.yaml:1"),
    ):
        check_jobs(watched, collector)


def test_two_processes_never_share_a_spool(watched: Services) -> None:
    with (
        open_collector(watched),
        pytest.raises(ConflictError, match="Another process uses the spool"),
        open_collector(watched),
    ):
        pass
