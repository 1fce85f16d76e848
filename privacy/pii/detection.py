"""Detection with the answers of Presidio and a fraction of its work.

Each pruning is a proof that a recognizer can add no finding at the threshold: its patterns cannot
match (``prefilter``), or their score cannot reach it. What is not excluded runs in Presidio's own
recognizers, with its own validators, context rules and removal of duplicates. Texts that the filter
does not understand take Presidio's own way as a whole.

A score can end as 1.0 where the recognizer validates, and else as what the words around it lift it
to. So a pattern without validator whose score lies below the threshold runs only where a word of
its context occurs in the text or its key at all.
"""

import re
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    PatternRecognizer,
    RecognizerResult,
)
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.predefined_recognizers import CryptoRecognizer, PhoneRecognizer

from privacy.pii import prefilter
from privacy.pii.finding import Finding
from privacy.pii.memory import Recent
from privacy.pii.prefilter import FOREIGN, Expression, Prefilter, compile_prefilter
from privacy.pii.recognition import (
    LANGUAGE,
    TokenEngine,
    is_refuted,
    patterns_of,
    stock_analyzer,
)
from privacy.pii.telephone import Regions

_WITHOUT_PAIR = re.compile("[\ud800-\udfff]")
_NO_ARTIFACTS: Any = None
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HIDING = (
    FOREIGN,
    prefilter.ESCAPED,
    prefilter.BASE64,
    prefilter.DEEP,
    prefilter.SCIENTIFIC,
)
_MOST_KEPT_CHARACTERS, _MOST_CONTEXTS = 256, 10_000
_PRESIDIO = "presidio_analyzer."
_ENHANCER = LemmaContextAwareEnhancer()
Context = tuple[str, ...]
"""Words beside a text that count as its context: the names of the field that it stands in."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A pattern of a recognizer; ``weak`` when only context lifts it to the threshold."""

    recognizer: int
    position: int
    weak: bool


