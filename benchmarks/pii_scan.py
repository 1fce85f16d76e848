"""Personal data: equality with Presidio, and what finding it costs beside Presidio itself.

Prints the findings that differ from stock Presidio's on fuzzed texts and on telemetry, at several
thresholds and choices of entities (``TEXTS`` texts altogether, 56,000 by default; the first
argument changes it), the ratio of the costs on clean telemetry without and with memory (which knows
other events of the same kind), the share of clean events with a finding under the default policy,
what the redactor costs an event, how much of what was put in is found, and what processes of their
own add to it. These share the machine's cores with whoever sends, and with all else that runs: on
two cores, two of them cannot double what one thread does.

All costs are CPU time of this process; both sides judge the same leaves with the same entities,
threshold and context.
"""

import copy
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import create_engine

sys.path.insert(0, str(Path(__file__).parent.parent))

from candor.kernel.clock import utc_now
from candor.kernel.field_ports import NoMarks
from candor.kernel.metrics import new_metrics
from candor.kernel.settings import NameModelSettings
from collector.event import Event
from privacy.pii.detection import Detector
from privacy.pii.detectors import DetectorPool
from privacy.pii.examination import Examiner, LocalExaminer
from privacy.pii.guard import Guard, Marks, make_guard
from privacy.pii.ledger import FindingLedger
from privacy.pii.policy import DEFAULT_ENTITIES, Policy
from privacy.pii.recognition import TokenEngine, every_recognizer
from privacy.pii.redactor import PolicyRedactor
from privacy.pii.scanning import Circumstances, Scanner
from privacy.pii.transform import Transformer
from privacy.pii.workers import Equipment, Workers
from tests.support.telemetry_corpus import (
    STRUCTURED,
    clean_event,
    clean_events,
    fuzzed_text,
    personal_value,
)

TEXTS = 56_000
TELEMETRY = 0.3
STOCK_LEAVES = 3_000
EVENTS = 20_000
PEOPLE = 2_000
BATCH = 100
NAMES = ("", "phone", "order_number", "email", "card", "shipping", "tin", "social", "x", "bank")
KEYS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "US_SSN": "ssn",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "MAC_ADDRESS": "mac",
    "US_ITIN": "tax_id",
}
WIDER = (*DEFAULT_ENTITIES, "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_PASSPORT", "DATE_TIME")
CHOICES: tuple[tuple[tuple[str, ...], float], ...] = (
    (DEFAULT_ENTITIES, 0.5),
    (DEFAULT_ENTITIES, 0.4),
    (DEFAULT_ENTITIES, 0.0),
    ((*WIDER, "UUID", "URL"), 0.6),
    ((*WIDER, "UUID", "URL"), 0.0),
    ((), 0.5),
    ((), 0.0),
)


