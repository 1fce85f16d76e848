"""A model that is asked for labels finds names and places in free text; a tiny one is trained here.

The network is off, as in all tests: what is not in the folder cannot come from anywhere.
"""

import json
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from candor.kernel.errors import InvalidInputError
from candor.kernel.pii_settings import NameModelSettings
from privacy.pii.finding import Finding
from privacy.pii.namemodel import open_model
from tests.support.pii import entities_of, scan

if find_spec("gliner") is None:
    pytest.skip("gliner is not installed", allow_module_level=True)

WORDS = "we met zorblax in the garden called us again parcel went to quuxville today is far away"
LABELS = ["person", "home address"]
SENTENCES = {
    "we met zorblax in the garden": [[2, 2, "person"]],
    "zorblax called us again": [[0, 0, "person"]],
    "the parcel went to quuxville today": [[4, 4, "home address"]],
    "quuxville is far away": [[0, 0, "home address"]],
    "the garden is far away": [],
    "we met again today": [],
}
MOST_WORDS, MOST_TOKENS = 24, 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a model of one layer on six sentences, and save it with its tokenizer."""
    made = tmp_path_factory.mktemp("gliner") / "model"
    model = _untrained()
    collate = model.data_collator_class(
        model.config, data_processor=model.data_processor, prepare_labels=True
    )
    batch = collate(
        [
            {"tokenized_text": text.split(), "ner": spans, "ner_labels": LABELS}
            for text, spans in SENTENCES.items()
        ]
    )
    torch: Any = pytest.importorskip("torch")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(150):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    model.save_pretrained(made)
    return made


def _untrained() -> Any:  # noqa: ANN401 - its library has no types
    gliner: Any = pytest.importorskip("gliner")
    torch: Any = pytest.importorskip("torch")
    transformers: Any = pytest.importorskip("transformers")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = dict.fromkeys([*special, *WORDS.split(), *" ".join(LABELS).split()])
    tokenizer = transformers.BertTokenizerFast(vocab={word: n for n, word in enumerate(words)})
    tokenizer.add_tokens(["<<ENT>>", "<<SEP>>"], special_tokens=True)
    torch.manual_seed(7)
    config = gliner.GLiNERConfig(
        model_name="there/is-none",
        max_width=3,
        max_len=MOST_WORDS,
        hidden_size=32,
        dropout=0.0,
        num_rnn_layers=0,
        vocab_size=len(tokenizer),
        class_token_index=len(tokenizer) - 2,
        encoder_config={
            "model_type": "bert",
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": MOST_TOKENS,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
        },
    )
    kind = gliner.GLiNER._get_gliner_class(config)
    return kind(config, tokenizer=tokenizer, backbone_from_pretrained=False)


def _settings(folder: Path, **more: Any) -> NameModelSettings:  # noqa: ANN401 - as the settings
    labels = {"person": "PERSON", "home address": "LOCATION"}
    return NameModelSettings(**{"engine": "gliner", "model": folder, "labels": labels, **more})


def _found(folder: Path, text: str) -> Sequence[Finding]:
    model = open_model(_settings(folder))
    assert model is not None
    return model(text)


def test_it_finds_what_it_is_asked_for_and_tells_it_as_the_entity_of_its_label(
    folder: Path,
) -> None:
    payload = {"note": "we met zorblax in the garden", "where": "quuxville is far away"}
    done = scan(payload, model=open_model(_settings(folder)))
    assert done.payload == {
        "note": "we met [PERSON] in the garden",
        "where": "[LOCATION] is far away",
    }
    assert entities_of(done) == ["PERSON", "LOCATION"]
    assert {one.finding.recognizer for one in done.findings} == {"GlinerModel"}


def test_a_label_stands_for_the_entity_that_settings_say(folder: Path) -> None:
    model = open_model(_settings(folder, labels={"person": "PERSON", "home address": "HOME"}))
    assert model is not None
    assert [one.entity for one in model("the parcel went to quuxville today")] == ["HOME"]


@pytest.mark.parametrize("before", range(0, 64, 7))
def test_a_text_longer_than_the_model_is_read_to_its_end(folder: Path, before: int) -> None:
    filler = " ".join(["far"] * before + ["the garden is far away"] * 12)
    text = f"{filler} we met zorblax in the garden"
    assert "zorblax" in {text[one.start : one.end] for one in _found(folder, text)}


def test_a_word_of_more_tokens_than_the_model_takes_hides_no_other(folder: Path) -> None:
    blob = " ".join(["-".join(["far"] * 200)] * 3)
    text = f"zorblax called us again {blob} we met zorblax in the garden"
    named = [one.start for one in _found(folder, text) if text[one.start : one.end] == "zorblax"]
    assert named == [0, text.rindex("zorblax")]


def test_what_has_no_word_has_no_name(folder: Path) -> None:
    assert _found(folder, " \t ") == []


def test_a_folder_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"is no folder.*save_pretrained\(FOLDER\)"):
        open_model(_settings(tmp_path / "gone"))


@pytest.mark.parametrize(
    "name", ["gliner_config.json", "tokenizer_config.json", "pytorch_model.bin"]
)
def test_what_is_not_in_the_folder_is_looked_for_nowhere_else(
    folder: Path, tmp_path: Path, name: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / name).unlink()
    with pytest.raises(InvalidInputError, match=r"holds no model of gliner.*downloads none"):
        open_model(_settings(copy))


def test_an_encoder_that_is_only_named_is_not_fetched(folder: Path, tmp_path: Path) -> None:
    copy = _with_encoder(folder, tmp_path, None)
    with pytest.raises(InvalidInputError, match=r"encoder_config of gliner_config\.json"):
        open_model(_settings(copy))


def test_code_that_a_model_brings_along_is_not_run(folder: Path, tmp_path: Path) -> None:
    config = json.loads((folder / "gliner_config.json").read_bytes())["encoder_config"]
    copy = _with_encoder(folder, tmp_path, {**config, "auto_map": {"AutoModel": "code.Model"}})
    with pytest.raises(InvalidInputError, match=r"holds no model of gliner \(ValueError\)"):
        open_model(_settings(copy))


def test_weights_that_are_damaged_are_told_as_no_model(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "pytorch_model.bin").write_bytes(b"not weights")
    with pytest.raises(InvalidInputError, match="holds no model of gliner"):
        open_model(_settings(copy))


def test_labels_that_leave_no_room_for_a_text_are_refused(folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="holds no model of gliner"):
        open_model(_settings(folder, labels={"far " * n: "PERSON" for n in range(1, 12)}))


def _with_encoder(folder: Path, tmp_path: Path, encoder: object) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    config = json.loads((copy / "gliner_config.json").read_bytes())
    (copy / "gliner_config.json").write_text(json.dumps({**config, "encoder_config": encoder}))
    return copy
