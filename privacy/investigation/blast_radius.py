"""Which uses relied on a consent that is now found invalid, and which were allowed without it.

A use relied on it when it names that consent as its evidence, or when the same decision, made again
without it, is a denial: a doubtful yes may have lifted a no for the yes that was named. People are
told by the identifier whose consent is doubtful, in order, and in blocks: memory does not grow with
the answer.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.decision_ports import DecisionRecord
from candor.kernel.errors import NotFoundError
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent.act import ConsentEvent
from privacy.consent.decision import Decision
from privacy.consent.register import PolicyRegister
from privacy.consent.replay import decisions_again
from privacy.consent.store import find_notice
from privacy.investigation import store
from privacy.investigation.doubt import Doubt
from privacy.investigation.store import Span

_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the truth lies: the ledger, the policy, and the log of decisions."""

    engine: Engine
    policies: PolicyRegister
    telemetry: TelemetryStore


@dataclass(frozen=True, slots=True)
class Use:
    """One use that relied on a doubtful consent, whose it is, and the decision without it."""

    owner: str
    decision: DecisionRecord
    without: Decision


@dataclass(slots=True)
class Tally:
    """What uses add up to; first and last are none as long as there is no use."""

    uses: int = 0
    first_use: datetime | None = None
    last_use: datetime | None = None
    otherwise_allowed: int = 0
    otherwise: Counter[str] = field(default_factory=Counter)
    by: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, use: Use) -> None:
        """Count a use."""
        one = use.decision
        self.uses += 1
        self.first_use = min(self.first_use or one.at, one.at)
        self.last_use = max(self.last_use or one.at, one.at)
        self.otherwise_allowed += use.without.allow
        self.otherwise[use.without.reason] += 1
        for name in ("purpose", "channel", "stage", "recipient"):
            self.by.setdefault(name, Counter())[getattr(one, name)] += 1


@dataclass(slots=True)
class BlastRadius:
    """How far invalid consent reached.

    ``consents`` of ``persons`` are invalid; the uses of ``affected`` persons relied on them.
    """

    consents: int
    persons: int
    affected: int
    tally: Tally


def blast_radius(evidence: Evidence, doubt: Doubt, span: Span) -> BlastRadius:
    """Return how far doubtful consents reached in a span of decisions.

    Raises:
        NotFoundError: there is no such notice, so that nothing it finds would mean anything.
    """
    with session_of(evidence.engine) as session:
        _check_notice(session, doubt)
        consents, persons = store.count_doubtful(session, doubt)
    found = BlastRadius(consents, persons, 0, Tally())
    for keys in _blocks(evidence, doubt, ""):
        affected = set()
        for use in _uses(evidence, doubt, span, keys):
            found.tally.add(use)
            affected.add(use.owner)
        found.affected += len(affected)
    return found


def affected_persons(
    evidence: Evidence, doubt: Doubt, span: Span, after: str = ""
) -> Iterator[tuple[str, Tally]]:
    """Return every identifier of which a use relied on a doubtful consent, after a given one.

    Raises:
        NotFoundError: there is no such notice.
    """
    with session_of(evidence.engine) as session:
        _check_notice(session, doubt)
    return _affected(evidence, doubt, span, after)


def _affected(
    evidence: Evidence, doubt: Doubt, span: Span, after: str
) -> Iterator[tuple[str, Tally]]:
    for keys in _blocks(evidence, doubt, after):
        tallies: dict[str, Tally] = {}
        for use in _uses(evidence, doubt, span, keys):
            tallies.setdefault(use.owner, Tally()).add(use)
        yield from sorted(tallies.items(), key=lambda one: one[0])


def _check_notice(session: Session, doubt: Doubt) -> None:
    if doubt.notice is None:
        return
    key, _, version = doubt.notice.partition("/")
    if find_notice(session, key, version) is None:
        raise NotFoundError(
            "There is no such notice. Name one as key/version, such as newsletter/1.",
            path="notice",
        )


def _blocks(evidence: Evidence, doubt: Doubt, after: str) -> Iterator[list[str]]:
    """Yield the identifiers with a doubtful consent, each block read in its own transaction."""
    while True:
        with session_of(evidence.engine) as session:
            keys = store.doubted_keys(session, doubt, after, _BLOCK)
        if keys:
            yield keys
            after = keys[-1]
        if len(keys) < _BLOCK:
            return


def _uses(evidence: Evidence, doubt: Doubt, span: Span, keys: Sequence[str]) -> Iterator[Use]:
    """Yield the uses that relied on a doubtful consent of one of these identifiers.

    A use that concerns identifiers of several blocks is told in that of its owner alone.
    """
    block = frozenset(keys)
    for page in store.uses_of(evidence.telemetry, keys, span):
        with session_of(evidence.engine) as session:
            again = decisions_again(session, evidence.policies, page, doubt.covers)
        for record, (decision, without) in zip(page, again, strict=True):
            owner = _owner(record, decision, without)
            if owner in block:
                yield Use(owner, record, decision)


def _owner(
    record: DecisionRecord, decision: Decision, without: Sequence[ConsentEvent]
) -> str | None:
    """Return whose consent a use relied on; none when it relied on no doubtful one."""
    named = [act for act in without if act.id == record.evidence]
    if named:
        return named[0].act.subject_key
    about = [act.act.subject_key for act in without if act.act.purpose == record.purpose]
    return min(about) if about and not decision.allow else None
