"""``/v1/rum`` for the beacons of web pages, and ``/rum.js``, the script that sends them.

The key stands in the page and in the address, so it proves nothing by itself: only pages of its
origins may use it, and only so often. Answers name the one origin that asked, and let the browser
send its cookies along, because ``sendBeacon`` always does; nothing here reads them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files

import msgspec

from candor.kernel.errors import CandorError, UnauthenticatedError
from candor.kernel.http import Answer, Door, DoorRequest, Doors
from candor.kernel.security import PUBLIC_SCOPE, PublicTerms
from collector.entrance import SYNC_HEADER, Entrance, answer_problem
from collector.errors import OriginNotAllowedError, RateLimitedError
from collector.intake import Submission, joined
from collector.receivers.native import encode_receipt
from collector.receivers.rum import BODY_BYTES, DOOR, Visit, decode_rum
from collector.token_bucket import TokenBuckets

_DEVICES = {"?1": "mobile", "?0": "desktop"}
_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-max-age": "600",
}
_SCRIPT_HEADERS = {
    "cache-control": "public, max-age=3600",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class _Caller:
    """A page that may send: whose key it shows under which terms, and its origin.

    Without ``key_id`` no key was asked for, and nothing is counted.
    """

    source: str
    key_id: str
    terms: PublicTerms
    origin: str


_Respond = Callable[[DoorRequest, _Caller], Awaitable[Answer]]


def rum_doors(entrance: Entrance) -> Doors:
    """Return the doors for beacons, for what a key asks of a page, and for the script.

    Only one request of this door at a time waits for the telemetry store: a key that everybody can
    read must not hold up the threads that all doors share.
    """
    buckets = TokenBuckets()
    turn = asyncio.Lock()

    async def take(request: DoorRequest, caller: _Caller) -> Answer:
        _count(buckets, entrance, caller)
        entrance.admit(caller.source, "rum")
        body = await request.body(BODY_BYTES)
        submission = await entrance.submitted(partial(_submit, entrance, body, request, caller))
        async with turn if request.header(SYNC_HEADER) == "1" else nullcontext():
            receipt = await entrance.durable(submission, request)
        return Answer(200, encode_receipt(receipt))

    async def tell_terms(request: DoorRequest, caller: _Caller) -> Answer:
        del request
        _count(buckets, entrance, caller)
        body = msgspec.json.encode({"requires_consent": caller.terms.requires_consent})
        return Answer(200, body, headers={"cache-control": "private, max-age=300"})

    async def answer_preflight(request: DoorRequest, caller: _Caller) -> Answer:
        del request, caller
        return Answer(204, b"", headers=_PREFLIGHT)

    return {
        ("POST", "/v1/rum"): _door(entrance, take),
        ("GET", "/v1/rum"): _door(entrance, tell_terms),
        ("OPTIONS", "/v1/rum"): _door(entrance, answer_preflight),
        ("GET", "/rum.js"): _give_script,
        ("HEAD", "/rum.js"): _give_script,
    }


def _door(entrance: Entrance, respond: _Respond) -> Door:
    """Return a door for pages: only those of the key's origins can read its answers and errors."""

    async def door(request: DoorRequest) -> Answer:
        shared = {"vary": "Origin"}

        async def admitted(request: DoorRequest) -> Answer:
            caller = await _caller(entrance, request)
            if caller.origin:
                shared["access-control-allow-origin"] = caller.origin
                shared["access-control-allow-credentials"] = "true"
                shared["access-control-expose-headers"] = "retry-after"
            answer = await respond(request, caller)
            return replace(answer, headers={**(answer.headers or {}), **shared})

        def answer_error(error: CandorError) -> Answer:
            answer = answer_problem(error)
            return replace(answer, headers={**(answer.headers or {}), **shared})

        return await entrance.guarded(admitted, DOOR, answer_error)(request)

    return door


async def _caller(entrance: Entrance, request: DoorRequest) -> _Caller:
    """Return who sends.

    Raises:
        UnauthenticatedError: there is no key in the address, or not a valid one.
        ForbiddenError: the key is not a public one.
        OriginNotAllowedError: the page is of another origin, or the sender is no page.
    """
    origin = request.header(b"origin")
    if entrance.services.settings.auth.mode == "open":
        return _Caller(DOOR, "", PublicTerms((origin,)), origin)
    key, keys = request.parameter("key"), entrance.services.keys
    record = keys.trusted(key, PUBLIC_SCOPE)
    if record is None:
        try:
            record = await asyncio.to_thread(keys.holder, key, PUBLIC_SCOPE)
        except UnauthenticatedError:
            raise UnauthenticatedError(
                "The address has no valid key. Send a public one as /v1/rum?key=KEY."
            ) from None
    terms = record.public
    # A page of Candor's own origin says so when it posts, and is silent when it only asks.
    is_silent = not origin and request.scope["method"] == "GET"
    if terms is None or not (is_silent or origin in terms.origins):
        raise OriginNotAllowedError(
            "This key is bound to other origins than the one of this page. `candor keys list`"
            " shows them."
        )
    return _Caller(record.name, record.id, terms, origin)


def _count(buckets: TokenBuckets, entrance: Entrance, caller: _Caller) -> None:
    """Count one request of a key.

    Raises:
        RateLimitedError: the key came too often within a minute.
    """
    if not caller.key_id:
        return
    wait = buckets.take(caller.key_id, caller.terms.per_minute, entrance.services.clock())
    if wait is not None:
        raise RateLimitedError(
            f"This key may send {caller.terms.per_minute} requests a minute. Send the same again"
            " later.",
            retry_after=wait,
        )


def _submit(entrance: Entrance, body: bytes, request: DoorRequest, caller: _Caller) -> Submission:
    visit = Visit(
        requires_consent=caller.terms.requires_consent,
        gpc=request.header(b"sec-gpc") == "1",
        device=_DEVICES.get(request.header(b"sec-ch-ua-mobile"), ""),
    )
    reception = entrance.reception(caller.source)
    beacons = decode_rum(body, request.media_type, reception, visit)
    intake = entrance.collector.intake
    events = intake.submit(beacons.batch)
    if not beacons.vitals:
        return events
    return joined(events, intake.submit_vitals(DOOR, beacons.vitals, reception.source))


async def _give_script(request: DoorRequest) -> Answer:
    script, tag = _script()
    headers = _SCRIPT_HEADERS | {"etag": tag}
    known = {
        known.strip().removeprefix("W/") for known in request.header(b"if-none-match").split(",")
    }
    if tag in known or "*" in known:
        return Answer(304, b"", headers=headers)
    return Answer(200, script, "text/javascript; charset=utf-8", headers)


@cache
def _script() -> tuple[bytes, str]:
    """Return the script of the package and its entity tag."""
    script = files("collector").joinpath("browser", "rum.js").read_bytes()
    return script, f'"{sha256(script).hexdigest()[:32]}"'
