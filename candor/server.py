"""The process of ``candor serve``: opens the installation, listens, and closes in order."""

import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvicorn

from candor.app import create_app
from candor.connection import JoiningProtocol
from candor.kernel.errors import ConflictError
from candor.kernel.logging import configure_logging, log
from candor.kernel.settings import Settings
from candor.observation import apply_self_objectives, observing
from candor.scheduling import jobs_of, jobs_running
from candor.wiring import Installation, open_installation
from collector.entrance import Entrance
from collector.kafka.consumption import consuming

_BACKLOG = 2048
_SHUTDOWN_SECONDS = 10


def serve_until_stopped(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; acknowledged events that are not loaded yet stay on the disk.

    Beside embedded stores, which no other process can open, it runs the recurring jobs too.

    Raises:
        CandorError: a store cannot be opened, is not migrated, or a port is taken.
    """
    configure_logging(settings.log_level)
    listener = listen(settings)
    with listener, open_installation(settings) as installation, ExitStack() as stack:
        if settings.pii.enabled:
            installation.pii.prepare()
        if settings.self_objectives:
            apply_self_objectives(installation.services)
            stack.enter_context(observing(installation))
        if settings.is_embedded:
            stack.enter_context(jobs_running(installation.services, jobs_of(installation)))
        stack.enter_context(_grpc(installation))
        stack.enter_context(consuming(Entrance(installation.services, installation.collector)))
        host, port = listener.getsockname()[:2]
        log().info("candor is listening", host=host, port=port)
        server = uvicorn.Server(uvicorn_config(create_app(installation), settings))
        _spare_the_collector()
        with _signals_answered():
            server.run(sockets=[listener])


@contextmanager
def _grpc(installation: Installation) -> Iterator[None]:
    """Keep the gRPC doors open, closed before the stores are; none when they are switched off."""
    services = installation.services
    if not services.settings.grpc_port:
        yield
        return
    from candor.kernel.rpc import serving_rpc  # noqa: PLC0415 - gRPC starts threads of its own
    from collector.doors.otlp_grpc import otlp_handlers  # noqa: PLC0415 - as above
    from privacy.consent.authorization import authorization  # noqa: PLC0415 - as above

    entrance = Entrance(services, installation.collector)
    with (
        authorization(services, installation.consent) as gateways,
        serving_rpc(services.settings, [*otlp_handlers(entrance), gateways]),
    ):
        yield


def uvicorn_config(app: object, settings: Settings) -> uvicorn.Config:
    """Return how the application is run: one process, no access log (addresses are personal)."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application; uvicorn's own type is narrower
        http=JoiningProtocol,
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        backlog=_BACKLOG,
    )


def _spare_the_collector() -> None:
    """Keep what lives as long as the process out of garbage collection.

    The collector took a tenth of the accept thread.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _signals_answered() -> Iterator[None]:
    """Keep the process alive until its stores are closed.

    When it has stopped, uvicorn raises the signals that stopped it once more; without handlers of
    our own these would end the process before the spool is sealed.
    """
    stops = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(stop, lambda *_: None) for stop in stops]
    try:
        yield
    finally:
        for stop, handler in zip(stops, before, strict=True):
            signal.signal(stop, handler)


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens on the settings' host and port.

    Raises:
        ConflictError: the port is taken or not allowed.
    """
    try:
        return socket.create_server(
            (settings.host, settings.port),
            family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
            backlog=_BACKLOG,
        )
    except OSError as error:
        raise ConflictError(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}). Choose another"
            " port with CANDOR_PORT."
        ) from None
