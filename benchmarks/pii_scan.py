"""Personal data: equality with Presidio, and what finding it costs beside Presidio itself.

Prints the findings that differ from stock Presidio's on fuzzed texts and on telemetry, at several
thresholds and choices of entities (``TEXTS`` texts altogether, 56,000 by default, in two processes;
the first argument changes it); the ratio of the costs on clean telemetry, and what the redactor
costs an event; the share of clean events with a finding under the default policy; and how much of
what was put in is found.

Costs are CPU time of this process. Both sides judge the same events with the same entities and
threshold, in turns of a few events, so that whatever else the machine does slows both; a ratio is
the median of ``ROUNDS`` rounds. What remembers has seen other events of the same kind before.
"""

import multiprocessing
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from presidio_analyzer import EntityRecognizer
from sqlalchemy import create_engine

sys.path.insert(0, str(Path(__file__).parent.parent))

from candor.kernel.clock import utc_now
from candor.kernel.field_ports import ContractMarks, NoMarks
from candor.kernel.metrics import new_metrics
from collector.event import Event
from privacy.pii.detection import Detector
from privacy.pii.detectors import DetectorPool
from privacy.pii.examination import LocalExaminer
from privacy.pii.finding import field_of
from privacy.pii.guard import Guard, Marks
from privacy.pii.ledger import FindingLedger
from privacy.pii.policy import DEFAULT_ENTITIES, Policy
from privacy.pii.recognition import TokenEngine, every_recognizer
from privacy.pii.redactor import PolicyRedactor
from privacy.pii.scanning import Circumstances, Scanner
from privacy.pii.transform import Transformer
from tests.support.telemetry_corpus import (
    STRUCTURED,
    clean_event,
    clean_events,
    fuzzed_text,
    personal_value,
)

TEXTS, TEXTS_AT_ONCE, PROCESSES = 56_000, 500, 2
TELEMETRY = 0.3
ROUNDS, TURNS, STOCK_EVENTS = 5, 5, 4
EVENTS = 100_000
PEOPLE = 4_000
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
MARKED = (
    *("id", "time", "trace", "span", "session", "commit", "started", "finished_ms", "agent"),
    *("plan", "country", "currency", "app_version", "duration", "rows", "route"),
)
"""What a contract calls an id, an instant, a number or one of few values."""
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


Payload = Mapping[str, Any]
Cost = Callable[[Sequence[Payload]], float]
"""Tells the CPU time of an event in microseconds, without what it takes to make the events."""


