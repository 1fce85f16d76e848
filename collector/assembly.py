"""One running collector: spool, loader, dedupe window and intake, opened and closed in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from candor.kernel.errors import UnavailableError
from candor.kernel.logging import log
from candor.kernel.services import Services
from collector.contracts.register import ContractRegister
from collector.dedupe import IdentityWindow
from collector.intake import Intake
from collector.loader import Loader
from collector.quarantine.keeping import Quarantine
from collector.quarantine.keys import KeyCabinet
from collector.spool import Spool
from collector.store import recent_identities

_FLUSH_SECONDS = 60.0
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Collector:
    """What the doors need: a pipeline to feed, and a way to wait for it."""

    intake: Intake
    spool: Spool
    loader: Loader
    contracts: ContractRegister
    quarantine: Quarantine

    def flush(self) -> None:
        """Return when everything submitted before this call can be queried.

        Raises:
            UnavailableError: that took too long; it is on the disk and will be loaded later.
        """
        self.spool.seal()
        if not self.spool.wait_until_loaded(_tokens(self.spool), _FLUSH_SECONDS):
            raise UnavailableError(
                "The events are safe on the disk, but the telemetry store has not taken them yet."
            )


@contextmanager
def open_collector(services: Services) -> Iterator[Collector]:
    """Give a collector that has caught up: what an earlier process left is loaded first.

    Only then are the identities of the window read back from the telemetry store, so that none is
    missing when the first door opens. At the end it loads what still waits, for at most ten
    seconds; what is left then stays on the disk for the next start.
    """
    settings, clock = services.settings, services.clock
    spool = Spool(settings.spool_dir, settings.spool, clock, services.metrics)
    loader = Loader(spool, services.telemetry, services.metrics, services.tracer)
    with spool.running():
        loader.load_waiting()
        window = IdentityWindow(settings.dedupe.window)
        now = clock()
        since = now - settings.dedupe.window
        for identities in recent_identities(services.telemetry, since):
            window.restore(identities, now)
        log().info("collector ready", identities=len(window))
        contracts = ContractRegister(services.engine, settings.contracts, clock)
        contracts.refresh()
        quarantine = _open_quarantine(services, contracts)
        intake = Intake(
            contracts=contracts,
            gate=services.gate,
            redactor=services.redactor,
            quarantine=quarantine,
            window=window,
            spool=spool,
            clock=clock,
            metrics=services.metrics,
        )
        with loader.running():
            try:
                yield Collector(intake, spool, loader, contracts, quarantine)
            finally:
                spool.close()
                spool.wait_until_loaded(_tokens(spool), _DRAIN_SECONDS)


def _open_quarantine(services: Services, contracts: ContractRegister) -> Quarantine:
    settings, key = services.settings.quarantine, services.secrets.quarantine_key
    cabinet = KeyCabinet(services.engine, key, settings.retention)
    return Quarantine(cabinet, key, settings, contracts, services.clock)


def _tokens(spool: Spool) -> list[str]:
    return [segment.token for segment in spool.sealed()]
