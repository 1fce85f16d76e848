"""Walks the journeys of synthetic checks: one request after another, up to the first that fails.

What is kept of a response is its status and its timings. Bodies, header values, addresses and
variables live as long as the run and are part of no result, log or error.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import httpx
import msgspec
from jsonpointer import resolve_pointer

from candor.kernel.clock import Clock
from collector.check import (
    Check,
    CheckResult,
    Expectation,
    FromEnvironment,
    Reason,
    Request,
    Save,
    Scalar,
    Step,
    as_text,
    fill,
    fill_text,
)

MOST_BODY_BYTES = 4 * 1024 * 1024
_MOST_REDIRECTS = 10
_USER_AGENT = "Candor-Check/1"
_FIRST_ERROR = 400
_ABSENT = object()

Transport = Callable[[], httpx.AsyncBaseTransport]


class Probe:
    """Runs checks from one location. Safe to share between threads.

    Each run has connections and cookies of its own. ``transport`` makes what carries its requests.
    """

    def __init__(
        self,
        location: str,
        environment: Mapping[str, str],
        clock: Clock,
        transport: Transport | None = None,
    ) -> None:
        self._location = location
        self._environment = environment
        self._clock = clock
        self._transport = transport or partial(
            httpx.AsyncHTTPTransport, verify=httpx.create_ssl_context()
        )

    def run(self, check: Check, due: datetime) -> list[CheckResult]:
        """Return the results of the steps that were walked, in order; the last one ends the run.

        Takes at most the sum of the steps' timeouts. ``due`` names the run.

        Raises:
            KeyError: a variable is not in the environment; callers have asked for it before.
        """
        return asyncio.run(self._walk(check, due))

    async def _walk(self, check: Check, due: datetime) -> list[CheckResult]:
        variables = {
            name: self._environment[value.name] if isinstance(value, FromEnvironment) else value
            for name, value in check.variables.items()
        }
        results: list[CheckResult] = []
        async with httpx.AsyncClient(
            transport=self._transport(),
            headers={"user-agent": _USER_AGENT},
            max_redirects=_MOST_REDIRECTS,
            timeout=None,  # noqa: S113 - the step's own deadline ends everything, also slow drips
        ) as client:
            for step in check.steps:
                walked = _Walked(step, variables)
                await walked.send(client)
                results.append(self._result(check, due, walked))
                if walked.reason:
                    break
        return results

    def _result(self, check: Check, due: datetime, walked: "_Walked") -> CheckResult:
        return CheckResult(
            time=due,
            received_at=self._clock(),
            check=check.name,
            journey=check.journey,
            step=walked.step.name,
            location=self._location,
            outcome="error" if walked.reason else "ok",
            reason=walked.reason,
            ends_run=bool(walked.reason) or walked.step is check.steps[-1],
            status=walked.status,
            duration_ms=walked.duration_ms,
            first_byte_ms=walked.first_byte_ms,
            connect_ms=walked.phases.milliseconds.get("connect_tcp"),
            tls_ms=walked.phases.milliseconds.get("start_tls"),
        )


@dataclass(slots=True)
class _Phases:
    """Sums up how long connecting took, as the transport reports it; nothing on a kept one."""

    milliseconds: dict[str, float] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=dict)

    async def __call__(self, name: str, info: Mapping[str, Any]) -> None:
        del info
        phase, _, moment = name.removeprefix("connection.").partition(".")
        if moment == "started":
            self._started[phase] = time.perf_counter()
        elif moment == "complete" and name.startswith("connection."):
            taken = _milliseconds_since(self._started[phase])
            self.milliseconds[phase] = self.milliseconds.get(phase, 0.0) + taken


@dataclass(slots=True)
class _Walked:
    """One step on its way: what is known of its response, and why it failed, if it did."""

    step: Step
    variables: dict[str, Scalar]
    reason: Reason = ""
    status: int | None = None
    duration_ms: float = 0.0
    first_byte_ms: float | None = None
    phases: _Phases = field(default_factory=_Phases)

    async def send(self, client: httpx.AsyncClient) -> None:
        """Send the request, judge the response and save its variables; never raise for either."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self.step.timeout.total_seconds()):
                response, body = await self._exchange(client, started)
        except (TimeoutError, httpx.TimeoutException):
            self.reason = "timeout"
        except httpx.TooManyRedirects:
            self.reason = "status"
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            self.reason = "tls" if _is_of_tls(error) else "connect"
        else:
            self.duration_ms = _milliseconds_since(started)
            self._judge(response, body)
            return
        self.duration_ms = _milliseconds_since(started)

    async def _exchange(
        self, client: httpx.AsyncClient, started: float
    ) -> tuple[httpx.Response, bytes]:
        request = _request(client, self.step.request, self.variables)
        request.extensions = {"trace": self.phases}
        response = await client.send(
            request, stream=True, follow_redirects=self.step.request.follows_redirects
        )
        try:
            self.first_byte_ms = _milliseconds_since(started)
            self.status = response.status_code
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BODY_BYTES:
                    break
        finally:
            await response.aclose()
        return response, bytes(body)

    def _judge(self, response: httpx.Response, body: bytes) -> None:
        expect = self.step.expect
        if not _is_expected_status(response.status_code, expect):
            self.reason = "status"
        elif expect.max_ms is not None and self.duration_ms > expect.max_ms:
            self.reason = "assertion:max_ms"
        elif len(body) > MOST_BODY_BYTES:
            self.reason = "assertion:size"
        else:
            read = _Read(response, body)
            self.reason = read.fault(expect, self.variables) or self._save(read)

    def _save(self, read: "_Read") -> Reason:
        for save in self.step.saves:
            value = read.value_of(save)
            if value is None:
                return "save"
            self.variables[save.name] = value
        return ""


