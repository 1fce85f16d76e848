"""What one running Candor is made of."""

from dataclasses import dataclass, field

from opentelemetry.trace import Tracer
from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.field_ports import ContractMarks, DataMap, NoDataMap, NoMarks
from candor.kernel.metrics import Metrics
from candor.kernel.ports import (
    EntryGate,
    NoOriginals,
    Originals,
    Redactor,
    SubjectIndex,
    Vault,
)
from candor.kernel.secrets import Secrets
from candor.kernel.security import KeyRing
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import TelemetryStore


@dataclass(frozen=True, slots=True)
class Services:
    """Open stores, keys and wired ports; built in ``candor.wiring``, passed to everything."""

    settings: Settings
    clock: Clock
    engine: Engine
    telemetry: TelemetryStore
    secrets: Secrets
    keys: KeyRing
    metrics: Metrics
    tracer: Tracer
    gate: EntryGate
    redactor: Redactor
    subjects: SubjectIndex
    vault: Vault
    originals: Originals = field(default_factory=NoOriginals)
    marks: ContractMarks = field(default_factory=NoMarks)
    data_map: DataMap = field(default_factory=NoDataMap)
