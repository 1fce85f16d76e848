"""A re-scan: stored telemetry examined by the policy in force, and rewritten where that is wanted.

Tables are read page by page. What is found goes into the register of findings, under a source that
says that it was found at rest. Repeating a re-scan does no harm: one that was interrupted goes on
with the table that it was in, and rows that were rewritten hold nothing any more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from candor.kernel.database import session_of
from candor.kernel.errors import CandorError, ConflictError, UnavailableError
from candor.kernel.services import Services
from privacy.pii.finding import Located, field_of
from privacy.pii.guard import Guard, Guards, Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.policy import Policy
from privacy.pii.register import PolicyRegister, exempted
from privacy.pii.rescan_places import TABLES, Table
from privacy.pii.rescan_report import TableTally, Wanted, wanted_of
from privacy.pii.rescan_requests import (
    finish_rescan,
    judged_places,
    note_progress,
    note_tables,
    take_rescan,
)
from privacy.pii.rescan_rows import PageScan, PageScanner
from privacy.pii.rescan_store import Page, Rewriting, RowReader, plan_pages
from privacy.pii.rescan_store import sample_mask as mask_of

_MOST_ATTEMPTS = 5
Advance = Callable[[TableTally], None]


@dataclass(frozen=True, slots=True)
class Means:
    """What a re-scan examines rows with."""

    policies: PolicyRegister
    guards: Guards
    marks: Marks
    ledger: FindingLedger


def run_waiting(services: Services, means: Means) -> bool:
    """Run the oldest re-scan that waits or was interrupted, and return whether there was one.

    One that breaks off is tried again, at most five times; what is wrong is told by its fault.

    Raises:
        UnavailableError: a store or the vault cannot be asked now; it is tried again.
    """
    with session_of(services.engine) as session:
        taken = take_rescan(session, services.clock())
    if taken is None:
        return False
    fault = ""
    try:
        if taken["attempts"] > _MOST_ATTEMPTS:
            raise ConflictError(f"It broke off {_MOST_ATTEMPTS} times. Look into the log.")
        _run(services, means, taken)
    except UnavailableError as error:
        if taken["attempts"] < _MOST_ATTEMPTS:
            raise
        fault = error.detail
    except CandorError as error:
        fault = error.detail
    with session_of(services.engine) as session:
        finish_rescan(session, taken["id"], services.clock(), fault)
    return True


def _run(services: Services, means: Means, taken: Mapping[str, Any]) -> None:
    """Look into each table that the re-scan is not done with."""
    wanted = wanted_of(taken["wanted"])
    if wanted.applies and not services.settings.pii.enabled:
        raise ConflictError(
            "What comes in now is not masked (CANDOR_PII__ENABLED=false), so the past cannot be."
        )
    with session_of(services.engine) as session:
        accepted, mistaken = judged_places(session)
    policy = means.policies.current()
    for path, entity in sorted(mistaken):
        policy = exempted(policy, entity, path, "")
    work = _Work(services, means, means.guards.guard(policy), wanted, accepted, mistaken)
    done = list(taken["tables"])
    finished = {one["table"] for one in done}

    def advance(tally: TableTally) -> None:
        with session_of(services.engine) as session:
            note_progress(session, taken["id"], tally.progress(), services.clock())

    for table in TABLES:
        if table.name in finished or (wanted.tables and table.name not in wanted.tables):
            continue
        begun = _begun(taken["progress"], table)
        done.append(work.look_into(table, begun, advance).document())
        means.ledger.flush()
        with session_of(services.engine) as session:
            note_tables(session, taken["id"], done, services.clock())


def _begun(progress: Mapping[str, Any] | None, table: Table) -> int:
    """Return how many rows of a table an earlier run was about to rewrite when it broke off."""
    if progress is None or progress["table"] != table.name:
        return 0
    return int(progress["rewriting"])


@dataclass(frozen=True, slots=True)
class _Work:
    """What all tables of one re-scan have in common."""

    services: Services
    means: Means
    guard: Guard
    wanted: Wanted
    accepted: frozenset[tuple[str, str]]
    mistaken: frozenset[tuple[str, str]]

    def look_into(self, table: Table, begun: int, advance: Advance) -> TableTally:
        """Return what is in a table; with ``applies`` its rows are rewritten afterwards."""
        telemetry, wanted = self.services.telemetry, self.wanted
        rewriting = Rewriting(telemetry, table) if wanted.applies else None
        resumed = begun if rewriting is not None and rewriting.finish() else 0
        pages = plan_pages(telemetry, table, wanted.since, wanted.until)
        tally = TableTally(table.name, sum(page.rows for page in pages), rewritten=resumed)
        mask = mask_of(tally.rows, wanted.sample)
        scanner = PageScanner(self.guard, table, self.means.marks)
        reader = RowReader(telemetry, table)
        changed: list[Page] = []
        for page in pages:
            columns = reader.read(page, mask, known=rewriting is not None)
            if columns:
                made = scanner.scan(columns, None if rewriting is None else self.services.vault)
                self._count(table, page, made, len(columns[0]), tally)
                if rewriting is not None and made.changed:
                    if not changed:
                        rewriting.begin()
                    changed.append(page)
                    rewriting.keep(page, {columns[-1][n]: one for n, one in made.changed.items()})
            advance(tally)
        if rewriting is not None and changed:
            self._rewrite(rewriting, changed, tally, advance)
        return tally

    def _rewrite(
        self, rewriting: Rewriting, changed: list[Page], tally: TableTally, advance: Advance
    ) -> None:
        for page in changed:
            rewriting.make(page)
        tally.rewriting = tally.rewritten + tally.changing
        advance(tally)
        rewriting.declare_ready()
        rewriting.finish()
        tally.rewritten = tally.rewriting
        self.services.metrics.pii.rewritten.labels(tally.table).inc(tally.changing)

    def _count(
        self, table: Table, page: Page, made: PageScan, rows: int, tally: TableTally
    ) -> None:
        metrics = self.services.metrics.pii
        metrics.rescanned.labels(table.name).inc(rows)
        metrics.failures.inc(made.unexamined)
        tally.scanned += rows
        tally.changing += len(made.changed)
        tally.unexamined += made.unexamined
        for row, (located, value) in made.found:
            place = (field_of(located.path), located.finding.entity)
            if located.action == "allow" and place in self.mistaken:
                continue
            is_declared = place in self.accepted or _declares(self.guard.policy, located, table)
            tally.note((page.number, row), located, value, is_declared=is_declared)
            self.means.ledger.note(table.source, located, value, self.guard.policy)


def _declares(policy: Policy, located: Located, table: Table) -> bool:
    """Whether a contract or a rule of the policy speaks of the very field."""
    finding = located.finding
    if finding.recognizer == "Contract":
        return True
    name = field_of(located.path)
    return bool(policy.rule_for(finding.entity, name, table.source, finding.score).paths)
