"""A token classifier of one's own finds names in free text; a tiny one is trained here."""

from pathlib import Path
from typing import Any

import pytest

from candor.kernel.pii_settings import NameModelSettings
from privacy.pii.namemodel import open_model
from tests.support.pii import entities_of, scan

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed")

WORDS = "we met zorblax in the garden called us again parcel went to quuxville today is far away"
LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
NAMED = {"zorblax": 1, "quuxville": 3}
SENTENCES = (
    "we met zorblax in the garden",
    "zorblax called us again",
    "the parcel went to quuxville today",
    "quuxville is far away",
    "the garden is far away",
    "we met again today",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a classifier of one layer on six sentences, and save it with its tokenizer."""
    made = tmp_path_factory.mktemp("classifier")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: n for n, word in enumerate([*special, *dict.fromkeys(WORDS.split())])}
    (made / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(vocab=vocabulary)
    torch.manual_seed(7)
    model = transformers.BertForTokenClassification(
        transformers.BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            id2label=dict(enumerate(LABELS)),
            label2id={label: n for n, label in enumerate(LABELS)},
        )
    )
    batch = tokenizer(list(SENTENCES), return_tensors="pt", padding=True)
    names = {vocabulary[word]: label for word, label in NAMED.items()}
    wanted = torch.tensor([[names.get(int(one), 0) for one in row] for row in batch["input_ids"]])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        model(**batch, labels=wanted).loss.backward()
        optimizer.step()
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def test_it_finds_what_it_was_taught_and_its_labels_are_told_in_our_words(folder: Path) -> None:
    model = open_model(NameModelSettings(engine="transformers", model=folder))
    payload = {"note": "we met zorblax in the garden", "where": "quuxville is far away"}
    done = scan(payload, model=model)
    assert done.payload == {
        "note": "we met [PERSON] in the garden",
        "where": "[LOCATION] is far away",
    }
    assert entities_of(done) == ["PERSON", "LOCATION"]


def test_a_text_longer_than_the_model_is_read_to_its_end(folder: Path) -> None:
    model = open_model(NameModelSettings(engine="transformers", model=folder))
    assert model is not None
    text = "the garden is far away " * 30 + "we met zorblax in the garden"
    [found] = model(text)
    assert (text[found.start : found.end], found.recognizer) == ("zorblax", "TransformersModel")


def test_a_folder_without_a_classifier_is_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="holds no model of transformers"):
        open_model(NameModelSettings(engine="transformers", model=tmp_path))
