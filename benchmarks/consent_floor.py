"""The least that an answer to a check costs: bare ASGI, msgspec in and out, nothing looked up."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

from candor.kernel.clock import utc_now
from candor.kernel.settings import load_settings
from candor.server import listen, uvicorn_config
from privacy.consent.questions import CheckAnswer, Evidence, read_check

CHECK = "/api/v1/consent/check"
NAME = "0192d9f6-7a5c-7c3d-9d7e-3f2a1b0c9d8e"
NOW = utc_now()
TOLD = Evidence(NAME, "newsletter/1", NOW, "api")
ENCODER = msgspec.json.Encoder()


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Answer every check alike, and everything else with an empty object."""
    message = await receive()
    body = answer(message["body"]) if scope["path"] == CHECK else b"{}"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def answer(body: bytes) -> bytes:
    """Return an answer of the size of a real one."""
    check = read_check(body)
    document = CheckAnswer(
        decision_id=NAME,
        allow=True,
        reason="granted",
        rule="purpose.opt_in",
        stage=check.stage,
        evidence=TOLD,
        valid_until=None,
        obligations=(),
        checked_at=NOW,
    )
    return ENCODER.encode(document)


if __name__ == "__main__":
    settings = load_settings()
    uvicorn.Server(uvicorn_config(application, settings)).run(sockets=[listen(settings)])
