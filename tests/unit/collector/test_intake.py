from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from candor.kernel.errors import UnavailableError
from candor.kernel.metrics import new_metrics
from candor.kernel.ports import GatedEvent, NoRedaction, OpenGate, Refusal, StorableEvent
from candor.kernel.settings import SpoolSettings
from collector.dedupe import IdentityWindow
from collector.event import Batch, Event
from collector.intake import Intake, NoContracts, NothingKept
from collector.segment import read_records
from collector.spool import Spool
from tests.support.stores import NOON, FixedClock

DENIED = Refusal("consent_denied", "The person does not allow it.")
BLOCKED = Refusal("pii_blocked", "It holds what may not be stored.", "attributes.note")


class GateAgainst:
    """Refuses events of one name."""

    def refusals(self, events: Sequence[GatedEvent]) -> Mapping[int, Refusal]:
        return {n: DENIED for n, event in enumerate(events) if event.name == "denied"}


class MaskingRedactor(NoRedaction):
    """Masks every note, and blocks events of one name."""

    def redact_events(self, events: Sequence[StorableEvent]) -> Mapping[int, Refusal]:
        for event in events:
            if "note" in event.attributes:
                event.attributes = {"note": msgspec.Raw(b'"***"')}
        return {n: BLOCKED for n, event in enumerate(events) if event.name == "blocked"}


class FailingRedactor(NoRedaction):
    """Cannot do its work."""

    def redact_events(self, _: Sequence[StorableEvent]) -> Mapping[int, Refusal]:
        raise UnavailableError("The policies cannot be read.")


def event(name: str, number: int = 1) -> Event:
    return Event(
        f"{name}-{number}", "native", name, "", NOON, NOON, attributes={"note": msgspec.Raw(b'"s"')}
    )


def batch(*events: Event) -> Batch:
    return Batch("native", list(events), range(len(events)))


@contextmanager
def intake(folder: Path, gate: OpenGate | GateAgainst, redactor: NoRedaction) -> Iterator[Intake]:
    settings = SpoolSettings.model_validate({"segment_age": "PT1H", "min_free_disk_bytes": 0})
    metrics = new_metrics()
    spool = Spool(folder, settings, FixedClock(), metrics)
    with spool.running():
        yield Intake(
            contracts=NoContracts(),
            gate=gate,
            redactor=redactor,
            quarantine=NothingKept(),
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


def test_a_batch_of_duplicates_alone_writes_nothing(tmp_path: Path) -> None:
    with intake(tmp_path, OpenGate(), NoRedaction()) as door:
        door.submit(batch(event("fine"))).wait()
        before = stored(tmp_path)
        receipt = door.submit(batch(event("fine"))).wait()
        assert (receipt.accepted, receipt.deduplicated) == (0, 1)
        assert stored(tmp_path) == before
