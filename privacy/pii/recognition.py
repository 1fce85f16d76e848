"""Presidio without a model and without the network: its recognizers over a plain tokenizer.

The engine splits texts into tokens and takes the lower-case token for the lemma, which is what lets
context words count; persons and places, which need a model, are found elsewhere. E-mail addresses
are validated against the list of public suffixes that comes with the package: the list is never
fetched.

This module costs a second to import. Import it where it is needed, and only there.
"""

import inspect
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import spacy
import tldextract
import yaml
from presidio_analyzer import (
    AnalyzerEngine,
    EntityRecognizer,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
    predefined_recognizers,
)
from presidio_analyzer.nlp_engine import NlpArtifacts, SpacyNlpEngine
from presidio_analyzer.pattern_recognizer import REGEX_TIMEOUT_SECONDS
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from candor.kernel.errors import InvalidInputError

LANGUAGE = "en"
_FORM = (
    "Write a list `recognizers`, each with name, supported_entity, patterns (name, regex, and score"
    " from 0 to 1) and context."
)
_OFFLINE = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # its warnings repeat texts


class TokenEngine(SpacyNlpEngine):
    """Tokenises with a blank pipeline; the lemma of a token is its lower-case form."""

    def __init__(self) -> None:
        super().__init__(models=[{"lang_code": LANGUAGE, "model_name": "blank"}])
        self.pipeline = spacy.blank(LANGUAGE)
        self.nlp: Any = {LANGUAGE: self.pipeline}

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return the tokens of a text; nothing of them may be kept after the memory zone."""
        tokens = self.pipeline.make_doc(text)
        return NlpArtifacts(
            entities=[],
            tokens=tokens,
            tokens_indices=[token.idx for token in tokens],
            lemmas=[token.lower_ for token in tokens],
            nlp_engine=self,
            language=language,
        )

    def get_supported_entities(self) -> list[str]:
        """Return that it finds nothing by itself."""
        return []


def every_recognizer(custom: Path | None = None) -> list[EntityRecognizer]:
    """Return the recognizers of all countries, those of ``custom`` (YAML) behind them.

    All are registered under one language: only their words of context differ by language.

    Raises:
        InvalidInputError: the file describes no recognizers.
    """
    tldextract.tldextract.TLD_EXTRACTOR = _OFFLINE
    found: list[EntityRecognizer] = [
        _made(kind)
        for _, kind in inspect.getmembers(predefined_recognizers, inspect.isclass)
        if issubclass(kind, PatternRecognizer) and kind is not PatternRecognizer
    ]
    found.append(PhoneRecognizer(supported_language=LANGUAGE))
    return found + (_read_custom(custom) if custom is not None else [])


def stock_analyzer(engine: TokenEngine, recognizers: Iterable[EntityRecognizer]) -> AnalyzerEngine:
    """Return Presidio's own analyzer over these recognizers."""
    registry = RecognizerRegistry(recognizers=list(recognizers), supported_languages=[LANGUAGE])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=[LANGUAGE])


def patterns_of(recognizer: Any) -> list[Pattern]:  # noqa: ANN401 - its patterns are not typed
    """Return the patterns of a recognizer that is made of them."""
    patterns: list[Pattern] = recognizer.patterns
    return patterns


def is_refuted(recognizer: EntityRecognizer, text: str) -> bool:
    """Whether a recognizer's own checksum refuses all that its patterns match, if they match.

    Presidio explains each match before it asks the checksum, which costs ten times as much.
    """
    if type(recognizer).analyze is not PatternRecognizer.analyze:
        return False
    chosen: Any = recognizer
    for pattern in patterns_of(chosen):
        if not pattern.compiled_regex or pattern.compiled_with_flags != chosen.global_regex_flags:
            return False
        try:
            for match in pattern.compiled_regex.finditer(text, timeout=REGEX_TIMEOUT_SECONDS):
                if match[0] and chosen.validate_result(match[0]) is not False:
                    return False
        except TimeoutError:
            return False
    return True


def _made(kind: Any) -> EntityRecognizer:  # noqa: ANN401 - a class whose instances need no more
    recognizer: EntityRecognizer = kind(supported_language=LANGUAGE)
    return recognizer


def _read_custom(path: Path) -> list[EntityRecognizer]:
    """Return the recognizers of a file in Presidio's own form."""
    try:
        entries = list(yaml.safe_load(path.read_text(encoding="utf-8"))["recognizers"])
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        raise InvalidInputError(f"{path} is no list of recognizers. {_FORM}") from None
    return [_custom(path, place, entry) for place, entry in enumerate(entries)]


def _custom(path: Path, place: int, entry: Any) -> EntityRecognizer:  # noqa: ANN401 - whatever a file holds
    try:
        return PatternRecognizer.from_dict({**entry, "supported_language": LANGUAGE})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInputError(
            f"{path}: recognizers.{place} is no recognizer ({type(error).__name__}). {_FORM}"
        ) from None
