"""Whether the log of decisions and the ledger tell the same: every decision is made again."""

from dataclasses import dataclass, field

from candor.kernel.database import session_of
from candor.kernel.decision_ports import DecisionRecord
from privacy.consent.decision import Decision
from privacy.consent.replay import decisions_again
from privacy.investigation import store
from privacy.investigation.blast_radius import Evidence
from privacy.investigation.store import Span

MOST_NAMED = 1000


@dataclass(slots=True)
class Drift:
    """What a replay found: decisions made again, and the first of those that differ.

    ``skipped`` are those about nobody or about the past, which no send relied on.
    """

    replayed: int = 0
    skipped: int = 0
    differing: int = 0
    named: list[tuple[DecisionRecord, Decision]] = field(default_factory=list)


def replay(evidence: Evidence, span: Span) -> Drift:
    """Make every logged decision of a span again, by what the ledger held then."""
    drift = Drift()
    for page in store.decisions_of(evidence.telemetry, span):
        records = [one for one in page if one.subject_key and one.as_of is None]
        drift.skipped += len(page) - len(records)
        drift.replayed += len(records)
        with session_of(evidence.engine) as session:
            again = decisions_again(session, evidence.policies, records)
        for record, (decision, _) in zip(records, again, strict=True):
            if (decision.allow, decision.reason) == (record.allow, record.reason):
                continue
            drift.differing += 1
            if len(drift.named) < MOST_NAMED:
                drift.named.append((record, decision))
    return drift
