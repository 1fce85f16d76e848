"""Models that find names in free text: opened from a folder, never downloaded.

spaCy comes with Candor; the libraries of the other engines are extras, imported only here. Code
that a model may bring along is not run.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from threading import Lock
from typing import Any

from candor.kernel.errors import InvalidInputError
from candor.kernel.pii_settings import NameModelSettings
from privacy.pii.finding import Finding
from privacy.pii.scanning import NameFinder

_SPACY_SCORE = 0.85
"""What stands for a score: spaCy tells none."""
_MOST_STRIDE = 64
_LEAST_SCORE = 0.5
"""From which score on what GLiNER tells counts: the threshold of the policy that comes with Candor;
a rule of a policy can ask for more."""
_SAVE = {
    "spacy": "`spacy.load(NAME).to_disk(FOLDER)`",
    "transformers": "`save_pretrained(FOLDER)` of the token classifier and of its tokenizer",
    "gliner": "`gliner.GLiNER.from_pretrained(NAME).save_pretrained(FOLDER)`",
}


def open_model(settings: NameModelSettings) -> NameFinder | None:
    """Return what finds persons and places by the model in a folder; none where none is wanted.

    It runs one text at a time, and is safe to share between threads.

    Raises:
        InvalidInputError: the folder holds no model of that engine, or its library is not there.
    """
    if settings.model is None:
        return None
    if not settings.model.is_dir():
        raise _without_model(settings, f"{settings.model} is no folder")
    try:
        return _OPENERS[settings.engine](settings.model, settings.entities)
    except ImportError as error:
        raise InvalidInputError(
            f"CANDOR_PII__NER__ENGINE: {settings.engine} needs {error.name}. Install it with"
            f" `pip install 'candor[{settings.engine}]'`."
        ) from None
    except FileNotFoundError as error:
        what = f"holds no model of {settings.engine}: {error.filename or 'a file'} is not there"
        raise _without_model(settings, f"{settings.model} {what}") from None
    except (OSError, ValueError, KeyError, RuntimeError, UnpicklingError) as error:
        what = f"holds no model of {settings.engine} ({type(error).__name__})"
        raise _without_model(settings, f"{settings.model} {what}") from None


def _without_model(settings: NameModelSettings, sentence: str) -> InvalidInputError:
    return InvalidInputError(
        f"CANDOR_PII__NER__MODEL: {sentence}. Candor downloads none: make the folder where the"
        f" model is at hand, with {_SAVE[settings.engine]}."
    )


def _open_spacy(path: Path, entities: Mapping[str, str]) -> NameFinder:
    import spacy  # noqa: PLC0415 - only where a model is wanted

    pipeline = spacy.load(path)
    lock = Lock()

    def find(text: str) -> Sequence[Finding]:
        with lock, pipeline.memory_zone():
            return [
                Finding(
                    entities[one.label_], one.start_char, one.end_char, _SPACY_SCORE, "SpacyModel"
                )
                for one in pipeline(text).ents
                if one.label_ in entities
            ]

    return find


def _open_transformers(path: Path, entities: Mapping[str, str]) -> NameFinder:
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
                entities[one["entity_group"]],
                one["start"],
                one["end"],
                float(one["score"]),
                "TransformersModel",
            )
            for one in found
            if one["entity_group"] in entities
        ]

    return find


def _open_gliner(path: Path, entities: Mapping[str, str]) -> NameFinder:
    """Return what finds names by a model that is asked for labels; long texts are read in windows.

    Raises:
        FileNotFoundError: a part of the model would be looked for elsewhere.
        ValueError: it brings code along, or the labels leave no room for a text.
    """
    _check_gliner(path)
    import gliner  # noqa: PLC0415 - an extra, only where a model is wanted

    model: Any = gliner.GLiNER.from_pretrained(path, local_files_only=True, map_location="cpu")
    labels = list(entities)
    windows = _windows_of(model, labels)
    lock = Lock()

    def find(text: str) -> Sequence[Finding]:
        with lock:
            found = [
                Finding(
                    entities[one["label"]],
                    one["start"] + start,
                    one["end"] + start,
                    float(one["score"]),
                    "GlinerModel",
                )
                for start, end in windows(text)
                for one in model.predict_entities(text[start:end], labels, threshold=_LEAST_SCORE)
            ]
        return list(dict.fromkeys(found))  # what stands where windows overlap is found twice

    return find


def _check_gliner(path: Path) -> None:
    """Return when a folder holds all that a model is made of, and nothing but data."""
    for name in ("gliner_config.json", "tokenizer_config.json"):
        if not (path / name).is_file():
            raise FileNotFoundError(2, "is not there", name)
    encoder = json.loads((path / "gliner_config.json").read_bytes()).get("encoder_config")
    if not isinstance(encoder, dict):
        raise FileNotFoundError(2, "is not there", "encoder_config of gliner_config.json")
    if "auto_map" in encoder:
        raise ValueError("the model brings code along")


def _windows_of(model: Any, labels: Sequence[str]) -> Callable[[str], Iterator[tuple[int, int]]]:  # noqa: ANN401 - its library has no types
    """Return what cuts a text into stretches that a model can read whole, each from word to word.

    Both its words and their tokens are bounded; the labels take their part of the tokens.
    """
    tokenizer = model.data_processor.transformer_tokenizer
    config = model.config
    longest = getattr(config.encoder_config, "max_position_embeddings", tokenizer.model_max_length)
    tokenizer.model_max_length = min(longest, tokenizer.model_max_length)
    asked = [part for label in labels for part in (config.ent_token, label)]
    room = (
        tokenizer.model_max_length
        - tokenizer.num_special_tokens_to_add()
        - sum(_tokens_of_words(tokenizer, [*asked, config.sep_token]))
    )
    if room < 1:
        raise ValueError("the labels leave no room for a text")

    def windows(text: str) -> Iterator[tuple[int, int]]:
        words = list(model.data_processor.words_splitter(text))
        sizes = _tokens_of_words(tokenizer, [word for word, _, _ in words]) if words else []
        for first, last in cut_windows(sizes, room, config.max_len, config.max_width):
            yield words[first][1], words[last - 1][2]

    return windows


def _tokens_of_words(tokenizer: Any, words: list[str]) -> list[int]:  # noqa: ANN401 - as above
    """Return of how many tokens each word is made."""
    made = tokenizer(words, is_split_into_words=True, add_special_tokens=False, verbose=False)
    counts = Counter(made.word_ids())
    return [counts[place] for place in range(len(words))]


def cut_windows(
    sizes: Sequence[int], room: int, most: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Yield ``[first, last)`` of windows over words: at most ``most``, their sizes within ``room``.

    Neighbours share ``overlap`` words, or half a window where it is short. A word that is larger
    than ``room`` has a window of its own.
    """
    first = 0
    while first < len(sizes):
        last, left = first + 1, room - sizes[first]
        while last < len(sizes) and last - first < most and sizes[last] <= left:
            left -= sizes[last]
            last += 1
        yield first, last
        if last == len(sizes):
            return
        first = last - min(overlap, (last - first) // 2)


_OPENERS: Mapping[str, Callable[[Path, Mapping[str, str]], NameFinder]] = {
    "spacy": _open_spacy,
    "transformers": _open_transformers,
    "gliner": _open_gliner,
}
