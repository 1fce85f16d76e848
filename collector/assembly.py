"""One running collector: spool, loader, linker, dedupe window and intake, opened in order."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.logging import log
from candor.kernel.services import Services
from collector.contracts.register import ContractRegister
from collector.dedupe import IdentityWindow
from collector.event import Batch
from collector.intake import Intake, Submission
from collector.linking import Linker
from collector.loader import Loader
from collector.quarantine.keeping import Quarantine
from collector.quarantine.keys import KeyCabinet
from collector.spool import Spool
from collector.store import recent_identities

_FLUSH_SECONDS = 60.0
_DRAIN_SECONDS = 10.0
_END_OF_TIME = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Collector:
    """What the doors need: a pipeline to feed, and a way to wait for it."""

    intake: Intake
    spool: Spool
    loader: Loader
    linker: Linker
    contracts: ContractRegister
    quarantine: Quarantine

    def submit(self, batch: Batch, *, keep_refused: bool = True) -> Submission:
        """Send a batch through the pipeline, and what it says about persons to the subject index.

        A refused event links nobody. The submission is answered when both are durable; when the
        index cannot be written, the sender comes back, and the events are known by then.
        """
        submission = self.intake.submit(batch, keep_refused=keep_refused)
        if not batch.links:
            return submission
        refused = {rejection.index for rejection in submission.receipt.rejections}
        links = [link for index, link in batch.links if index not in refused]
        fate = self.linker.submit(links)
        if fate is None:
            return submission
        return Submission(submission.receipt, (*submission.fates, fate))

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

    Raises:
        ConflictError: another process uses the same spool.
    """
    settings, clock = services.settings, services.clock
    spool = Spool(settings.spool_dir, settings.spool, clock, services.metrics)
    loader = Loader(spool, services.telemetry, services.metrics, services.tracer)
    with _held(settings.spool_dir), spool.running():
        loader.load_waiting()
        window = IdentityWindow(settings.dedupe.window)
        _restore(window, services)
        services.metrics.identities.set_function(lambda: len(window))
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
        linker = Linker(services.subjects, clock)
        with loader.running(), linker.running():
            try:
                yield Collector(intake, spool, loader, linker, contracts, quarantine)
            finally:
                spool.close()
                spool.wait_until_loaded(_tokens(spool), _DRAIN_SECONDS)


def _restore(window: IdentityWindow, services: Services) -> None:
    """Read back what was accepted before; what bears an instant still to come counts as new."""
    now = services.clock()
    for since, until in window.parts(now):
        end = until if until < now else _END_OF_TIME
        for identities in recent_identities(services.telemetry, since, end):
            window.restore(identities, until)


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Keep a spool's folder for this process inside the block.

    Two writers would seal and load each other's segments.

    Raises:
        ConflictError: another process has it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"Another process uses the spool {directory}. Give each its own CANDOR_SPOOL_DIR."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _open_quarantine(services: Services, contracts: ContractRegister) -> Quarantine:
    settings, key = services.settings.quarantine, services.secrets.quarantine_key
    cabinet = KeyCabinet(services.engine, key, settings.retention)
    try:
        cabinet.prepare(services.clock())
    except UnavailableError as error:  # every other event can be taken without a key
        log().warning("quarantine keys cannot be prepared", reason=error.detail)
    return Quarantine(cabinet, key, settings, contracts, services.clock)


def _tokens(spool: Spool) -> list[str]:
    return [segment.token for segment in spool.sealed()]