class _Read:
    """A whole response, decoded as far as anybody asks."""

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self._response = response
        self._body = body

    def fault(self, expect: Expectation, variables: Mapping[str, Scalar]) -> Reason:
        """Return the kind of the first expectation that does not hold; empty when all do."""
        for name, wanted in expect.header.items():
            if self._response.headers.get(name) != fill_text(wanted, variables):
                return "assertion:header"
        if expect.contains:
            text = self._text()
            if any(fill_text(wanted, variables) not in text for wanted in expect.contains):
                return "assertion:contains"
        for pointer, value in expect.json.items():
            if not _same(self._at(pointer), fill(value, variables)):
                return "assertion:json"
        return ""

    def value_of(self, save: Save) -> Scalar | None:
        """Return what a variable is to hold, or none when the response has it not."""
        if save.kind == "header":
            header: str | None = self._response.headers.get(save.argument)
            return header
        if save.kind == "regex":
            match = re.search(save.argument, self._text())
            return match[match.re.groups and 1] if match else None
        value = self._at(save.argument)
        return value if isinstance(value, Scalar) else None

    def _text(self) -> str:
        return self._body.decode(self._response.encoding or "utf-8", "replace")

    def _at(self, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
        try:
            document = msgspec.json.decode(self._body)
        except (msgspec.MsgspecError, RecursionError):
            return _ABSENT
        return resolve_pointer(document, pointer, _ABSENT)


def _request(
    client: httpx.AsyncClient, request: Request, variables: Mapping[str, Scalar]
) -> httpx.Request:
    body: dict[str, Any] = {}
    if request.body is not None:
        content = fill(request.body.content, variables)
        if request.body.kind == "json":
            body = {"json": content}
        elif request.body.kind == "form":
            body = {"data": content}
        else:
            body = {"content": as_text(content)}
    headers = {name: fill_text(value, variables) for name, value in request.headers.items()}
    url = fill_text(request.url, variables)
    return client.build_request(request.method, url, headers=headers, **body)


def _is_expected_status(status: int, expect: Expectation) -> bool:
    return status in expect.status if expect.status else status < _FIRST_ERROR


def _same(found: Any, wanted: Scalar | None) -> bool:  # noqa: ANN401 - any JSON value
    """Whether two JSON values are equal; true is not one, as it is in Python."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
