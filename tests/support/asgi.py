"""The whole application in the test's own process, asked like a server."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from candor.app import create_app
from candor.kernel.database import session_of
from candor.kernel.security import create_key
from candor.kernel.services import Services
from candor.wiring import Installation
from collector.assembly import open_collector
from collector.decision_log import SpooledDecisions
from privacy.consent.assembly import open_consent
from privacy.pii.assembly import Pii, Surroundings, open_pii
from privacy.vault.assembly import open_desk


class Application:
    """Sends requests to the application and blocks for the answers."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.services = installation.services
        self.collector = installation.collector
        self.consent = installation.consent
        self.pii = installation.pii
        self.desk = installation.desk
        self.asgi = create_app(installation)
        self.key = ""

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        headers = {"authorization": f"Bearer {self.key}"} | dict(options.pop("headers", {}))

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.asgi, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=transport, base_url="http://candor") as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        return self.request("POST", path, **options)

    def make_key(self, *scopes: str, **more: Any) -> str:  # noqa: ANN401 - as create_key
        with session_of(self.services.engine) as session:
            made = create_key(
                session,
                self.services.secrets,
                name="test",
                scopes=scopes,
                at=self.services.clock(),
                **more,
            )
        return made.key


@contextmanager
def pii_on(services: Services) -> Iterator[Pii]:
    """Give PII protection on open services; their own redactor stays what it is."""
    around = Surroundings(
        services.engine,
        services.clock,
        services.secrets,
        services.metrics,
        services.marks,
        services.data_map,
        services.vault,
    )
    with open_pii(services.settings.pii, around) as pii:
        yield pii


@contextmanager
def application_on(services: Services, pii: Pii | None = None) -> Iterator[Application]:
    """Give the application on open services; its key opens everything."""
    with ExitStack() as stack:
        collector = stack.enter_context(open_collector(services))
        consent = stack.enter_context(open_consent(services, SpooledDecisions(collector)))
        protection = pii or stack.enter_context(pii_on(services))
        application = Application(
            Installation(services, collector, consent, open_desk(services), protection)
        )
        application.key = application.make_key("admin")
        yield application
