"""The detectors of one process: Presidio is loaded once, and each choice of entities compiled once.

Nothing here is imported from Presidio before a detector is asked for.
"""

import sys
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from candor.kernel.errors import InvalidInputError
from privacy.pii.naming import promising
from privacy.pii.policy import BIRTH, LOCATION, PERSON, WITH_EVIDENCE, Policy
from privacy.pii.prefilter import ABROAD, NAMES, WORDS

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

    from privacy.pii.detection import Detector
    from privacy.pii.recognition import TokenEngine

_MOST_DETECTORS = 16
OURS = frozenset({PERSON, LOCATION, BIRTH})
"""Entities that are found without Presidio."""
_FOR_MODELS = ("gliner", "torch", "transformers")
"""What Presidio and spaCy import for models of theirs wherever it is installed."""


class DetectorPool:
    """Gives detectors by what they look for. Safe to share between threads.

    ``others`` are entities that something else finds: a model of names.
    """

    def __init__(
        self,
        folder: Path | None,
        custom: Path | None,
        memory: int,
        others: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._custom = custom
        self._memory = memory
        self._others = OURS.union(others)
        self._loaded: tuple[TokenEngine, list[EntityRecognizer]] | None = None
        self._made: OrderedDict[tuple[object, ...], Detector] = OrderedDict()
        self._lock = Lock()

    def entities(self) -> list[str]:
        """Return every entity that can be looked for, in order."""
        with self._lock:
            _, recognizers = self._load()
        found = {entity for one in recognizers for entity in one.supported_entities}
        return sorted(found | self._others)

    def check(self, entities: Sequence[str], path: str) -> None:
        """Return when every entity can be looked for.

        Raises:
            InvalidInputError: one cannot; the sentence says which can.
        """
        known = self.entities()
        if not set(entities) <= set(known):
            raise InvalidInputError(f"Entities are some of {', '.join(known)}.", path=path)

    def detector(self, policy: Policy, *, has_model: bool = False) -> "Detector":
        """Return what finds the entities of a policy."""
        others = [NAMES] if policy.names == "strict" else []
        if policy.names != "off":
            others.append(promising())
        if policy.evidence and "PHONE_NUMBER" in policy.entities:
            others.append(ABROAD)
        if has_model:
            others.append(WORDS)
        demanding = WITH_EVIDENCE if policy.evidence else frozenset[str]()
        wanted = frozenset(policy.entities)
        key = (wanted, policy.threshold, demanding, tuple(others))
        with self._lock:
            made = self._made.get(key)
            if made is None:
                made = self._make(wanted, policy.threshold, demanding, others)
                self._made[key] = made
                if len(self._made) > _MOST_DETECTORS:
                    self._made.popitem(last=False)
            self._made.move_to_end(key)
            return made

    def _make(
        self,
        wanted: frozenset[str],
        threshold: float,
        demanding: frozenset[str],
        others: list[bytes],
    ) -> "Detector":
        engine, recognizers = self._load()
        from privacy.pii.detection import Detector  # noqa: PLC0415 - loads Presidio

        chosen = [one for one in recognizers if not wanted.isdisjoint(one.supported_entities)]
        return Detector(
            engine,
            chosen,
            threshold,
            demanding=demanding,
            others=others,
            folder=self._folder,
            memory=self._memory,
        )

    def _load(self) -> "tuple[TokenEngine, list[EntityRecognizer]]":
        if self._loaded is None:
            with _without_models():
                from privacy.pii.recognition import (  # noqa: PLC0415 - loads Presidio
                    TokenEngine,
                    every_recognizer,
                )

            self._loaded = (TokenEngine(), every_recognizer(self._custom))
        return self._loaded


@contextmanager
def _without_models() -> Iterator[None]:
    """Have what is imported meanwhile do without what is for models alone and not loaded yet.

    It would cost every process six seconds and 600 MB. What a model of names needs is loaded with
    the model, which comes first.
    """
    barred = [name for name in _FOR_MODELS if name not in sys.modules]
    for name in barred:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's word for: is not there
    try:
        yield
    finally:
        for name in barred:
            del sys.modules[name]
