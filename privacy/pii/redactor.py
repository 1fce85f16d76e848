"""The redactor at the entry: has batches examined, and sees to what an examination leaves to do.

It counts what was found, asks the vault once for the whole batch, and tells of failures.
"""

from collections.abc import Mapping, Sequence

import msgspec

from candor.kernel.logging import log
from candor.kernel.metrics import PiiMetrics
from candor.kernel.ports import OtlpSignal, Redacted, Refusal, StorableEvent, Vault
from privacy.pii.examination import TEXTS, Examiner
from privacy.pii.guard import Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.otlp import fill_request
from privacy.pii.outcome import Outcome
from privacy.pii.transform import filled


class PolicyRedactor:
    """Masks by the policy in force. Safe to share between threads."""

    def __init__(
        self,
        examiner: Examiner,
        marks: Marks,
        ledger: FindingLedger,
        metrics: PiiMetrics,
        vault: Vault | None = None,
    ) -> None:
        self._examiner = examiner
        self._marks = marks
        self._ledger = ledger
        self._metrics = metrics
        self._vault = vault

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        """Mask in place; return a refusal for the index of each event that must not be stored.

        Raises:
            UnavailableError: the policy or the vault cannot be asked; nothing may be stored.
        """
        if not events:
            return {}
        marks = {schema: self._marks.of(schema) for schema in {one.schema for one in events}}
        outcome = self._examiner.examine_events(events, marks, source)
        settled = self._settle(outcome, source)
        for event in events if settled else ():
            _fill_in(event, settled)
        return outcome.refusals

    def redact_otlp(self, signal: OtlpSignal, request: bytes, source: str = "") -> Redacted:
        """Return an OTLP request in protobuf with personal values masked; the same when clean.

        Raises:
            UnavailableError: the policy or the vault cannot be asked; nothing may be stored.
        """
        content, outcome = self._examiner.examine_request(signal, request, source)
        if settled := self._settle(outcome, source):
            content = fill_request(signal, content, settled)
        return Redacted(content, outcome.refusals)

    def _settle(self, outcome: Outcome, source: str) -> Mapping[str, str]:
        """Count what was found and what failed; return what the vault gives for the marks."""
        for reason in outcome.failures:
            self._metrics.failures.inc()
            log().error("a text could not be examined", reason=reason)
        for located, value in outcome.sightings:
            self._ledger.note(source, located, value, outcome.policy)
        return outcome.errands.run(self._vault) if self._vault is not None else {}


def _fill_in(event: StorableEvent, settled: Mapping[str, str]) -> None:
    """Put what the vault answered in the place of the marks of an event."""
    for name in TEXTS:
        setattr(event, name, filled(getattr(event, name), settled))
    event.attributes = {
        filled(key, settled): msgspec.Raw(filled(bytes(raw).decode(), settled).encode())
        for key, raw in event.attributes.items()
    }
