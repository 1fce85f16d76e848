"""``envoy.service.auth.v3.Authorization/Check``: the door for gateways, over gRPC.

It asks the same question as the door over HTTP and answers alike. A refusal, a wrong key and an
outage are all answered with a denial inside the message, never with an error of gRPC: Envoy can be
told to let requests pass on those.

Calls are answered on an event loop of their own, by threads of their own: a sender of telemetry
that waits for the disk keeps no gateway waiting, whose patience is 200 ms where nobody set more.

Source: Envoy API v3, ``envoy/service/auth/v3/external_auth.proto``.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from candor.kernel.errors import (
    CandorError,
    ForbiddenError,
    MalformedError,
    UnauthenticatedError,
    UnavailableError,
)
from candor.kernel.http import bearer_key
from candor.kernel.logging import log
from candor.kernel.problems import PROBLEM_TYPE, problem_body, problem_headers
from candor.kernel.services import Services
from candor.kernel.tracing import start_span
from privacy.consent import envoy
from privacy.consent.assembly import Consent
from privacy.consent.checking import Answered, Asked, Checker
from privacy.consent.gateway import (
    OBLIGATIONS,
    SCOPE,
    SUBJECT,
    SUBJECT_TYPE,
    GatewayQuestion,
    body_of,
    headers_of,
)
from privacy.consent.signals import GPC_HEADER, is_gpc

SERVICE = "envoy.service.auth.v3.Authorization"
_METRIC_LABEL = "ext_authz-grpc"
_THREADS = 16
_PATIENCE_SECONDS = 5
_CODES: dict[type[CandorError], grpc.StatusCode] = {
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    MalformedError: grpc.StatusCode.INVALID_ARGUMENT,
}


@contextmanager
def authorization(services: Services, consent: Consent) -> Iterator[grpc.GenericRpcHandler]:
    """Give the service, which can be called inside the block."""
    with (
        _loop_running() as loop,
        ThreadPoolExecutor(_THREADS, thread_name_prefix="ext-authz") as pool,
    ):
        check = _Check(services, consent.checker, loop, pool)
        method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(check)
        yield grpc.method_handlers_generic_handler(SERVICE, {"Check": method})


class _Check:
    """The method ``Check``, called on the threads of ``experimental_thread_pool``."""

    def __init__(
        self,
        services: Services,
        checker: Checker,
        loop: asyncio.AbstractEventLoop,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._services = services
        self._checker = checker
        self._loop = loop
        self.experimental_thread_pool = pool

    def __call__(self, body: bytes, context: grpc.ServicerContext) -> bytes:
        """Return whether a request may pass; whatever goes wrong, it may not."""
        services = self._services
        with start_span(services.tracer, f"{SERVICE}/Check"):
            code = grpc.StatusCode.OK
            try:
                response = _response(self._answered(envoy.read_request(body), context))
            except CandorError as error:
                code = _CODES.get(type(error), grpc.StatusCode.UNKNOWN)
                headers = {"content-type": PROBLEM_TYPE, **problem_headers(error)}
                response = envoy.refuse(code.value[0], error.status, headers, problem_body(error))
            except Exception as error:  # noqa: BLE001 - gRPC would answer an error, and log its text
                log().error("a check of a gateway failed", error=type(error).__name__)
                code = grpc.StatusCode.INTERNAL
                response = envoy.refuse(code.value[0], 403, {}, b"")
            services.metrics.requests.labels(_METRIC_LABEL, code.name).inc()
            return response

    def _answered(self, request: envoy.EnvoyRequest, context: grpc.ServicerContext) -> Answered:
        services, question = self._services, _question(request)
        told = request.headers.get(GPC_HEADER.decode(), [])
        gpc = is_gpc(part.strip().encode() for value in told for part in value.split(","))

        def asked(caller: str) -> Asked:
            return question.asked(services.secrets, services.clock(), caller, gpc=gpc)

        try:
            return self._checked(asked(self._caller(context)), context.time_remaining())
        except UnavailableError as error:
            return self._checker.unavailable([asked("")], error)[0]

    def _checked(self, asked: Asked, seconds_left: float | None) -> Answered:
        """Return the answer, made on the loop.

        Raises:
            UnavailableError: it takes too long.
        """
        patience = _PATIENCE_SECONDS if seconds_left is None else seconds_left
        answer = asyncio.run_coroutine_threadsafe(self._checker.check_one(asked), self._loop)
        try:
            return answer.result(min(patience, _PATIENCE_SECONDS))
        except TimeoutError:
            answer.cancel()
            raise UnavailableError("A check took too long. Try again.") from None

    def _caller(self, context: grpc.ServicerContext) -> str:
        services = self._services
        if services.settings.auth.mode == "open":
            return "open"
        shown = str(dict(context.invocation_metadata()).get("authorization", ""))
        return services.keys.holder(bearer_key(shown), SCOPE).name


def _question(request: envoy.EnvoyRequest) -> GatewayQuestion:
    """Return the question of a route: all but the person is its own setting.

    Envoy hands every header of its client on, so that none but those of the person is read.
    """
    context, headers = request.context, request.headers
    subject_type = context.get("subject_type", "")
    return GatewayQuestion(
        context.get("purpose", ""),
        context.get("channel", ""),
        [subject_type] if subject_type else headers.get(SUBJECT_TYPE, []),
        headers.get(SUBJECT, []),
        context.get("stage", ""),
        context.get("jurisdiction", ""),
        context.get("recipient", ""),
    )


def _response(answered: Answered) -> bytes:
    headers = headers_of(answered)
    if answered.decision.allow:
        del headers["cache-control"]  # these go to the service behind the gateway
        removed = () if answered.decision.obligations else (OBLIGATIONS,)
        for name in removed:
            del headers[name]
        return envoy.let_pass(headers, removed=removed)
    headers["content-type"] = "application/json"
    code = grpc.StatusCode.PERMISSION_DENIED
    return envoy.refuse(code.value[0], 403, headers, body_of(answered))


@contextmanager
def _loop_running() -> Iterator[asyncio.AbstractEventLoop]:
    """Give an event loop that runs in a thread of its own; what still waits then is cancelled."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        over = asyncio.Event()
        started.set_result((asyncio.get_running_loop(), over))
        await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="ext-authz-loop", daemon=True)
    thread.start()
    loop, over = started.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
