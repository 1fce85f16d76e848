"""The hot doors of consent: the check, the batch and the filter, and the one that gateways ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from candor.kernel.errors import (
    CandorError,
    InvalidInputError,
    UnavailableError,
    UnsupportedTypeError,
)
from candor.kernel.http import ANY, Answer, Door, DoorRequest, Doors
from candor.kernel.input_faults import unknown_parameter
from candor.kernel.logging import log
from candor.kernel.problems import PROBLEM_TYPE, problem_body, problem_headers
from candor.kernel.services import Services
from privacy.consent.answering import answer_batch, answer_check
from privacy.consent.assembly import Consent
from privacy.consent.audience import Audience
from privacy.consent.gateway import (
    JURISDICTION,
    RECIPIENT,
    SCOPE,
    STAGE,
    SUBJECT,
    SUBJECT_TYPE,
    GatewayQuestion,
    body_of,
    headers_of,
)
from privacy.consent.questions import (
    read_check,
)
from privacy.consent.signals import GPC_HEADER, is_gpc

MOST_ITEMS = 1000
CHECK = "/api/v1/consent/check"
BATCH = "/api/v1/consent/check/batch"
FILTER = "/api/v1/consent/filter"
GATEWAYS = "/ext_authz/"
_ENCODER = msgspec.json.Encoder()
_LINES = "application/x-ndjson"
_TYPES = {"", "application/json"}
_OF_AUDIENCES = ("purpose", "channel", "stage", "jurisdiction", "recipient")
_RETRY = {"retry-after": "1"}
_UNAVAILABLE, _FORBIDDEN = 503, 403


def doors(services: Services, consent: Consent) -> Doors:
    """Return the hot doors of consent by method and path."""
    entrance = _Entrance(services, consent)
    return {
        ("POST", CHECK): entrance.guarded(entrance.check, "consent_check"),
        ("POST", BATCH): entrance.guarded(entrance.check_batch, "consent_batch"),
        ("POST", FILTER): entrance.guarded(entrance.filter, "consent_filter"),
        (ANY, GATEWAYS): entrance.guarded(entrance.gateway, "ext_authz"),
    }


class _Entrance:
    def __init__(self, services: Services, consent: Consent) -> None:
        self._services = services
        self._checker = consent.checker
        self._most_bytes = services.settings.limits.body_bytes

    def guarded(self, take: Callable[[DoorRequest], Awaitable[Answer]], name: str) -> Door:
        """Return a door that answers every error of the house as a problem."""
        requests = self._services.metrics.requests
        answered = requests.labels(name, "200")
        seconds = self._services.metrics.door_seconds.labels(name)

        async def door(request: DoorRequest) -> Answer:
            began = time.perf_counter()
            try:
                answer = await take(request)
            except CandorError as error:
                headers = problem_headers(error)
                answer = Answer(error.status, problem_body(error), PROBLEM_TYPE, headers)
            if answer.status == 200:  # noqa: PLR2004 - the status of an answer
                answered.inc()
            else:
                requests.labels(name, str(answer.status)).inc()
            seconds.observe(time.perf_counter() - began)
            return answer

        return door

    async def check(self, request: DoorRequest) -> Answer:
        """Answer one check: 200 when it was decided, 503 when it could not be."""
        caller = await self._caller(request)
        return await self._answer(answer_check, request, caller)

    async def check_batch(self, request: DoorRequest) -> Answer:
        """Answer up to a thousand checks by their correlation ids."""
        caller = await self._caller(request)
        return await self._answer(answer_batch, request, caller)

    async def _answer(
        self,
        answer: Callable[..., Awaitable[tuple[bytes, bool]]],
        request: DoorRequest,
        caller: str,
    ) -> Answer:
        body = await self._json(request)
        services = self._services
        told, could = await answer(
            self._checker, services.secrets, services.clock(), body, caller, gpc=_gpc(request)
        )
        return Answer(200, told) if could else Answer(_UNAVAILABLE, told, headers=_RETRY)

    async def filter(self, request: DoorRequest) -> Answer:
        """Answer an audience line by line, while it is sent."""
        caller = await self._caller(request)
        if request.media_type not in {*_TYPES, _LINES, "application/ndjson"}:
            raise UnsupportedTypeError(f"Send subjects one a line, as {_LINES}.")
        document = msgspec.json.encode(_audience_question(request.parameters()))
        question = read_check(document).asked(
            self._services.secrets, self._services.clock(), caller, gpc=_gpc(request)
        )
        audience = Audience(self._checker, self._services.secrets, question.question, caller)
        lines = audience.filtered(request.chunks(), self._services.settings.spool_dir)
        return Answer(200, b"", _LINES, stream=lines)

    async def gateway(self, request: DoorRequest) -> Answer:
        """Answer a gateway: 200 to let its request through, 403 to refuse it.

        What cannot be decided is 403 too: gateways take 503 for an outage of whom they ask, which
        they can be told to overlook. So is a fault that nobody foresaw. Whatever a gateway adds to
        the path is not looked at.
        """
        try:
            return await self._decided(request)
        except CandorError:
            raise
        except Exception as error:  # noqa: BLE001 - as authorization.py: a 500 may be overlooked
            log().error("a check of a gateway failed", error=type(error).__name__)
            return Answer(_FORBIDDEN, b"", headers={"cache-control": "no-store"})

    async def _decided(self, request: DoorRequest) -> Answer:
        question, gpc = _gateway_question(request), _gpc(request)
        services, checker = self._services, self._checker
        now = services.clock()
        try:
            caller = await self._caller(request)
        except UnavailableError as error:
            asked = question.asked(services.secrets, now, "", gpc=gpc)
            (answered,) = checker.unavailable([asked], error)
        else:
            asked = question.asked(services.secrets, now, caller, gpc=gpc)
            answered = await checker.check_one(asked)
        status = 200 if answered.decision.allow else _FORBIDDEN
        return Answer(status, body_of(answered), headers=headers_of(answered))

    async def _caller(self, request: DoorRequest) -> str:
        if self._services.settings.auth.mode == "open":
            return "open"
        key, keys = request.bearer(), self._services.keys
        record = keys.trusted(key, SCOPE)
        if record is None:
            record = await asyncio.to_thread(keys.holder, key, SCOPE)
        return record.name

    async def _json(self, request: DoorRequest) -> bytes:
        if request.media_type not in _TYPES:
            raise UnsupportedTypeError("Send JSON, as application/json.")
        return await request.body(self._most_bytes)


def _audience_question(parameters: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return what is asked of an audience, in the shape of a check.

    Raises:
        InvalidInputError: there is no such parameter, or it is named twice: what was meant to
            narrow the question would be lost, and more be allowed.
    """
    told: dict[str, Any] = {"subject": None}
    for name, value in parameters:
        if name not in _OF_AUDIENCES:
            raise unknown_parameter(name, _OF_AUDIENCES)
        if not value:
            continue
        if name == "jurisdiction":
            told.setdefault(name, []).append(value)
        elif name in told:
            raise InvalidInputError("Say it once.", path=name)
        else:
            told[name] = value
    return told


def _gateway_question(request: DoorRequest) -> GatewayQuestion:
    purpose, _, rest = request.scope["path"][len(GATEWAYS) :].partition("/")
    told = {
        name: _texts(request.values(name.encode()))
        for name in (SUBJECT_TYPE, SUBJECT, STAGE, JURISDICTION, RECIPIENT)
    }
    return GatewayQuestion(
        purpose,
        rest.partition("/")[0],
        told[SUBJECT_TYPE],
        told[SUBJECT],
        *(",".join(told[name]) for name in (STAGE, JURISDICTION, RECIPIENT)),
    )


def _texts(values: list[bytes]) -> list[str]:
    """Return what values of a header say; what is no UTF-8 is no text of ours."""
    return [value.decode("utf-8", "replace") for value in values]


def _gpc(request: DoorRequest) -> bool:
    if GPC_HEADER not in request.headers:
        return False
    return is_gpc(value for name, value in request.scope["headers"] if name == GPC_HEADER)
