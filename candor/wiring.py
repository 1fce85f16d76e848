"""The composition root: opens the stores, wires the ports, and closes everything in reverse."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from candor.kernel.clock import Clock, utc_now
from candor.kernel.database import open_engine
from candor.kernel.errors import ConflictError
from candor.kernel.field_ports import NoDataMap
from candor.kernel.metrics import new_metrics
from candor.kernel.migrate import migrate, pending_migrations
from candor.kernel.ports import NoRedaction
from candor.kernel.secrets import open_secrets
from candor.kernel.security import KeyRing
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import open_telemetry_store
from candor.kernel.tracing import close_tracing, new_tracer_provider, tracer_of
from collector.assembly import Collector, open_collector
from collector.contracts.marks import StoredMarks
from collector.decision_log import SpooledDecisions
from privacy.consent.assembly import Consent, open_consent
from privacy.consent.gate import ConsentGate
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister
from privacy.pii.assembly import Pii, Surroundings, open_pii
from privacy.subjects.index import StoredSubjectIndex
from privacy.subjects.originals import StoredOriginals
from privacy.vault.assembly import Desk, new_vault, open_desk
from slo.exposition import ObjectiveCounters


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that one process of Candor runs."""

    services: Services
    collector: Collector
    consent: Consent
    desk: Desk
    pii: Pii


@contextmanager
def open_services(settings: Settings, clock: Clock = utc_now) -> Iterator[Services]:
    """Give open stores and wired ports; everything is closed at the end of the block.

    Nothing is migrated here.

    Raises:
        CandorError: a store or the master key cannot be opened; the sentence says what to do.
    """
    with open_protected(settings, clock) as (services, _):
        yield services


@contextmanager
def open_protected(settings: Settings, clock: Clock = utc_now) -> Iterator[tuple[Services, Pii]]:
    """Give what ``open_services`` gives, and PII protection, which its redactor belongs to."""
    with ExitStack() as stack:
        secrets = open_secrets(
            settings.master_key_file,
            may_create=settings.is_embedded,
            phone_region=settings.identifiers.phone_region,
        )
        engine = open_engine(settings.state_dsn)
        stack.callback(engine.dispose)
        telemetry = open_telemetry_store(settings.telemetry_dsn, settings.telemetry)
        stack.callback(telemetry.close)
        tracing = new_tracer_provider(settings.tracing)
        stack.callback(close_tracing, tracing)
        metrics = new_metrics()
        reader = open_reader(engine)
        stack.callback(reader.close)
        marks, data_map = StoredMarks(engine, clock), NoDataMap()
        vault = new_vault(engine, secrets, settings.vault, clock)
        around = Surroundings(engine, clock, secrets, metrics, marks, data_map, vault)
        pii = stack.enter_context(open_pii(settings.pii, around))
        services = Services(
            settings=settings,
            clock=clock,
            engine=engine,
            telemetry=telemetry,
            secrets=secrets,
            keys=KeyRing(engine, secrets, clock, settings.auth.key_cache),
            metrics=metrics,
            tracer=tracer_of(tracing),
            gate=ConsentGate(reader, PolicyRegister(engine), clock, metrics),
            redactor=pii.redactor if settings.pii.enabled else NoRedaction(),
            subjects=StoredSubjectIndex(engine),
            marks=marks,
            data_map=data_map,
            vault=vault,
            originals=StoredOriginals(engine, secrets),
        )
        yield services, pii


@contextmanager
def open_installation(settings: Settings, clock: Clock = utc_now) -> Iterator[Installation]:
    """Give everything that ``candor serve`` runs, on migrated stores.

    Embedded stores are migrated here; servers are not, because another process may be using them.

    Raises:
        ConflictError: a server's stores are not migrated.
    """
    with open_protected(settings, clock) as (services, pii):
        ensure_migrated(services)
        counters = ObjectiveCounters(services, services.clock())
        counters.begin()
        services.metrics.registry.register(counters)
        with (
            open_collector(services) as collector,
            open_consent(services, SpooledDecisions(collector)) as consent,
        ):
            yield Installation(services, collector, consent, open_desk(services), pii)


def ensure_migrated(services: Services) -> None:
    """Migrate embedded stores; refuse to run on a server's stores that are behind.

    Raises:
        ConflictError: a server's stores are not migrated.
    """
    if services.settings.is_embedded:
        migrate(services.engine, services.telemetry, services.clock)
        return
    pending = pending_migrations(services.engine, services.telemetry)
    if pending:
        raise ConflictError(
            f"{len(pending)} migrations are pending. Look at them with `candor migrate --dry-run`,"
            " then run `candor migrate`."
        )
