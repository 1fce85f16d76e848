"""What one process needs of consent, opened in order and closed in reverse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from candor.kernel.ports import DecisionLog
from candor.kernel.services import Services
from privacy.consent.checking import Checker
from privacy.consent.ledger import Ledger
from privacy.consent.log import GroupedLog
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister


@dataclass(frozen=True, slots=True)
class Consent:
    """The checker, the ledger, and the policy that both go by."""

    checker: Checker
    ledger: Ledger
    policies: PolicyRegister
    log: DecisionLog


@contextmanager
def open_consent(services: Services, log: DecisionLog) -> Iterator[Consent]:
    """Give consent on open stores; every decision goes to ``log``."""
    policies = PolicyRegister(services.engine)
    reader = open_reader(services.engine)
    checker = Checker(
        engine=services.engine,
        reader=reader,
        policies=policies,
        log=GroupedLog(log),
        clock=services.clock,
        metrics=services.metrics,
    )
    try:
        yield Consent(checker, Ledger(policies), policies, log)
    finally:
        reader.close()
