"""Models that find names in free text: opened from a folder, never downloaded.

spaCy comes with Candor; the libraries of the other engines are extras, imported only here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from candor.kernel.errors import InvalidInputError
from candor.kernel.settings import NameModelSettings
from privacy.pii.finding import Finding
from privacy.pii.policy import LOCATION, PERSON
from privacy.pii.scanning import NameFinder

_LABELS = {
    "PERSON": PERSON,
    "PER": PERSON,
    "GPE": LOCATION,
    "LOC": LOCATION,
    "LOCATION": LOCATION,
    "FAC": LOCATION,
}
_SPACY_SCORE = 0.85
"""What stands for a score: spaCy tells none."""
_MOST_STRIDE = 64


def open_model(settings: NameModelSettings) -> NameFinder | None:
    """Return what finds persons and places by the model in a folder; none where none is wanted.

    It runs one text at a time, and is safe to share between threads.

    Raises:
        InvalidInputError: the folder holds no model of that engine, or its library is not there.
    """
    if settings.model is None:
        return None
    try:
        return _OPENERS[settings.engine](settings.model)
    except ImportError as error:
        raise InvalidInputError(
            f"CANDOR_PII__NER__ENGINE: {settings.engine} needs {error.name}. Install it with"
            f" `pip install 'candor[{settings.engine}]'`."
        ) from None
    except (OSError, ValueError, KeyError) as error:
        raise InvalidInputError(
            f"CANDOR_PII__NER__MODEL: {settings.model} holds no model of {settings.engine}"
            f" ({type(error).__name__})."
        ) from None


def _open_spacy(path: Path) -> NameFinder:
    import spacy  # noqa: PLC0415 - only where a model is wanted

    pipeline = spacy.load(path)
    lock = Lock()

    def find(text: str) -> Sequence[Finding]:
        with lock, pipeline.memory_zone():
            return [
                Finding(
                    _LABELS[one.label_], one.start_char, one.end_char, _SPACY_SCORE, "SpacyModel"
                )
                for one in pipeline(text).ents
                if one.label_ in _LABELS
            ]

    return find


def _open_transformers(path: Path) -> NameFinder:
    """Return what finds names by a token classifier; long texts are read in windows that overlap.

    Raises:
        ValueError: its tokenizer does not tell where tokens stand.
    """
    import transformers  # noqa: PLC0415 - an extra, only where a model is wanted

    tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = transformers.AutoModelForTokenClassification.from_pretrained(
        path, local_files_only=True
    )
    if not tokenizer.is_fast:
        raise ValueError("a fast tokenizer is needed")
    longest = getattr(model.config, "max_position_embeddings", tokenizer.model_max_length)
    tokenizer.model_max_length = min(longest, tokenizer.model_max_length)
    classify: Any = transformers.pipeline(
        "token-classification",
        model=model,
        tokenizer=tokenizer,
        aggregation_strategy="first",
        stride=min(_MOST_STRIDE, tokenizer.model_max_length // 4),
        device="cpu",
    )
    lock = Lock()

    def find(text: str) -> Sequence[Finding]:
        with lock:
            found: Sequence[Mapping[str, Any]] = classify(text)
        return [
            Finding(
                _LABELS[one["entity_group"]],
                one["start"],
                one["end"],
                float(one["score"]),
                "TransformersModel",
            )
            for one in found
            if one["entity_group"] in _LABELS
        ]

    return find


_OPENERS: Mapping[str, Callable[[Path], NameFinder]] = {
    "spacy": _open_spacy,
    "transformers": _open_transformers,
}
