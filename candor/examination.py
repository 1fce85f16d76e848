"""What can be said of an installation without running it, also beside a server that runs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from candor.kernel.database import open_engine
from candor.kernel.errors import CandorError
from candor.kernel.migrate import Migration, pending_migrations, pending_state_migrations
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import StoreInUseError
from candor.wiring import open_services
from collector.kafka.consumption import open_checked_client
from collector.receivers.synthetic_file import open_checks, require_environment
from slo.alerts.targets import address_faults

_SERVED = (
    "The embedded telemetry store is in use by another process, such as a running `candor serve`,"
    " so it was not opened. A server with embedded stores brings both up to date when it starts."
)
_HOW_TO_ASK = " To ask the server itself: candor check --url http://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Pending:
    """The migrations that are pending; of the state store alone where ``is_served``.

    ``is_served`` says that another process has the telemetry store, and ``note`` tells a person.
    """

    steps: Sequence[Migration]
    is_served: bool = False

    @property
    def note(self) -> str:
        """What to know about the store that was not opened; empty when both were."""
        return _SERVED if self.is_served else ""


@dataclass(frozen=True, slots=True)
class Examination:
    """What keeps an installation from serving, and what is merely to be known; a sentence each."""

    complaints: Sequence[str]
    notes: Sequence[str] = ()


def pending_in(settings: Settings) -> Pending:
    """Return which migrations are pending; beside a running server, those of the state store.

    Raises:
        CandorError: a store cannot be opened.
    """
    try:
        with open_services(settings) as services:
            return Pending(pending_migrations(services.engine, services.telemetry))
    except StoreInUseError:
        engine = open_engine(settings.state_dsn)
        try:
            return Pending(pending_state_migrations(engine), is_served=True)
        finally:
            engine.dispose()


def examine(settings: Settings) -> Examination:
    """Return what is wrong with an installation. Opens the stores, and changes nothing in them."""
    found = _examine_stores(settings)
    return Examination([*address_faults(settings).values(), *found.complaints], found.notes)


def complaints_of(readiness: Mapping[str, object]) -> list[str]:
    """Return what a server says is wrong with it in its answer to ``/readyz``."""
    components = readiness.get("components")
    if not isinstance(components, Mapping):
        return ["The server does not say how it is. Is this the address of a Candor?"]
    return [f"{name}: {outcome}" for name, outcome in components.items() if outcome != "ok"]


def _examine_stores(settings: Settings) -> Examination:
    try:
        require_environment(open_checks(settings.checks.files), os.environ)
        pending = pending_in(settings)
        if settings.kafka.bootstrap is not None:
            open_checked_client(settings.kafka).close()
    except CandorError as error:
        return Examination([error.detail])
    number = len(pending.steps)
    if number and pending.is_served:
        restart = f"{number} migrations of the state store are pending. Restart the server."
        return Examination([restart], [pending.note])
    if number and not settings.is_embedded:
        return Examination([f"{number} migrations are pending. Run: candor migrate"])
    if pending.is_served:
        ask = _HOW_TO_ASK.format(host=settings.host, port=settings.port)
        return Examination([], [pending.note + ask])
    return Examination([])