def main() -> None:
    """Run every part and print its numbers."""
    texts = int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS
    started = time.process_time()
    engine, recognizers = TokenEngine(), every_recognizer()
    print(f"start: {time.process_time() - started:.2f} s CPU, {len(recognizers)} recognizers")

    def detector(entities: tuple[str, ...], threshold: float, memory: int = 0) -> Detector:
        wanted = set(entities)
        chosen = [one for one in recognizers if not wanted or wanted & {*one.supported_entities}]
        return Detector(engine, chosen, threshold, memory=memory)

    equality(detector, texts // len(CHOICES))
    speed(detector)
    quality()
    workers()


def equality(detector: Callable[[tuple[str, ...], float], Detector], texts: int) -> None:
    """Print how many texts have other findings than stock Presidio's."""
    source = random.Random(2026)
    total = differing = 0
    for entities, threshold in CHOICES:
        chosen = detector(entities, threshold)
        for _ in range(texts):
            text, name = fuzzed_text(source), source.choice(NAMES)
            if source.random() < TELEMETRY:
                name, text = source.choice(list(leaves(clean_event(source))))
            context = (name,) if name else ()
            mine, stock = chosen.detect(text, context), chosen.stock(text, context)
            differing += [one[:4] for one in mine] != [one[:4] for one in stock]
            total += 1
    print(f"equality: {differing} of {total} texts differ from stock Presidio")


def speed(detector: Callable[..., Detector]) -> None:
    """Print what a leaf costs, with and without memory, and the ratio to stock Presidio."""
    every = [list(leaves(event)) for event in clean_events(EVENTS // 10)]
    flat = [leaf for event in every for leaf in event]
    for entities, threshold in (CHOICES[0], CHOICES[3]):
        plain = detector(entities, threshold)
        stock = per_leaf(plain.stock, flat[:STOCK_LEAVES])
        cold = per_leaf(plain.detect, flat)
        kept = detector(entities, threshold, memory=200_000)
        per_leaf(kept.detect, flat[: len(flat) // 2])
        warm = per_leaf(kept.detect, flat[len(flat) // 2 :])
        told = f"{len(entities)} entities at {threshold}"
        print(f"{told}: stock {stock:.0f} us a leaf, {len(flat) / len(every):.1f} leaves an event")
        print(f"{told}: without memory {cold:.1f} us, ratio {stock / cold:.0f} (budget >= 30)")
        print(f"{told}: with memory {warm:.2f} us, ratio {stock / warm:.0f} (budget >= 60)")


def quality() -> None:
    """Print what the default policy flags of clean events, and finds of what was put in."""
    pool = DetectorPool(None, None, 50_000)
    policy = Policy()
    scanner = Scanner(pool.detector(policy), policy, Transformer(bytes(32)), memory=50_000)
    about = Circumstances()
    flagged = sum(bool(scanner.scan(one, about).findings) for one in clean_events(EVENTS, seed=3))
    print(f"clean events flagged: {flagged / EVENTS:.4%} of {EVENTS} (budget <= 0.5 %)")
    print(f"redactor: {redactor_cost(pool, scanner):.1f} us CPU an event, in batches of {BATCH}")
    source = random.Random(5)
    for told in ("descriptive", "meaningless"):
        found = 0
        for n in range(PEOPLE):
            entity = STRUCTURED[n % len(STRUCTURED)]
            value = personal_value(entity, source)
            key = KEYS[entity] if told == "descriptive" else "v1"
            payload = clean_event(source) | {key: value}
            found += value not in str(scanner.scan(payload, about).payload)
        print(f"recall under {told} keys: {found / PEOPLE:.2%} (budget >= 99 %)")


def redactor_cost(pool: DetectorPool, scanner: Scanner) -> float:
    """Return what the redactor costs an event whose attributes are clean telemetry."""
    guard = Guard(scanner.policy, pool.detector(scanner.policy), scanner)
    metrics = new_metrics().pii
    ledger = FindingLedger(create_engine("sqlite://"), utc_now, metrics)
    redactor = PolicyRedactor(LocalExaminer(lambda: guard), Marks(NoMarks()), ledger, metrics)
    batches = event_batches(EVENTS // 5, seed=9)
    redactor.redact_events(batches[0])
    started = time.process_time()
    for batch in batches[1:]:
        redactor.redact_events(batch)
    return (time.process_time() - started) / (len(batches) - 1) / BATCH * 1e6


def workers() -> None:
    """Print what the redactor takes in through threads, with processes of its own and without."""
    batches = event_batches(EVENTS, seed=11)
    policy, base = Policy(), 0.0
    for count in (0, 1, 2):
        with examiner(count, policy) as chosen, ThreadPoolExecutor(max(1, 2 * count)) as threads:
            metrics = new_metrics().pii
            ledger = FindingLedger(create_engine("sqlite://"), utc_now, metrics)
            redactor = PolicyRedactor(chosen, Marks(NoMarks()), ledger, metrics)
            list(threads.map(redactor.redact_events, copy.deepcopy(batches[: len(batches) // 4])))
            sent = copy.deepcopy(batches)
            began, own, others = time.perf_counter(), time.process_time(), children_cpu()
            list(threads.map(redactor.redact_events, sent))
            took = (time.perf_counter() - began) / EVENTS * 1e6
            own, others = time.process_time() - own, children_cpu() - others
        base = base or took
        print(
            f"{count} workers: {1e6 / took:.0f} events/s by the clock, ratio {base / took:.2f};"
            f" CPU us an event: server {own / EVENTS * 1e6:.1f},"
            f" workers {others / EVENTS * 1e6:.1f}"
        )


@contextmanager
def examiner(count: int, policy: Policy) -> Iterator[Examiner]:
    """Give what examines batches, in processes of its own if there are to be any."""
    if not count:
        pool, transformer = DetectorPool(None, None, 50_000), Transformer(bytes(32))
        guard = make_guard(policy, pool, transformer, model=None, memory=50_000)
        yield LocalExaminer(lambda: guard)
        return
    equipment = Equipment(
        bytes(32),
        has_vault=False,
        cache_dir=None,
        recognizers=None,
        memory=50_000,
        ner=NameModelSettings(),
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


def event_batches(count: int, seed: int) -> list[list[Event]]:
    """Return full batches of clean events."""
    now = utc_now()
    made = [
        Event(
            f"e-{n}",
            "native",
            "paid",
            "",
            now,
            now,
            attributes={key: msgspec.Raw(msgspec.json.encode(one)) for key, one in told.items()},
        )
        for n, told in enumerate(clean_events(count, seed=seed))
    ]
    return [made[n : n + BATCH] for n in range(0, count, BATCH)]


def per_leaf(
    judge: Callable[[str, tuple[str, ...]], object], given: list[tuple[str, str]]
) -> float:
    """Return the CPU time of a leaf in microseconds."""
    started = time.process_time()
    for name, text in given:
        judge(text, (name,))
    return (time.process_time() - started) / len(given) * 1e6


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any JSON
    """Yield the leaves of a payload as texts, with the names of their fields."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, name)
    else:
        yield name, str(value)


if __name__ == "__main__":
    main()
