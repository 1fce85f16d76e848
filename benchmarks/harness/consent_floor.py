"""The floor of a consent check: the same door, without a decision behind it.

It is what anybody gets of uvicorn with uvloop, httptools and msgspec.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvicorn

from candor.kernel.clock import utc_now
from candor.kernel.settings import load_settings
from candor.server import listen, uvicorn_config
from privacy.consent.questions import CheckAnswer, Evidence, read_check

CHECK = "/api/v1/consent/check"


def serve_floor() -> None:
    """Serve the same door, answering as soon as the body is decoded and an answer encoded."""
    now, encoder = utc_now(), msgspec.json.Encoder()
    name = "0192d9f6-7a5c-7c3d-9d7e-3f2a1b0c9d8e"
    told = Evidence(name, "newsletter/1", now, "api")

    async def application(
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        message = await receive()
        status = 200
        if scope["path"] == CHECK:
            check = read_check(message["body"])
            document = CheckAnswer(
                decision_id=name,
                allow=True,
                reason="granted",
                rule="purpose.opt_in",
                stage=check.stage,
                evidence=told,
                valid_until=None,
                obligations=(),
                checked_at=now,
            )
            body = encoder.encode(document)
        else:
            body = b"{}"
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    settings = load_settings()
    config = uvicorn_config(application, settings)
    config.http = "httptools"  # as uvicorn comes
    uvicorn.Server(config).run(sockets=[listen(settings)])


if __name__ == "__main__":
    serve_floor()
