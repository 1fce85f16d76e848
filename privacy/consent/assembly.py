"""What one process needs of consent, opened in order and closed in reverse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from candor.kernel.decision_ports import DecisionLog
from candor.kernel.secrets import Secrets
from candor.kernel.services import Services
from candor.kernel.settings import Settings
from privacy.consent.checking import Checker
from privacy.consent.choosing import Preferences
from privacy.consent.issuing import Issuer
from privacy.consent.ledger import Ledger
from privacy.consent.log import GroupedLog
from privacy.consent.reading import open_reader
from privacy.consent.receipt import Controller
from privacy.consent.register import PolicyRegister


@dataclass(frozen=True, slots=True)
class Consent:
    """The checker, the ledger, the policy that both go by, receipts, and what people choose."""

    checker: Checker
    ledger: Ledger
    policies: PolicyRegister
    log: DecisionLog
    issuer: Issuer
    preferences: Preferences


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
    ledger = Ledger(policies)
    issuer = issuer_of(services.settings, services.secrets, policies)
    preferences = Preferences(services.engine, ledger, services.subjects, services.clock)
    try:
        yield Consent(checker, ledger, policies, log, issuer, preferences)
    finally:
        reader.close()


def issuer_of(settings: Settings, secrets: Secrets, policies: PolicyRegister) -> Issuer:
    """Return who issues the receipts of this installation."""
    told = settings.controller
    controller = Controller(told.name, told.contact, told.url)
    return Issuer(policies, controller, secrets.audit_seed)
