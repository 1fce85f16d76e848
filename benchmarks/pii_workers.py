"""Processes that examine: what they add, for what costs little to look at and for what costs much.

Takes batches of ``BATCH`` events through the redactor with 0, 1 and 2 processes of their own:
clean telemetry; notes of free text, which a small spaCy model reads for names; and events with five
identifiers. Prints events a second by the clock, their ratio to none, the CPU time of an event in
the server and in the processes, and the ratio that follows from it where each process has a core.

Every round takes new events, the same for all three, in turns; what is printed is the median of
``ROUNDS`` rounds. The processes share the cores with whoever sends, and with all else that runs: on
two cores, two of them cannot double what one thread does.
"""

import copy
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import create_engine

sys.path.insert(0, str(Path(__file__).parent.parent))

from candor.kernel.clock import utc_now
from candor.kernel.field_ports import NoMarks
from candor.kernel.metrics import new_metrics
from candor.kernel.pii_settings import NameModelSettings
from collector.event import Event
from privacy.pii.detectors import DetectorPool
from privacy.pii.examination import Examiner, LocalExaminer
from privacy.pii.guard import Marks, make_guard
from privacy.pii.ledger import FindingLedger
from privacy.pii.namemodel import open_model
from privacy.pii.policy import Policy
from privacy.pii.redactor import PolicyRedactor
from privacy.pii.transform import Transformer
from privacy.pii.workers import Equipment, Workers
from tests.support.names import SENTENCES, trained_pipeline
from tests.support.telemetry_corpus import clean_event, personal_value

COUNTS = (0, 1, 2)
ROUNDS, BATCH, MEMORY = 5, 50, 50_000
SENTENCES_A_NOTE = 8
IDENTIFIERS = {
    "email": "EMAIL_ADDRESS",
    "phone": "PHONE_NUMBER",
    "card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "ssn": "US_SSN",
}
Payload = Mapping[str, Any]


class Load(NamedTuple):
    """What is sent: how many events a round, and how one is made."""

    title: str
    events: int
    make: Callable[[random.Random], Payload]
    has_model: bool = False


class Cost(NamedTuple):
    """What a round cost an event, in microseconds: by the clock, and of CPU time."""

    took: float
    server: float
    workers: float


def noted(source: random.Random) -> Payload:
    """Return an event with a note of free text; a number in each sentence keeps it new."""
    said = source.choices(SENTENCES, k=SENTENCES_A_NOTE)
    note = ". ".join(f"{text} {source.randrange(10**5)} times" for text, _ in said)
    return {"plan": "gold", "note": note}


def identified(source: random.Random) -> Payload:
    """Return an event of telemetry with five identifiers."""
    found = {key: personal_value(entity, source) for key, entity in IDENTIFIERS.items()}
    return clean_event(source) | found


LOADS = (
    Load("clean telemetry", 4_000, clean_event),
    Load("free text and a model of names", 400, noted, has_model=True),
    Load("five identifiers an event", 600, identified),
)


def main() -> None:
    """Print what processes add for each load."""
    with tempfile.TemporaryDirectory() as folder:
        model = trained_pipeline(Path(folder) / "names")
        for load in LOADS:
            named = NameModelSettings(engine="spacy", model=model)
            show(load, named if load.has_model else NameModelSettings())


def show(load: Load, ner: NameModelSettings) -> None:
    """Print what processes add for one load."""
    costs: dict[int, list[Cost]] = {count: [] for count in COUNTS}
    with ExitStack() as stack:
        redactors = {count: stack.enter_context(redactor(count, ner)) for count in COUNTS}
        for number in range(ROUNDS + 1):
            sent = batches(load, number)
            for count in COUNTS if number % 2 else reversed(COUNTS):
                costs[count].append(cost_of(redactors[count], count, sent))
    print(f"{load.title}, {ROUNDS} rounds of {load.events} events:")
    alone = statistics.median(one.server for one in costs[0][1:])
    none = [one.took for one in costs[0][1:]]  # the first round warms up
    for count, all_of_it in costs.items():
        took, server, workers = map(statistics.median, zip(*all_of_it[1:], strict=True))
        ratios = [base / one.took for base, one in zip(none, all_of_it[1:], strict=True)]
        print(
            f"  {count} workers: {1e6 / took:.0f} events/s by the clock,"
            f" ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f});"
            f" CPU us an event: server {server:.1f}, workers {workers:.1f},"
            f" with a core each ratio {alone / max(server, workers / max(1, count)):.2f}"
        )


def batches(load: Load, number: int) -> list[list[Event]]:
    """Return the events of a round, as a door hands them on."""
    source, now = random.Random(number), utc_now()
    events = [
        Event(
            f"event-{number}-{n}",
            "native",
            "event",
            "",
            now,
            now,
            attributes={
                key: msgspec.Raw(msgspec.json.encode(value))
                for key, value in load.make(source).items()
            },
        )
        for n in range(load.events)
    ]
    return [events[n : n + BATCH] for n in range(0, load.events, BATCH)]


def cost_of(chosen: PolicyRedactor, count: int, sent: Sequence[Sequence[Event]]) -> Cost:
    """Return what it costs to take batches in through as many threads as keep all busy."""
    given = copy.deepcopy(sent)
    events = sum(map(len, given))
    with ThreadPoolExecutor(max(1, 2 * count)) as threads:
        began, own, others = time.perf_counter(), time.process_time(), children_cpu()
        list(threads.map(chosen.redact_events, given))
        took = time.perf_counter() - began
        own, others = time.process_time() - own, children_cpu() - others
    return Cost(*(seconds / events * 1e6 for seconds in (took, own, others)))


@contextmanager
def redactor(count: int, ner: NameModelSettings) -> Iterator[PolicyRedactor]:
    """Give a redactor that counts what it finds, but writes it nowhere."""
    metrics = new_metrics().pii
    ledger = FindingLedger(create_engine("sqlite://"), utc_now, metrics)
    with examiner(count, ner) as chosen:
        yield PolicyRedactor(chosen, Marks(NoMarks()), ledger, metrics)


@contextmanager
def examiner(count: int, ner: NameModelSettings) -> Iterator[Examiner]:
    """Give what examines batches, in processes of its own if there are to be any."""
    policy = Policy()
    if not count:
        model = open_model(ner)
        pool, transformer = DetectorPool(None, None, MEMORY), Transformer(bytes(32))
        guard = make_guard(policy, pool, transformer, model=model, memory=MEMORY)
        yield LocalExaminer(lambda: guard)
        return
    equipment = Equipment(
        bytes(32), has_vault=False, cache_dir=None, recognizers=None, memory=MEMORY, ner=ner
    )
    crew = Workers(count, equipment, lambda: policy)
    crew.prepare()
    yield crew
    crew.close()


def children_cpu() -> float:
    """Return the CPU time of all processes that this one has running, in seconds."""
    stats = [Path(f"/proc/{one.pid}/stat").read_text() for one in active_children()]
    ticks = [stat.rpartition(")")[2].split()[11:13] for stat in stats]
    return sum(int(one) for pair in ticks for one in pair) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
