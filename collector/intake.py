"""The one pipeline behind every door: contract, gate, redact, dedupe, spool, receipt.

Nothing here waits: a submission is answered when its bytes are on the disk, and whoever holds it
may await that or block for it.
"""

import asyncio
from collections.abc import Collection, Generator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

from candor.kernel.clock import Clock
from candor.kernel.errors import CandorError, UnavailableError
from candor.kernel.metrics import Metrics
from candor.kernel.ports import EntryGate, EntryTerms, OtlpSignal, Redacted, Redactor, Refusal
from collector.check import CheckResult
from collector.dedupe import Claim, Identity, IdentityWindow
from collector.event import Batch, Event, Receipt, Rejection
from collector.segment import Signal
from collector.spool import Spool
from collector.store import encode_checks, encode_events, encode_otlp, encode_vitals
from collector.vital import Vital

_REFUSED = "refused"
_NOTHING = Redacted(b"")


class OtlpRequest(Protocol):
    """What the pipeline asks of an OTLP request that a door has read."""

    digest: bytes
    identities: list[Identity]
    indices: list[int]
    rejections: list[Rejection]
    refused: Batch | None
    journeys: Batch | None

    def fresh(self, claimed: Sequence[int]) -> Sequence[int]:
        """Return the positions of the records that the claimed identities stand for."""

    def content(self, kept: Collection[int]) -> bytes:
        """Return the request with only the records at these positions."""


class ContractCheck(Protocol):
    """Decides whether events keep the schemas that they name, and for what they may be used."""

    def entry_terms(self, events: Sequence[Event]) -> Mapping[str, EntryTerms]:
        """Return the terms of those schemas that name a purpose; most often none."""

    def refusals(self, batch: Batch) -> Mapping[int, Refusal]:
        """Return a refusal for the position of each event that does not; most often none."""


class RefusalKeeper(Protocol):
    """Keeps what was refused."""

    def identify(self, batch: Batch, rejections: Sequence[Rejection]) -> list[Rejection]:
        """Return the rejections; those that are to be kept bear their ``quarantine_id``."""

    def seal(self, batch: Batch, rejections: Sequence[Rejection]) -> bytes:
        """Return identified rejections as one record of the spool."""


class NoContracts:
    """The check of an installation that has no contracts: every event keeps them."""

    def entry_terms(self, events: Sequence[Event]) -> Mapping[str, EntryTerms]:
        """Return no terms."""
        del events
        return {}

    def refusals(self, batch: Batch) -> Mapping[int, Refusal]:
        """Return no refusal."""
        del batch
        return {}


class NothingKept:
    """The keeper that keeps nothing: what is refused is named, and stays where it is."""

    def identify(self, batch: Batch, rejections: Sequence[Rejection]) -> list[Rejection]:
        """Return the rejections as they are."""
        del batch
        return list(rejections)

    def seal(self, batch: Batch, rejections: Sequence[Rejection]) -> bytes:
        """Return nothing; it is never asked, since nothing is identified."""
        del batch, rejections
        return b""


@dataclass(frozen=True, slots=True)
class Submission:
    """A request on its way to the disk."""

    receipt: Receipt
    fates: Sequence["Future[Any]"]

    def __await__(self) -> Generator[Any, None, Receipt]:
        """Return the receipt when everything it says is durable.

        Raises:
            UnavailableError: the disk refused it; nothing was accepted.
        """
        for fate in self.fates:
            yield from asyncio.wrap_future(fate).__await__()
        return self.receipt

    def wait(self) -> Receipt:
        """Block for what awaiting gives."""
        for fate in self.fates:
            fate.result()
        return self.receipt


def joined(first: Submission, second: Submission) -> Submission:
    """Return two submissions of one request as one."""
    one, other = first.receipt, second.receipt
    receipt = Receipt(
        one.accepted + other.accepted,
        one.deduplicated + other.deduplicated,
        one.quarantined + other.quarantined,
        (*one.rejections, *other.rejections),
    )
    return Submission(receipt, (*first.fates, *second.fates))