class Contract:
    """Says of some fields that they hold nothing personal."""

    def __init__(self) -> None:
        self._marks = {f"/attributes/{key}": {"class": "skip"} for key in MARKED}

    def marks(self, schema: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the marks of any schema."""
        del schema
        return self._marks


def main() -> None:
    """Run every part and print its numbers."""
    texts = int(sys.argv[1]) if len(sys.argv) > 1 else TEXTS
    started = time.process_time()
    _, recognizers = loaded()
    print(f"start: {time.process_time() - started:.2f} s CPU, {len(recognizers)} recognizers")
    speed()
    quality()
    equality(texts)


@cache
def loaded() -> tuple[TokenEngine, list[EntityRecognizer]]:
    """Return Presidio, once for each process."""
    return TokenEngine(), every_recognizer()


def detector(entities: tuple[str, ...], threshold: float, memory: int = 0) -> Detector:
    """Return what finds some entities, all of them if none is named."""
    engine, recognizers = loaded()
    wanted = set(entities)
    chosen = [one for one in recognizers if not wanted or wanted & {*one.supported_entities}]
    return Detector(engine, chosen, threshold, memory=memory)


def equality(texts: int) -> None:
    """Print how many texts have other findings than stock Presidio's, and the first of them."""
    parts = max(1, texts // len(CHOICES) // TEXTS_AT_ONCE)
    each = texts // len(CHOICES) // parts
    differing: list[str] = []
    total = 0
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=spawning) as pool:
        asked = [
            pool.submit(unequal, number, part, each)
            for number in range(len(CHOICES))
            for part in range(parts)
        ]
        for one in as_completed(asked):
            differing += one.result()
            total += each
            if sys.stderr.isatty():
                print(f"\r{total} of {texts} texts compared", end="", file=sys.stderr, flush=True)
    print(f"equality: {len(differing)} of {total} texts differ from stock Presidio")
    for told in differing[:10]:
        print(told)


def unequal(number: int, part: int, texts: int) -> list[str]:
    """Return the texts of a part whose findings differ from stock Presidio's."""
    chosen = chosen_detector(number)
    source = random.Random(f"{number} {part}")
    differing = []
    for _ in range(texts):
        text, name = fuzzed_text(source), source.choice(NAMES)
        if source.random() < TELEMETRY:
            name, text = source.choice(list(leaves(clean_event(source))))
        context = (name,) if name else ()
        mine, stock = chosen.detect(text, context), chosen.stock(text, context)
        if [one[:4] for one in mine] != [one[:4] for one in stock]:
            differing.append(f"choice {number}: {text!r} under {name!r}")
    return differing


@cache
def chosen_detector(number: int) -> Detector:
    """Return the detector of a choice, made once for each process."""
    return detector(*CHOICES[number])


def speed() -> None:
    """Print what a clean event costs, and the ratios to stock Presidio."""
    entities, threshold = CHOICES[0]
    plain = detector(entities, threshold)
    kept = detector(entities, threshold, memory=200_000)
    stock = leaf_by_leaf(plain.stock)
    costs = {
        "detector, leaf by leaf, remembering nothing (budget >= 30)": leaf_by_leaf(plain.detect),
        "detector, leaf by leaf, with memory": leaf_by_leaf(kept.detect),
        "redactor, in batches, no memory or marks (budget >= 30)": redactor_cost(0, NoMarks()),
        "redactor, with memory and marks (budget >= 60, aim 60 us)": redactor_cost(
            200_000, Contract()
        ),
    }
    source = clean_events((10 + 2 * TURNS * ROUNDS) * BATCH)
    warm = [next(source) for _ in range(10 * BATCH)]
    count = sum(1 for one in warm for _ in leaves(one)) / len(warm)
    print(f"{len(entities)} entities at {threshold}, {count:.0f} leaves an event; us CPU an event:")
    for cost in (stock, *costs.values()):
        cost(warm[: STOCK_EVENTS if cost is stock else None])
    told: dict[str, list[tuple[float, float]]] = {name: [] for name in costs}
    for _ in range(ROUNDS):
        spent = dict.fromkeys(costs, 0.0)
        by_stock = 0.0
        for _ in range(TURNS):
            events = [next(source) for _ in range(2 * BATCH)]
            by_stock += stock(events[:STOCK_EVENTS])
            for name, cost in costs.items():
                spent[name] += cost(events)
        for name, its in spent.items():
            told[name].append((its / TURNS, by_stock / its))
    for name, rounds in told.items():
        taken, ratios = zip(*rounds, strict=True)
        print(
            f"  {name}: {statistics.median(taken):.1f},"
            f" ratio {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
        )


def leaf_by_leaf(judge: Callable[[str, tuple[str, ...]], object]) -> Cost:
    """Return what tells the cost of an event whose leaves are judged one by one."""

    def cost(events: Sequence[Payload]) -> float:
        given = [(text, (name,)) for one in events for name, text in leaves(one)]
        started = time.process_time()
        for text, context in given:
            judge(text, context)
        return (time.process_time() - started) / len(events) * 1e6

    return cost


def redactor_cost(memory: int, contracts: ContractMarks) -> Cost:
    """Return what tells the cost of an event whose batch goes through the redactor."""
    pool, policy = DetectorPool(None, None, memory), Policy()
    found = pool.detector(policy)
    guard = Guard(policy, found, Scanner(found, policy, Transformer(bytes(32)), memory=memory))
    metrics = new_metrics().pii
    ledger = FindingLedger(create_engine("sqlite://"), utc_now, metrics)
    redactor = PolicyRedactor(LocalExaminer(lambda: guard), Marks(contracts), ledger, metrics)

    def cost(events: Sequence[Payload]) -> float:
        given = [batch(events[n : n + BATCH]) for n in range(0, len(events), BATCH)]
        started = time.process_time()
        for one in given:
            redactor.redact_events(one)
        return (time.process_time() - started) / len(events) * 1e6

    return cost


def batch(payloads: Sequence[Payload]) -> list[Event]:
    """Return events with these attributes, as a door hands them on."""
    now = utc_now()
    return [
        Event(
            str(one["id"]),
            "native",
            str(one["name"]),
            "",
            now,
            now,
            attributes={key: msgspec.Raw(msgspec.json.encode(its)) for key, its in one.items()},
        )
        for one in payloads
    ]


def quality() -> None:
    """Print what the default policy flags of clean events, and finds of what was put in."""
    policy = Policy()
    found = DetectorPool(None, None, 50_000).detector(policy)
    scanner = Scanner(found, policy, Transformer(bytes(32)), memory=50_000)
    about = Circumstances()
    flagged: Counter[str] = Counter()
    for payload in clean_events(EVENTS, seed=3):
        findings = scanner.scan(payload, about).findings
        flagged.update({f"{one.finding.entity} in {field_of(one.path)}" for one in findings[:1]})
    share = flagged.total() / EVENTS
    print(f"clean events flagged: {share:.4%} of {EVENTS} (budget <= 0.5 %) {dict(flagged)}")
    source = random.Random(5)
    for told in ("descriptive", "meaningless"):
        missed: Counter[str] = Counter()
        for n in range(PEOPLE):
            entity = STRUCTURED[n % len(STRUCTURED)]
            value = personal_value(entity, source)
            key = KEYS[entity] if told == "descriptive" else "v1"
            payload = clean_event(source) | {key: value}
            missed[entity] += value in str(scanner.scan(payload, about).payload)
        recall = 1 - missed.total() / PEOPLE
        by = {entity: count for entity, count in missed.items() if count}
        print(f"recall under {told} keys: {recall:.2%} of {PEOPLE} (budget >= 99 %), missed {by}")


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
