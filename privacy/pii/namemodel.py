"""A model that finds names in free text: a spaCy pipeline from a folder, never downloaded."""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from candor.kernel.errors import InvalidInputError
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
_SCORE = 0.85


def open_model(path: Path) -> NameFinder:
    """Return what finds persons and places by the pipeline in a folder.

    Raises:
        InvalidInputError: there is no pipeline in that folder.
    """
    import spacy  # noqa: PLC0415 - only where a model is wanted

    try:
        pipeline = spacy.load(path)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            f"CANDOR_PII__NER__MODEL: {path} holds no spaCy pipeline ({type(error).__name__})."
        ) from None
    lock = Lock()

    def find(text: str) -> Sequence[Finding]:
        with lock, pipeline.memory_zone():
            return [
                Finding(_LABELS[one.label_], one.start_char, one.end_char, _SCORE, "SpacyModel")
                for one in pipeline(text).ents
                if one.label_ in _LABELS
            ]

    return find
