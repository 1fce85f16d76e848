"""Envoy's authorization over gRPC, asked with messages of the published protobufs."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import grpc
import pytest
from sqlalchemy import Engine

from candor.kernel.decision_ports import NoDecisionLog
from candor.kernel.rpc import serving_rpc
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent.assembly import open_consent
from privacy.consent.authorization import authorization
from privacy.consent.envoy import read_request
from tests.support.asgi import Application, application_on
from tests.support.consent import ANNA, prepare, put_purpose, record
from tests.support.envoy import METHOD, Verdict, check, check_request
from tests.support.server import free_port
from tests.support.stores import FixedClock, services_on

ROUTE = {"purpose": "marketing", "channel": "email"}
WHO = {"x-candor-subject-type": "email", "x-candor-subject": ANNA["value"]}


class Served:
    """An application whose gRPC door is open, and a channel to it."""

    def __init__(self, application: Application, channel: grpc.Channel) -> None:
        self.application = application
        self.channel = channel

    def check(
        self,
        context: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = "",
    ) -> Verdict:
        request = check_request(
            ROUTE if context is None else context, WHO if headers is None else headers
        )
        return check(self.channel, request, self.application.key if key == "" else key)


@pytest.fixture
def served(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Served]:
    port = free_port()
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, grpc_port=port)
    with (
        application_on(services) as application,
        authorization(services, application.consent) as gateways,
        serving_rpc(services.settings, [gateways]),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        prepare(application)
        yield Served(application, channel)


def reason(verdict: Verdict) -> tuple[int, str]:
    return verdict.status, verdict.headers.get("x-candor-reason", "")


def test_a_grant_opens_and_a_withdrawal_closes_at_once(served: Served) -> None:
    denied = served.check()
    assert (denied.code, *reason(denied)) == (7, 403, "never_asked")
    assert json.loads(denied.body)["decision_id"] == denied.headers["x-candor-decision-id"]
    record(served.application, "grant")
    passed = served.check()
    assert (passed.passes, passed.code, *reason(passed)) == (True, 0, 200, "granted")
    assert passed.removed == ["x-candor-obligations"]
    assert passed.actions == {2}
    record(served.application, "withdraw")
    assert reason(served.check()) == (403, "withdrawn")
    path = f"/api/v1/decisions/{passed.headers['x-candor-decision-id']}"
    told = served.application.get(path).json()
    assert (told["allow"], told["agrees"]) == (True, True)


@pytest.mark.parametrize(
    ("context", "headers", "expected"),
    [
        ({"recipient": "esp-1", "stage": "entry"}, {}, "granted"),
        ({"recipient": "esp-2"}, {}, "recipient_not_covered"),
        ({"jurisdiction": "no place"}, {}, "purpose_unknown"),
        ({"channel": ""}, {}, "purpose_unknown"),
        ({"purpose": ""}, {"x-candor-purpose": "marketing"}, "purpose_unknown"),
        ({"subject_type": "email"}, {"x-candor-subject-type": "phone"}, "granted"),
        ({}, {"sec-gpc": "1"}, "gpc"),
        ({}, {"sec-gpc": "1,0"}, "gpc"),
        ({}, {"sec-gpc": "0"}, "granted"),
        ({}, {"x-candor-recipient": "esp-2"}, "granted"),
        ({}, {"x-candor-subject": "eve@example.org,anna@example.org"}, "subject_unresolved"),
        ({}, {"x-candor-subject": ""}, "subject_unresolved"),
    ],
)
def test_the_route_says_for_what_and_its_client_only_who_it_is(
    served: Served, context: dict[str, str], headers: dict[str, str], expected: str
) -> None:
    record(served.application, "grant")
    verdict = served.check(ROUTE | context, WHO | headers)
    assert reason(verdict) == (200 if expected == "granted" else 403, expected)


def test_headers_that_envoy_sends_raw_are_read_each_for_itself(served: Served) -> None:
    record(served.application, "grant")
    raw = [(name, value.encode()) for name, value in WHO.items()]
    key = served.application.key
    alone = check(served.channel, check_request(ROUTE, {}, header_map=raw), key)
    assert reason(alone) == (200, "granted")
    twice = check(served.channel, check_request(ROUTE, {}, header_map=[*raw, raw[1]]), key)
    assert reason(twice) == (403, "subject_unresolved")


def test_obligations_go_to_the_service_behind(served: Served) -> None:
    put_purpose(served.application, mechanism="opt_out", obligations=["no_profiling"])
    verdict = served.check()
    assert (verdict.passes, verdict.removed) == (True, [])
    assert verdict.headers["x-candor-obligations"] == "no_profiling"


def test_a_wrong_key_is_a_denial_and_no_error_that_envoy_could_overlook(served: Served) -> None:
    record(served.application, "grant")
    for key, code, status in (
        (None, 16, 401),
        ("no", 16, 401),
        (served.application.make_key("ingest"), 7, 403),
    ):
        verdict = served.check(key=key)
        assert (verdict.passes, verdict.code, verdict.status) == (False, code, status)
        assert json.loads(verdict.body)["status"] == status
    assert served.check(key=served.application.make_key("consent:check")).passes


def test_without_the_state_store_nobody_passes(served: Served) -> None:
    record(served.application, "grant")
    served.check()
    with served.application.services.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_standings")
    assert reason(served.check()) == (403, "state_unavailable")
    with served.application.services.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO elsewhere")
    assert reason(served.check(key="candor_0123456789abcdef_x")) == (403, "state_unavailable")


def test_what_is_no_request_of_envoy_is_refused(served: Served) -> None:
    verdict = check(served.channel, b"\xff\xff", served.application.key)
    assert (verdict.passes, verdict.code, verdict.status) == (False, 3, 400)
    assert reason(check(served.channel, b"", served.application.key)) == (403, "subject_unresolved")


def test_many_gateways_at_once_are_answered_each_with_their_own(served: Served) -> None:
    record(served.application, "grant")
    mixed: list[tuple[str, str]] = []
    guard = threading.Lock()

    def ask(number: int) -> None:
        channel = "email" if number % 2 else "sms"
        verdict = served.check(ROUTE | {"channel": channel})
        with guard:
            mixed.append((channel, verdict.headers["x-candor-reason"]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(mixed)) == [("email", "granted"), ("sms", "never_asked")]
    assert len(mixed) == 40


def test_exports_that_wait_keep_no_gateway_waiting(served: Served) -> None:
    """Every thread of the port waits, as for a slow disk; a check has threads of its own."""
    goes_on = threading.Event()

    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        del context
        goes_on.wait(60)
        return body

    slow = grpc.method_handlers_generic_handler(
        "slow.Export", {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )
    application, port = served.application, free_port()
    services = application.services
    settings = services.settings.model_copy(update={"grpc_port": port})
    with (
        authorization(services, application.consent) as gateways,
        serving_rpc(settings, [slow, gateways]),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        call = channel.unary_unary("/slow.Export/Export")
        calls = [call.future(b"") for _ in range(64)]
        verdict = check(channel, check_request(ROUTE, WHO), application.key)
        assert reason(verdict) == (403, "never_asked")
        assert not any(call.done() for call in calls)
        goes_on.set()
        assert [call.result() for call in calls] == [b""] * 64


class Details:
    """Which method is called."""

    method = METHOD
    invocation_metadata = ()


class Call:
    """What gRPC tells of a call whose sender waits no longer than a moment."""

    def __init__(self, key: str) -> None:
        self._key = key

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._key}"),)

    def time_remaining(self) -> float:
        return 0.05


class StuckLog(NoDecisionLog):
    """A log on a disk that does not answer."""

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        del rows, count
        return Future()


class BrokenLog(NoDecisionLog):
    """A log with a fault that nobody foresaw."""

    def append(self, rows: bytes, count: int) -> "Future[Any]":
        raise ValueError(f"anna@example.org {rows!r} {count}")


@pytest.mark.parametrize(
    ("log", "status", "reason"), [(StuckLog(), 403, "state_unavailable"), (BrokenLog(), 403, None)]
)
def test_a_check_that_cannot_be_logged_in_time_is_denied(
    served: Served,
    capsys: pytest.CaptureFixture[str],
    log: NoDecisionLog,
    status: int,
    reason: str | None,
) -> None:
    application = served.application
    record(application, "grant")
    with (
        open_consent(application.services, log) as consent,
        authorization(application.services, consent) as gateways,
    ):
        handler: Any = gateways.service(Details())  # type: ignore[arg-type]  # a protocol of attributes
        verdict = Verdict(handler.unary_unary(check_request(ROUTE, WHO), Call(application.key)))
    assert (verdict.passes, verdict.status) == (False, status)
    assert verdict.headers.get("x-candor-reason") == reason
    assert "anna" not in "".join(capsys.readouterr()) + verdict.body


def test_an_open_installation_asks_nobody_for_a_key(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    auth = {"mode": "open"}
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock, auth=auth)
    with (
        application_on(services) as application,
        authorization(services, application.consent) as gateways,
    ):
        prepare(application)
        handler: Any = gateways.service(Details())  # type: ignore[arg-type]  # a protocol of attributes
        verdict = Verdict(handler.unary_unary(check_request(ROUTE, WHO), Call("none")))
        assert reason(verdict) == (403, "never_asked")


def test_a_request_of_the_published_protobufs_is_read_whole() -> None:
    request = read_request(check_request(ROUTE, WHO))
    assert request.context == ROUTE
    assert request.headers == {":path": ["/orders/7"]} | {k: [v] for k, v in WHO.items()}
