import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from candor.kernel.errors import UnavailableError
from candor.kernel.metrics import new_metrics
from candor.kernel.ports import (
    Admission,
    EntryTerms,
    GatedEvent,
    NoRedaction,
    OpenGate,
    Refusal,
    StorableEvent,
)
from candor.kernel.settings import SpoolSettings
from collector.dedupe import IdentityWindow
from collector.event import Batch, Event, Rejection
from collector.intake import ContractCheck, Intake, NoContracts, NothingKept
from collector.segment import read_records
from collector.spool import Spool
from tests.support.stores import NOON, FixedClock

DENIED = Refusal("consent_denied", "The person does not allow it.")
BROKEN = Refusal("schema_violation", "This field is required.", "attributes.plan")
BLOCKED = Refusal("pii_blocked", "It holds what may not be stored.", "attributes.note")


class GateAgainst:
    """Refuses events of one name."""

    def admit(self, events: Sequence[GatedEvent], _: Mapping[str, EntryTerms]) -> Admission:
        return Admission({n: DENIED for n, event in enumerate(events) if event.name == "denied"})


class MaskingRedactor(NoRedaction):
    """Masks every note, and blocks events of one name."""

    def redact_events(
        self, events: Sequence[StorableEvent], source: str = ""
    ) -> Mapping[int, Refusal]:
        del source
        for event in events:
            if "note" in event.attributes:
                event.attributes = {"note": msgspec.Raw(b'"***"')}
        return {n: BLOCKED for n, event in enumerate(events) if event.name == "blocked"}


class FailingRedactor(NoRedaction):
    """Cannot do its work."""

    def redact_events(self, _: Sequence[StorableEvent], source: str = "") -> Mapping[int, Refusal]:
        del source
        raise UnavailableError("The policies cannot be read.")


class BreakingRedactor(NoRedaction):
    """Breaks in a way that nobody foresaw, with a text that must not be told."""

    def redact_events(self, _: Sequence[StorableEvent], source: str = "") -> Mapping[int, Refusal]:
        del source
        raise ValueError("cannot mask customer-1@example.org")


class Keeper:
    """Keeps everything that was refused, in clear, and may be out of order."""

    def __init__(self) -> None:
        self.is_out_of_order = False

    def identify(self, _: Batch, rejections: Sequence[Rejection]) -> list[Rejection]:
        return [replace(one, quarantine_id=f"q-{one.id}") for one in rejections]

    def seal(self, _: Batch, rejections: Sequence[Rejection]) -> bytes:
        if self.is_out_of_order:
            raise UnavailableError("There is no key.")
        return b"".join(f"[{one.quarantine_id}]".encode() for one in rejections)


class OneBroken(NoContracts):
    """Contracts that events of one name break."""

    def refusals(self, batch: Batch) -> Mapping[int, Refusal]:
        return {n: BROKEN for n, event in enumerate(batch.events) if event.name == "broken"}


def event(name: str, number: int = 1) -> Event:
    return Event(
        f"{name}-{number}", "native", name, "", NOON, NOON, attributes={"note": msgspec.Raw(b'"s"')}
    )


def batch(*events: Event) -> Batch:
    return Batch("native", list(events), range(len(events)))


@contextmanager
def intake(  # noqa: PLR0913, PLR0917 - whatever a test wants to be different
    folder: Path,
    gate: OpenGate | GateAgainst,
    redactor: NoRedaction,
    keeper: Keeper | NothingKept | None = None,
    contracts: ContractCheck | None = None,
    sync: Callable[[int], None] = os.fdatasync,
) -> Iterator[Intake]:
    settings = SpoolSettings.model_validate({"segment_age": "PT1H", "min_free_disk_bytes": 0})
    metrics = new_metrics()
    spool = Spool(folder, settings, FixedClock(), metrics, sync)
    with spool.running():
        yield Intake(
            contracts=contracts or NoContracts(),
            gate=gate,
            redactor=redactor,
            quarantine=keeper or NothingKept(),
            window=IdentityWindow(timedelta(hours=1)),
            spool=spool,
            clock=FixedClock(),
            metrics=metrics,
        )


def stored(folder: Path) -> bytes:
    return b"".join(record.payload for path in folder.iterdir() for record in read_records(path))


def test_refusals_of_gate_and_redactor_name_their_place_in_the_request(tmp_path: Path) -> None:
    with intake(tmp_path, GateAgainst(), MaskingRedactor()) as door:
        receipt = door.submit(
            batch(event("denied"), event("fine"), event("blocked"), event("fine", 2))
        ).wait()
    assert (receipt.accepted, receipt.deduplicated) == (2, 0)
    assert [(one.index, one.id, one.refusal) for one in receipt.rejections] == [
        (0, "denied-1", DENIED),
        (2, "blocked-1", BLOCKED),
    ]