class Intake:
    """Takes batches from every door. Safe to share between threads."""

    def __init__(  # noqa: PLR0913 - the stages of the pipeline, each passed in
        self,
        *,
        contracts: ContractCheck,
        gate: EntryGate,
        redactor: Redactor,
        quarantine: RefusalKeeper,
        window: IdentityWindow,
        spool: Spool,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._contracts = contracts
        self._gate = gate
        self._redactor = redactor
        self._quarantine = quarantine
        self._window = window
        self._spool = spool
        self._clock = clock
        self._metrics = metrics

    def submit(self, batch: Batch, *, keep_refused: bool = True) -> Submission:
        """Send a batch through the stages; one refused event never holds up the others.

        Events are masked before their identities are asked for, so that an identity is that of
        what is stored, from which the window is read back at the next start.

        What is refused goes to the quarantine and is durable with the rest, unless it comes from
        there and ``keep_refused`` is off.

        Raises:
            UnavailableError: a stage cannot do its work now; nothing was accepted.
        """
        rejections = list(batch.rejections)
        events, indices = _without(
            batch.events, batch.indices, self._contracts.refusals(batch), rejections
        )
        events, indices = self._admitted(batch, events, indices, rejections)
        events, indices = _without(
            events, indices, self._redactor.redact_events(events, batch.source), rejections
        )
        claim = self._window.claim([event.identity for event in events])
        try:
            stored = [events[position] for position in claim.fresh]
            payload = encode_events(stored)
            rejections.sort(key=lambda one: one.index)
            refused = self._refused(batch, rejections) if rejections and keep_refused else None
        except BaseException as error:
            self._window.release(claim, _told_to_twins(error))
            raise
        named = refused.rejections if refused is not None else rejections
        quarantined = sum(one.quarantine_id is not None for one in named)
        receipt = Receipt(len(stored), claim.duplicates, quarantined, tuple(named))
        fates = self._kept(refused) if refused is not None else ()
        submission = self._spooled(
            "events", batch.door, claim, payload, receipt, source=batch.source
        )
        return Submission(receipt, (*submission.fates, *fates))

    def submit_otlp(
        self,
        signal: OtlpSignal,
        request: OtlpRequest,
        source: str = "",
        *,
        keep_refused: bool = True,
    ) -> Submission:
        """Send the records of a request through the stages, its journey events ahead of them.

        Should the records fail where their events did not, the sender repeats the request and the
        events are known already. ``keep_refused`` is about the records: an event that is refused
        while its record is stored is always kept.
        """
        events = self.submit(request.journeys) if request.journeys is not None else None
        claim = self._window.claim(request.identities)
        kept = request.fresh(claim.fresh)
        batch = request.refused if keep_refused else None
        try:
            content = request.content(kept) if kept else b""
            redacted = self._redactor.redact_otlp(signal, content, source) if kept else _NOTHING
            blocked = [
                Rejection(kept[position], None, refusal)
                for position, refusal in redacted.refusals.items()
            ]
            lost = [*batch.rejections, *blocked] if batch is not None else []
            refused = self._refused(batch, lost) if batch is not None and lost else None
        except BaseException as error:
            self._window.release(claim, _told_to_twins(error))
            raise
        if blocked:
            self._withdraw(claim, request, {one.index for one in blocked})
        named = {one.index: one for one in refused.rejections} if refused is not None else {}
        told = sorted((*request.rejections, *blocked), key=lambda one: one.index)
        rejections = tuple(named.get(one.index, one) for one in told)
        quarantined = sum(one.quarantine_id is not None for one in rejections)
        known, stored = len(request.indices) - len(kept), len(kept) - len(blocked)
        receipt = Receipt(stored, known, quarantined, rejections)
        fates = self._kept(refused) if refused is not None else ()
        payload = encode_otlp(redacted.content, request.digest)
        records = self._spooled(signal, "otlp", claim, payload, receipt, source=source)
        if events is None:
            return Submission(receipt, (*records.fates, *fates))
        whole = replace(
            receipt,
            quarantined=quarantined + events.receipt.quarantined,
            warnings=events.receipt.rejections,
        )
        return Submission(whole, (*records.fates, *fates, *events.fates))

    def submit_checks(self, results: Sequence[CheckResult]) -> Submission:
        """Send the results of a check through the stages; they are about no person."""
        claim = self._window.claim([result.identity for result in results])
        fresh = [results[position] for position in claim.fresh]
        receipt = Receipt(len(fresh), claim.duplicates, 0, ())
        return self._spooled(
            "checks", "synthetic", claim, encode_checks(fresh), receipt, source="synthetic"
        )

    def submit_vitals(self, door: str, vitals: Sequence[Vital], source: str) -> Submission:
        """Send web vitals through the stages: they are about a page, so no person's gate decides.

        Their texts are closed words and templated paths; the door leaves nothing to redact.
        """
        claim = self._window.claim([vital.identity for vital in vitals])
        payload = encode_vitals([vitals[position] for position in claim.fresh])
        receipt = Receipt(len(claim.fresh), claim.duplicates, 0, ())
        return self._spooled("vitals", door, claim, payload, receipt, source=source)

    def _withdraw(self, claim: Claim, request: OtlpRequest, blocked: set[int]) -> None:
        """Give up the identities whose records are all blocked: sent again, they are new."""
        gone = {one for one in claim.fresh if blocked.issuperset(request.fresh([one]))}
        self._window.withdraw(claim, gone)

    def _admitted(
        self,
        batch: Batch,
        events: Sequence[Event],
        indices: Sequence[int],
        rejections: list[Rejection],
    ) -> tuple[Sequence[Event], Sequence[int]]:
        """Return the events that may enter; those that may not with their person have lost it.

        Who is taken from an event is not linked by it either.
        """
        admission = self._gate.admit(events, self._contracts.entry_terms(events))
        if admission.stripped:
            places = {indices[position] for position in admission.stripped}
            batch.links = [link for link in batch.links if link[0] not in places]
            for position in admission.stripped:
                events[position].subject_key = events[position].subject_type = ""
        return _without(events, indices, admission.refusals, rejections)

    def _refused(self, batch: Batch, rejections: Sequence[Rejection]) -> "_Refused":
        """Return what is to be kept of the refused events; what is kept already is not sealed."""
        named = self._quarantine.identify(batch, rejections)
        kept = [one for one in named if one.quarantine_id is not None]
        claim = self._window.claim([f"{_REFUSED}:{one.quarantine_id}" for one in kept])
        fresh = [kept[position] for position in claim.fresh]
        try:
            payload = self._quarantine.seal(batch, fresh) if fresh else b""
        except BaseException as error:
            self._window.release(claim, _told_to_twins(error))
            raise
        return _Refused(batch.door, batch.source, named, fresh, claim, payload)

    def _kept(self, refused: "_Refused") -> "Sequence[Future[Any]]":
        """Put refused events on their way to the disk."""
        count = len(refused.fresh)

        def settle(write: "Future[str]") -> None:
            error = write.exception()
            if error is not None:
                self._window.release(refused.claim, error)
                return
            self._window.remember(refused.claim, self._clock())
            for one in refused.fresh:
                self._metrics.events_quarantined.labels(refused.door, one.refusal.code).inc()

        if count:
            write = self._spool.submit("quarantine", refused.payload, count, refused.source)
            write.add_done_callback(settle)
        else:
            self._window.remember(refused.claim, self._clock())
        return (refused.claim.fate, *refused.claim.earlier)

    def _spooled(  # noqa: PLR0913 - what is stored, where from, and what it is answered with
        self,
        signal: Signal,
        door: str,
        claim: Claim,
        payload: bytes,
        receipt: Receipt,
        *,
        source: str,
    ) -> Submission:
        """Put what is new on its way to the disk; once there, its identities are remembered."""

        def settle(write: "Future[str]") -> None:
            error = write.exception()
            if error is not None:
                self._window.release(claim, error)
                return
            self._window.remember(claim, self._clock())
            self._count(door, source, receipt)

        if receipt.accepted:
            write = self._spool.submit(signal, payload, receipt.accepted, source)
            write.add_done_callback(settle)
        else:
            self._window.remember(claim, self._clock())
            self._count(door, source, receipt)
        return Submission(receipt, (claim.fate, *claim.earlier))

    def _count(self, door: str, source: str, receipt: Receipt) -> None:
        label = self._metrics.sources.label(source)
        of_source = self._metrics.sources.events
        self._metrics.events_accepted.labels(door).inc(receipt.accepted)
        self._metrics.events_deduplicated.labels(door).inc(receipt.deduplicated)
        of_source.labels(label, "accepted").inc(receipt.accepted)
        of_source.labels(label, "deduplicated").inc(receipt.deduplicated)
        for rejection in receipt.rejections:
            self._metrics.events_rejected.labels(door, rejection.refusal.code).inc()
            of_source.labels(label, rejection.refusal.code).inc()


@dataclass(frozen=True, slots=True)
class _Refused:
    """The refused events of a batch: all with their names, and the new ones sealed."""

    door: str
    source: str
    rejections: list[Rejection]
    fresh: list[Rejection]
    claim: Claim
    payload: bytes


def _told_to_twins(error: BaseException) -> CandorError:
    """Return why a claim was given up, for whoever waits for its fate: never a foreign text."""
    if isinstance(error, CandorError):
        return error
    return UnavailableError("A stage failed on another delivery of this event. Send it again.")


def _without(
    events: Sequence[Event],
    indices: Sequence[int],
    refusals: Mapping[int, Refusal],
    rejections: list[Rejection],
) -> tuple[Sequence[Event], Sequence[int]]:
    """Return the events that are not refused, with their places; the others join ``rejections``."""
    if not refusals:
        return events, indices
    kept = [position for position in range(len(events)) if position not in refusals]
    rejections += (
        Rejection(indices[position], events[position].id, refusal)
        for position, refusal in refusals.items()
    )
    return [events[position] for position in kept], [indices[position] for position in kept]
