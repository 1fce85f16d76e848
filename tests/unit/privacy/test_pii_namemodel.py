"""A pipeline of one's own finds names in free text; it is loaded from a folder and nowhere else."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import spacy
from spacy.training import Example
from spacy.util import fix_random_seed  # type: ignore[attr-defined]  # it is spaCy's way

from candor.kernel.errors import InvalidInputError
from candor.kernel.settings import NameModelSettings, PiiSettings
from privacy.pii.namemodel import open_model
from tests.support.pii import entities_of, scan

SENTENCES = [
    ("we met zorblax in the garden", (7, 14, "PERSON")),
    ("zorblax called us again", (0, 7, "PERSON")),
    ("the parcel went to quuxville today", (19, 28, "GPE")),
    ("quuxville is far away", (0, 9, "GPE")),
    ("nothing to see here today", None),
]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny pipeline on five sentences and save it."""
    fix_random_seed(7)
    made = spacy.blank("en")
    recognizer = made.add_pipe("ner")
    examples = [
        Example.from_dict(made.make_doc(text), {"entities": [span] if span else []})
        for text, span in SENTENCES
    ]
    for label in ("PERSON", "GPE"):
        recognizer.add_label(label)  # type: ignore[attr-defined]  # a pipe of spaCy's own kind
    optimizer = made.initialize(lambda: examples)
    for _ in range(40):
        made.update(examples, sgd=optimizer)
    folder = tmp_path_factory.mktemp("model") / "names"
    made.to_disk(folder)
    return folder


def test_it_finds_what_it_was_taught_and_its_labels_are_told_in_our_words(pipeline: Path) -> None:
    model = open_model(NameModelSettings(engine="spacy", model=pipeline))
    payload = {"note": "we met zorblax in the garden", "where": "quuxville is far away"}
    done = scan(payload, model=model)
    assert done.payload == {
        "note": "we met [PERSON] in the garden",
        "where": "[LOCATION] is far away",
    }
    assert entities_of(done) == ["PERSON", "LOCATION"]


def test_short_texts_are_not_asked_about(pipeline: Path) -> None:
    assert (
        scan(
            {"note": "met zorblax"},
            model=open_model(NameModelSettings(engine="spacy", model=pipeline)),
        ).findings
        == []
    )


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="CANDOR_PII__NER__MODEL"):
        open_model(NameModelSettings(engine="spacy", model=tmp_path))


def test_an_engine_needs_its_model_and_no_engine_needs_none() -> None:
    with pytest.raises(ValueError, match="needs model"):
        NameModelSettings(engine="spacy")
    with pytest.raises(ValueError, match="needs model"):
        NameModelSettings(model=Path("x"))
    assert PiiSettings().ner.engine == "none"


@pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed")
def test_an_engine_whose_library_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"pip install 'candor\[transformers\]'"):
        open_model(NameModelSettings(engine="transformers", model=tmp_path))
