"""What one running Candor is made of."""

from dataclasses import dataclass

from opentelemetry.trace import Tracer
from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.metrics import Metrics
from candor.kernel.ports import (
    ContractMarks,
    DataMap,
    EntryGate,
    NoDataMap,
    NoMarks,
    Redactor,
    SubjectIndex,
)
from candor.kernel.secrets import Secrets
from candor.kernel.security import KeyRing
from candor.kernel.settings import Settings
from candor.kernel.telemetry_store import TelemetryStore

_NO_MARKS, _NO_DATA_MAP = NoMarks(), NoDataMap()


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
    marks: ContractMarks = _NO_MARKS
    data_map: DataMap = _NO_DATA_MAP