class Detector:
    """Finds entities in texts as ``AnalyzerEngine.analyze`` does, for one choice of recognizers.

    Of the entities in ``demanding`` a checksum is not enough: they count only where a word of their
    context stands in the text or its names, as a word of its own. Lines that ``others`` match are
    suspect too.

    Safe to share between threads: one of them detects at a time.
    """

    def __init__(  # noqa: PLR0913 - what is looked for, and how
        self,
        engine: TokenEngine,
        recognizers: Sequence[EntityRecognizer],
        threshold: float,
        *,
        demanding: Collection[str] = (),
        others: Sequence[bytes] = (),
        folder: Path | None = None,
        memory: int = 0,
    ) -> None:
        self._engine = engine
        self._recognizers = list(recognizers)
        self._threshold = threshold
        self._demanding = frozenset(demanding)
        self._others = tuple(others)
        self._entities = sorted({e for one in recognizers for e in one.supported_entities})
        self._stock = stock_analyzer(engine, recognizers)
        self._words = [[word.lower() for word in one.context] for one in recognizers]
        self._evidence = {
            place: re.compile(rf"(?<![a-z0-9])(?:{'|'.join(map(re.escape, words))})(?![a-z0-9])")
            for place, words in enumerate(self._words)
            if words and not self._demanding.isdisjoint(recognizers[place].supported_entities)
        }
        self._by_id = {one.id: place for place, one in enumerate(self._recognizers)}
        self._copies: dict[tuple[int, tuple[int, ...]], EntityRecognizer] = {}
        self._recent: Recent[tuple[str, Context], tuple[Finding, ...]] = Recent(memory)
        self._named: Recent[Context, set[int]] = Recent(_MOST_CONTEXTS)
        self._memory = memory
        self._lock = Lock()
        self._patterns: list[_Pattern] = []
        self._always: list[_Pattern] = []
        self._unsure: set[int] = set()
        self._filter = self._compile(folder)

    @property
    def entities(self) -> Sequence[str]:
        """What it looks for."""
        return self._entities

    def detect(self, text: str, context: Context = ()) -> tuple[Finding, ...]:
        """Return the findings of a text in their order; ``context`` counts for all of them."""
        if not self._memory or len(text) > _MOST_KEPT_CHARACTERS:
            with self._lock:
                return self._examine(text, context)
        key = (text, context)
        found = self._recent.find(key)
        if found is None:
            with self._lock:
                found = self._examine(text, context)
                self._recent.keep(key, found)
        return found

    def suspects(self, lines: bytes) -> list[int]:
        """Return where something may be in many texts, each on a line of its own.

        What comes back are offsets into lines that must be looked at; so must be every line that
        stands under a name which lifts a score (see ``lifts``). All others are proven to hold
        nothing, and to hide nothing.
        """
        with self._lock:
            return self._lines.ends(lines)

    def lifts(self, name: str) -> bool:
        """Whether a name is context that lifts what would else not count."""
        return any(_is_named(self._words[place], (name,)) for place in self._weak)

    def stock(self, text: str, context: Context = ()) -> tuple[Finding, ...]:
        """Return the findings by Presidio's own way alone."""
        with self._lock:
            return self._by_stock(text, context)

    def _compile(self, folder: Path | None) -> Prefilter:
        """Sort the patterns into those that the filter answers for, and those that always run."""
        expressions: list[Expression] = []
        for place, recognizer in enumerate(self._recognizers):
            if isinstance(recognizer, PhoneRecognizer):
                reach = self._lifted(recognizer, recognizer.SCORE)
                self._regions = Regions(recognizer.supported_regions)
                if reach >= self._threshold:
                    weak = self._threshold > recognizer.SCORE
                    self._patterns.append(_Pattern(place, 0, weak))
                    expressions.append(Expression(prefilter.DIGITS))
            elif isinstance(recognizer, PatternRecognizer):
                self._add_patterns(place, recognizer, expressions)
            else:
                self._always.append(_Pattern(place, 0, weak=False))
        self._foreign = len(expressions)
        self._weak = sorted({one.recognizer for one in self._patterns if one.weak})
        words = sorted({word for place in self._weak for word in self._words[place]})
        self._backed = [{n for n in self._weak if word in self._words[n]} for word in words]
        literals = [Expression(re.escape(word).encode(), re.IGNORECASE) for word in words]
        wanted = [*expressions, Expression(FOREIGN), *literals]
        compiled, refused = compile_prefilter(wanted, folder)
        for place in sorted(refused):
            if place < self._foreign:
                self._always.append(self._patterns[place])
            else:
                self._unsure |= self._backed[place - self._foreign - 1]
        self._compile_lines(wanted, refused, folder)
        return compiled

    def _compile_lines(
        self, expressions: Sequence[Expression], refused: Collection[int], folder: Path | None
    ) -> None:
        """Make the filter that tells where in many texts to look.

        Without the patterns that only context lifts: the words that would lift them are much rarer.
        Beside them stands what might hide a text, and what others look for.
        """
        anything = Expression(rb"[^\n]\n", everywhere=True)
        weak = {n for n, one in enumerate(self._patterns) if one.weak}
        self._lines, _ = compile_prefilter(
            [
                *(
                    anything if n in refused else self._coarse(n, one)
                    for n, one in enumerate(expressions)
                    if n not in weak and n != self._foreign
                ),
                *(Expression(text, everywhere=True) for text in (*_HIDING, *self._others)),
            ],
            folder,
        )

    def _coarse(self, place: int, expression: Expression) -> Expression:
        """Return what is searched in whole batches, and reported everywhere."""
        if place < self._foreign:
            recognizer = self._recognizers[self._patterns[place].recognizer]
            text = prefilter.COARSE.get(type(recognizer).__name__)
            if text is not None and _is_stock(recognizer):
                return Expression(text, everywhere=True)
        return replace(expression, everywhere=True)

    def _add_patterns(
        self, place: int, recognizer: PatternRecognizer, expressions: list[Expression]
    ) -> None:
        kind = type(recognizer)
        validates = kind.validate_result is not PatternRecognizer.validate_result
        is_demanding = not self._demanding.isdisjoint(recognizer.supported_entities)
        for position, pattern in enumerate(patterns_of(recognizer)):
            best = 1.0 if validates else self._lifted(recognizer, pattern.score)
            if best < self._threshold:
                continue
            weak = is_demanding or (not validates and pattern.score < self._threshold)
            self._patterns.append(_Pattern(place, position, weak))
            flags = int(recognizer.global_regex_flags or 0)
            expressions.append(
                Expression(prefilter.CRYPTO)
                if isinstance(recognizer, CryptoRecognizer) and _is_stock(recognizer)
                else Expression(pattern.regex.encode(), flags)
            )

    @staticmethod
    def _lifted(recognizer: EntityRecognizer, score: float) -> float:
        """Return the score that context lifts a score to, if the recognizer knows any."""
        return _lift(score) if recognizer.context else score

    def _examine(self, text: str, context: Context) -> tuple[Finding, ...]:
        hits = self._filter.hits(text.encode("utf-8", "surrogatepass"))
        if not hits and not self._always:
            return ()
        if self._foreign in hits:
            text = _WITHOUT_PAIR.sub("\N{REPLACEMENT CHARACTER}", text)
            return self._demanded(self._by_stock(text, context), text, context)
        chosen = self._chosen(hits, context)
        raw = [
            result
            for place, positions in chosen.items()
            for result in self._run(place, positions, text)
        ]
        if not raw:
            return ()
        self._lift_by_context(raw, text, context)
        kept = [result for result in raw if result.score >= self._threshold]
        found = _findings(EntityRecognizer.remove_duplicates(kept))
        return self._demanded(found, text, context)

    def _chosen(self, hits: Sequence[int], context: Context) -> dict[int, list[int]]:
        """Return the patterns that are worth running, by recognizer."""
        chosen: dict[int, list[int]] = {}
        fired = [self._patterns[place] for place in hits if place < self._foreign]
        if not fired and not self._always:
            return chosen
        supported = self._supported(hits, context)
        for pattern in (*fired, *self._always):
            if not pattern.weak or pattern.recognizer in supported:
                chosen.setdefault(pattern.recognizer, []).append(pattern.position)
        return chosen

    def _supported(self, hits: Sequence[int], context: Context) -> set[int]:
        """Return the recognizers of whose context a word occurs in a text or its names at all."""
        named = self._named.find(context)
        if named is None:
            named = {n for n in self._weak if _is_named(self._words[n], context)} | self._unsure
            self._named.keep(context, named)
        words = [self._backed[place - self._foreign - 1] for place in hits if place > self._foreign]
        return named.union(*words) if words else named

    def _run(self, place: int, positions: list[int], text: str) -> list[RecognizerResult]:
        """Return what some patterns of a recognizer find."""
        recognizer = self._recognizers[place]
        if isinstance(recognizer, PhoneRecognizer):
            regions = self._regions.possible(text)
            if not regions:
                return []
            recognizer = copy(recognizer)
            recognizer.supported_regions = regions
        else:
            recognizer = self._narrowed(place, positions)
            if is_refuted(recognizer, text):
                return []
        found: Any = recognizer.analyze(text, self._entities, _NO_ARTIFACTS)
        return list(found)

    def _narrowed(self, place: int, positions: list[int]) -> EntityRecognizer:
        """Return a recognizer with these of its patterns alone."""
        key = (place, tuple(sorted(positions)))
        narrowed = self._copies.get(key)
        if narrowed is None:
            narrowed = self._recognizers[place]
            if isinstance(narrowed, PatternRecognizer):
                patterns = patterns_of(narrowed)
                narrowed = copy(narrowed)
                vars(narrowed)["patterns"] = [patterns[position] for position in key[1]]
            self._copies[key] = narrowed
        return narrowed

    def _lift_by_context(
        self, results: Sequence[RecognizerResult], text: str, context: Context
    ) -> None:
        """Lift scores as Presidio's enhancer does, in place, and split into tokens if need be."""
        near: list[tuple[RecognizerResult, list[str]]] = []
        lowered = text.lower()
        for result in results:
            identifier = result.recognition_metadata[RecognizerResult.RECOGNIZER_IDENTIFIER_KEY]
            words = self._words[self._by_id[identifier]]
            if _is_named(words, context):
                result.score = _lift(result.score)
            elif any(word in lowered for word in words):
                near.append((result, words))
        if not near:
            return
        with self._engine.pipeline.memory_zone():
            artifacts = self._engine.process_text(text, LANGUAGE)
            for result, words in near:
                around = _ENHANCER._extract_surrounding_words(  # noqa: SLF001 - the rule itself
                    artifacts, text[result.start : result.end], result.start
                )
                if any(word in one.lower() for word in words for one in around):
                    result.score = _lift(result.score)

    def _demanded(
        self, found: tuple[Finding, ...], text: str, context: Context
    ) -> tuple[Finding, ...]:
        """Return the findings without those that want a context and have none."""
        if self._demanding.isdisjoint(one.entity for one in found):
            return found
        said = "\n".join((text, *(_HUMP.sub("_", name) for name in context))).lower()
        evident = {
            entity
            for place, words in self._evidence.items()
            if words.search(said)
            for entity in self._recognizers[place].supported_entities
        }
        unsupported = self._demanding - evident
        return tuple(one for one in found if one.entity not in unsupported)

    def _by_stock(self, text: str, context: Context) -> tuple[Finding, ...]:
        with self._engine.pipeline.memory_zone():
            results = _analyze(self._stock, text, self._entities, self._threshold, context)
            return _findings(results)


