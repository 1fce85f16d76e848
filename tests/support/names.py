"""A pipeline of spaCy's that knows one name and one place, trained in two seconds."""

from pathlib import Path

import spacy
from spacy.training import Example
from spacy.util import fix_random_seed  # type: ignore[attr-defined]  # it is spaCy's way

SENTENCES = [
    ("we met zorblax in the garden", (7, 14, "PERSON")),
    ("zorblax called us again", (0, 7, "PERSON")),
    ("the parcel went to quuxville today", (19, 28, "GPE")),
    ("quuxville is far away", (0, 9, "GPE")),
    ("nothing to see here today", None),
]


def trained_pipeline(folder: Path) -> Path:
    """Train a tiny pipeline on five sentences, save it, and return the folder that it is in."""
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
    made.to_disk(folder)
    return folder