def test_what_is_masked_never_reaches_the_disk(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), MaskingRedactor()) as door:
        door.submit(batch(event("fine"))).wait()
    assert b'"***"' in stored(tmp_path)
    assert b'"s"' not in stored(tmp_path)


def test_a_refused_event_may_come_again(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), MaskingRedactor()) as door:
        for _ in range(2):
            receipt = door.submit(batch(event("blocked"))).wait()
            assert (receipt.accepted, len(receipt.rejections)) == (0, 1)


def test_a_redactor_that_fails_stores_nothing_and_frees_the_identities(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), FailingRedactor()) as door:
        for _ in range(2):
            with pytest.raises(UnavailableError):
                door.submit(batch(event("fine")))
    assert stored(tmp_path) == b""


def test_a_stage_that_breaks_frees_the_identities_and_tells_no_text_of_it(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), BreakingRedactor()) as door:
        for _ in range(2):
            with pytest.raises(ValueError, match="cannot mask"):
                door.submit(batch(event("fine")))
    assert stored(tmp_path) == b""


def test_nobody_who_waits_for_a_write_can_call_it_off_for_the_others() -> None:
    claim = IdentityWindow(timedelta(hours=1)).claim(["a"])
    assert not claim.fate.cancel()


def test_a_batch_of_duplicates_alone_writes_nothing(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), NoRedaction()) as door:
        door.submit(batch(event("fine"))).wait()
        before = stored(tmp_path)
        receipt = door.submit(batch(event("fine"))).wait()
        assert (receipt.accepted, receipt.deduplicated) == (0, 1)
        assert stored(tmp_path) == before


def test_what_any_stage_refuses_is_on_the_disk_before_the_answer_leaves(tmp_path: Path) -> None:
    with intake(tmp_path, GateAgainst(), MaskingRedactor(), Keeper(), OneBroken()) as door:
        sent = batch(event("blocked"), event("denied"), event("broken"), event("fine"))
        sent.rejections.append(Rejection(4, "lost", Refusal("malformed", "It is no JSON.")))
        receipt = door.submit(sent).wait()
        assert b"[q-blocked-1][q-denied-1][q-broken-1][q-lost]" in stored(tmp_path)
    assert (receipt.accepted, receipt.quarantined) == (1, 4)
    assert [one.index for one in receipt.rejections] == [0, 1, 2, 4]


def test_what_is_kept_already_is_named_again_and_not_written_again(tmp_path: Path) -> None:
    with intake(tmp_path, GateAgainst(), NoRedaction(), Keeper()) as door:
        first, second = (door.submit(batch(event("denied"))).wait() for _ in range(2))
    assert first == second
    assert stored(tmp_path).count(b"[q-denied-1]") == 1


def test_what_comes_from_the_quarantine_is_not_kept_a_second_time(tmp_path: Path) -> None:
    with intake(tmp_path, GateAgainst(), NoRedaction(), Keeper()) as door:
        receipt = door.submit(batch(event("denied")), keep_refused=False).wait()
    assert (receipt.quarantined, receipt.rejections[0].quarantine_id) == (0, None)
    assert stored(tmp_path) == b""


def test_a_keeper_that_fails_stores_nothing_and_frees_all_identities(tmp_path: Path) -> None:
    keeper = Keeper()
    with intake(tmp_path, GateAgainst(), NoRedaction(), keeper) as door:
        keeper.is_out_of_order = True
        with pytest.raises(UnavailableError):
            door.submit(batch(event("fine"), event("denied")))
        assert stored(tmp_path) == b""
        keeper.is_out_of_order = False
        receipt = door.submit(batch(event("fine"), event("denied"))).wait()
    assert (receipt.accepted, receipt.quarantined) == (1, 1)
    assert b"[q-denied-1]" in stored(tmp_path)


def test_a_refused_event_that_the_disk_does_not_take_may_come_again(tmp_path: Path) -> None:
    failures = [OSError(5, "the disk")]

    def sync(descriptor: int) -> None:
        if failures:
            raise failures.pop()
        os.fdatasync(descriptor)

    with intake(tmp_path, GateAgainst(), NoRedaction(), Keeper(), sync=sync) as door:
        with pytest.raises(UnavailableError):
            door.submit(batch(event("denied"))).wait()
        door.submit(batch(event("denied"))).wait()
        assert b"[q-denied-1]" in stored(tmp_path)
