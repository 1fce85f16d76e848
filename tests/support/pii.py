"""Presidio loaded once for all tests of a process, and scanners made on it."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from presidio_analyzer import EntityRecognizer

from candor.kernel.ports import Vault
from privacy.pii.detection import Detector
from privacy.pii.detectors import DetectorPool
from privacy.pii.guard import Guard
from privacy.pii.policy import Mark, Policy
from privacy.pii.recognition import TokenEngine, every_recognizer
from privacy.pii.scanning import Circumstances, NameFinder, Scan, Scanner
from privacy.pii.transform import Transformer

KEY = bytes(range(32))


@cache
def loaded() -> tuple[TokenEngine, list[EntityRecognizer]]:
    return TokenEngine(), every_recognizer()


@cache
def pool() -> DetectorPool:
    made = DetectorPool(None, None, 1000)
    made._loaded = loaded()
    return made


def detector(entities: Sequence[str], threshold: float, **more: Any) -> Detector:  # noqa: ANN401 - as Detector
    engine, recognizers = loaded()
    chosen = [
        one for one in recognizers if not entities or set(one.supported_entities) & set(entities)
    ]
    return Detector(engine, chosen, threshold, **more)


def scanner(
    policy: Policy | None = None,
    *,
    vault: Vault | None = None,
    model: NameFinder | None = None,
    literal: bool = False,
) -> Scanner:
    chosen = policy or Policy()
    found = pool().detector(chosen, has_model=model is not None)
    transformer = Transformer(KEY, vault)
    return Scanner(found, chosen, transformer, model=model, memory=1000, literal=literal)


def guard(policy: Policy | None = None, model: NameFinder | None = None) -> Guard:
    made = scanner(policy, model=model)
    lines = pool().detector(made.policy, has_model=model is not None)
    return Guard(made.policy, lines, made)


def scan(
    payload: Any,  # noqa: ANN401 - any JSON
    policy: Policy | None = None,
    marks: Mapping[str, Mark] | None = None,
    **more: Any,  # noqa: ANN401 - as scanner
) -> Scan:
    return scanner(policy, **more).scan(payload, Circumstances("shop", "", marks or {}))


def entities_of(found: Scan) -> list[str]:
    return [one.finding.entity for one in found.findings]