def _analyze(
    stock: AnalyzerEngine, text: str, entities: list[str], threshold: float, context: Context
) -> list[RecognizerResult]:
    """Return what Presidio finds."""
    found: Any = stock.analyze(
        text, LANGUAGE, entities, score_threshold=threshold, context=list(context)
    )
    return list(found)


def _lift(score: float) -> float:
    """Return a score that context supports, by the enhancer's own rule."""
    lifted: float = max(
        score + _ENHANCER.context_similarity_factor, _ENHANCER.min_score_with_context_similarity
    )
    return min(lifted, _ENHANCER.MAX_SCORE)


def _is_stock(recognizer: EntityRecognizer) -> bool:
    """Whether a recognizer has the very patterns that Presidio gives to its kind."""
    kind = type(recognizer)
    if not kind.__module__.startswith(_PRESIDIO):
        return False
    return getattr(recognizer, "patterns", None) is getattr(kind, "PATTERNS", None)


def _is_named(words: Sequence[str], context: Context) -> bool:
    return any(word in name.lower() for word in words for name in context)


def _findings(results: Sequence[RecognizerResult]) -> tuple[Finding, ...]:
    found = (
        Finding(
            one.entity_type,
            one.start,
            one.end,
            float(one.score),
            one.recognition_metadata[RecognizerResult.RECOGNIZER_NAME_KEY],
        )
        for one in results
    )
    return tuple(sorted(found, key=lambda one: (one.start, one.end, one.entity)))
