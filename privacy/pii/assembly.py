"""What one process needs of PII protection, wired; nothing heavy is loaded before it is asked."""

import hmac
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.field_ports import ContractMarks, DataMap
from candor.kernel.metrics import Metrics
from candor.kernel.pii_settings import PiiSettings
from candor.kernel.ports import Vault
from candor.kernel.secrets import Secrets
from privacy.pii.detectors import DetectorPool
from privacy.pii.examination import LocalExaminer
from privacy.pii.guard import Guards, Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.namemodel import open_model
from privacy.pii.redactor import PolicyRedactor
from privacy.pii.register import PolicyRegister
from privacy.pii.scanning import NameFinder
from privacy.pii.transform import Transformer
from privacy.pii.workers import Equipment, Workers


@dataclass(frozen=True, slots=True)
class Pii:
    """The detectors, the policy in force, what was found, and the redactor that goes by them."""

    pool: DetectorPool
    policies: PolicyRegister
    transformer: Transformer
    guards: Guards
    marks: Marks
    model: NameFinder | None
    ledger: FindingLedger
    redactor: PolicyRedactor
    data_map: DataMap
    workers: Workers | None = None

    def prepare(self) -> None:
        """Load and compile what the first event would wait for.

        Raises:
            UnavailableError: the processes that examine texts cannot be started.
        """
        if self.workers is not None:
            self.workers.prepare()
        else:
            self.guards.current()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What PII protection stands on: open stores, keys, and the ports of others."""

    engine: Engine
    clock: Clock
    secrets: Secrets
    metrics: Metrics
    marks: ContractMarks
    data_map: DataMap
    vault: Vault | None = None


def mask_key(secrets: Secrets) -> bytes:
    """Return the key of digests that stand for values."""
    return hmac.digest(secrets.pepper, b"candor pii masks v1", "sha256")


@contextmanager
def open_pii(settings: PiiSettings, around: Surroundings) -> Iterator[Pii]:
    """Give PII protection; what was counted last is written at the end.

    Raises:
        InvalidInputError: the model of names cannot be opened.
    """
    others = settings.ner.entities.values()
    pool = DetectorPool(settings.cache_dir, settings.recognizers, settings.memory, others)
    policies = PolicyRegister(around.engine, around.clock, settings.policy)
    transformer = Transformer(mask_key(around.secrets), around.vault)
    model = open_model(settings.ner)
    guards = Guards(pool, policies, transformer, model=model, memory=settings.memory)
    ledger = FindingLedger(around.engine, around.clock, around.metrics.pii)
    marks = Marks(around.marks)
    workers = _workers(settings, around, policies) if settings.workers else None
    examiner = workers or LocalExaminer(guards.current)
    redactor = PolicyRedactor(examiner, marks, ledger, around.metrics.pii, around.vault)
    with ledger.running(), ExitStack() as stack:
        if workers is not None:
            stack.callback(workers.close)
        yield Pii(
            pool,
            policies,
            transformer,
            guards,
            marks,
            model,
            ledger,
            redactor,
            around.data_map,
            workers,
        )


def _workers(settings: PiiSettings, around: Surroundings, policies: PolicyRegister) -> Workers:
    """Return processes that examine; none of them runs before it is asked for."""
    equipment = Equipment(
        mask_key(around.secrets),
        around.vault is not None,
        settings.cache_dir,
        settings.recognizers,
        settings.memory,
        settings.ner,
    )
    return Workers(settings.workers, equipment, policies.current)
