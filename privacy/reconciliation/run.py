"""One run of a connector: everybody of an audience is compared, and repaired the stricter way."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.errors import CandorError, ConflictError, UnavailableError
from candor.kernel.logging import log
from candor.kernel.ports import Original, Originals, SubjectIndex
from candor.kernel.secrets import Secrets
from privacy.audit.store import Entry, append
from privacy.consent.act import Act
from privacy.consent.decision import Decision, Question, decide
from privacy.consent.ledger import Ledger
from privacy.consent.standing import Standings
from privacy.consent.store import current_turn, read_standings
from privacy.reconciliation.connector import Connector
from privacy.reconciliation.remote import Found, Remote
from privacy.reconciliation.repair import Finding, finding_of
from privacy.reconciliation.store import (
    forget_repair,
    is_repaired,
    keep_repair,
    subject_keys,
)

MOST_NAMED = 1000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Records:
    """Our side: the ledger, who is linked with whom, and the pseudonyms."""

    engine: Engine
    ledger: Ledger
    subjects: SubjectIndex
    secrets: Secrets
    clock: Clock


@dataclass(frozen=True, slots=True)
class Drift:
    """A person of whom the records differed, and what was done: by pseudonym."""

    subject_key: str
    finding: Finding
    ours: str
    theirs: str
    done: str


@dataclass(slots=True)
class Report:
    """What a run found and did. ``named`` are the first persons whose records differed."""

    connector: str
    dry_run: bool
    started_at: datetime
    findings: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    named: list[Drift] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether no difference is left, as far as anybody can tell."""
        left = self.done["would_withdraw_there"] + self.done["would_record_here"]
        left += self.done["reported"] + self.done["unconfirmed"]
        return not left and not self.faults


def reconcile(  # noqa: PLR0913 - two sides, who is compared, and who says so
    records: Records,
    connector: Connector,
    remote: Remote,
    audience: Iterable[str],
    *,
    by: str,
    dry_run: bool = False,
) -> Report:
    """Compare every person of an audience, by the identifier that the other system knows.

    One who cannot be read or repaired is counted by the kind of the fault and keeps nobody else
    from it. The run is on record in the audit log.

    Raises:
        ConflictError: the purpose is not known, so that everybody would be denied.
    """
    report = Report(connector.name, dry_run, records.clock())
    with session_of(records.engine) as session:
        policy = records.ledger.policies.policy(current_turn(session).policy)
        if connector.purpose not in policy.purposes:
            raise ConflictError("No purpose bears that key. Put it before it is reconciled.")
    for identifier in audience:
        try:
            _compare(records, connector, remote, identifier, report, by)
        except CandorError as error:
            report.faults[error.detail] += 1
            log().warning("a person cannot be reconciled", connector=connector.name)
    with session_of(records.engine) as session:
        append(session, [_entry(report, by, records.clock())])
    return report


def kept_identifiers(engine: Engine, originals: Originals, connector: Connector) -> Iterator[str]:
    """Yield the identifiers, as they are kept, of everybody in the ledger whom it concerns."""
    after = ""
    while True:
        with session_of(engine) as session:
            keys = subject_keys(session, connector.subject, connector.purpose, after, _PAGE)
        kept: dict[str, Original] = dict(originals.originals(keys)) if keys else {}
        yield from (kept[key].value for key in keys if key in kept)
        if len(keys) < _PAGE:
            return
        after = keys[-1]


def _compare(  # noqa: PLR0913, PLR0917 - as reconcile
    records: Records,
    connector: Connector,
    remote: Remote,
    identifier: str,
    report: Report,
    by: str,
) -> None:
    key = records.secrets.subject_key(connector.subject, identifier)
    found = remote.state_of(identifier)
    with session_of(records.engine) as session:
        ours, person = _ours(records, connector, session, key)
        repaired = is_repaired(session, connector.name, key, found.changed_at)
        if found.theirs != "denies" and not report.dry_run:
            forget_repair(session, connector.name, key)
    purpose, channel = connector.purpose, connector.channel
    finding = finding_of(ours, found.theirs, person, purpose, channel, repaired=repaired)
    report.findings[finding] += 1
    if finding in {"agree", "absent"}:
        return
    if finding == "denied_there_only":
        done = _record_here(records, connector, found, key, by, dry_run=report.dry_run)
    elif finding == "denied_by_repair" or (
        finding == "unproven_there" and connector.unproven == "report"
    ):
        done = "reported"
    elif report.dry_run:
        done = "would_withdraw_there"
    else:
        done = _withdraw_there(records, connector, remote, identifier, key, found)
    report.done[done] += 1
    if len(report.named) < MOST_NAMED:
        report.named.append(Drift(key, finding, ours.reason, found.word, done))


def _ours(
    records: Records, connector: Connector, session: Session, key: str
) -> tuple[Decision, list[Standings]]:
    """Return what a send to this system would be answered now, and what that was decided from."""
    keys = records.subjects.linked(key)
    turn = current_turn(session)
    person = list(read_standings(session, keys).values())
    question = Question(
        connector.purpose,
        connector.channel,
        jurisdictions=connector.jurisdictions,
        recipient=connector.recipient,
    )
    policy = records.ledger.policies.policy(turn.policy)
    decision = decide(policy, person, question, records.clock())
    if decision.reason in {"purpose_retired", "recipient_not_covered", "jurisdiction_not_covered"}:
        raise ConflictError(f"Nobody may be used by this description: {decision.reason}.")
    return decision, person


def _record_here(  # noqa: PLR0913 - an act and where it was found
    records: Records, connector: Connector, found: Found, key: str, by: str, *, dry_run: bool
) -> str:
    """Put a no that was found over there on record, now: it counts against whatever was said."""
    if dry_run:
        return "would_record_here"
    now = records.clock()
    changed = f", changed {found.changed_at}" if found.changed_at else ""
    act = Act(
        key,
        connector.subject,
        connector.purpose,
        "withdraw",
        now,
        "import",
        connector.channel,
        method="reconciliation",
        actor=connector.name,
        evidence=f"{found.word}{changed}, sha256:{found.digest}",
        origin=connector.base[:300],
    )
    with session_of(records.engine) as session:
        records.ledger.record(session, act, now, by)
    return "recorded_here"


def _withdraw_there(  # noqa: PLR0913, PLR0917 - a person on both sides
    records: Records, connector: Connector, remote: Remote, identifier: str, key: str, found: Found
) -> str:
    """Write a withdrawal there, and read whether it is there.

    It is remembered before it is written: it must never come back as the person's own act.
    """
    with session_of(records.engine) as session:
        keep_repair(session, connector.name, key, records.clock(), None)
    remote.withdraw(identifier, found.remembered)
    try:
        again = remote.state_of(identifier)
    except UnavailableError:
        return "unconfirmed"
    if again.theirs == "allows":
        return "unconfirmed"
    with session_of(records.engine) as session:
        keep_repair(session, connector.name, key, records.clock(), again.changed_at)
    return "withdrawn_there"


def _entry(report: Report, by: str, at: datetime) -> Entry:
    return Entry(
        "consent_reconciliation",
        at,
        {
            "connector": report.connector,
            "by": by,
            "dry_run": report.dry_run,
            "findings": dict(report.findings),
            "done": dict(report.done),
            "faults": sum(report.faults.values()),
        },
    )
