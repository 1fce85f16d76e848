"""A pipeline of one's own finds names in free text; it is loaded from a folder and nowhere else."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from candor.kernel.pii_settings import NameModelSettings, PiiSettings
from candor.kernel.settings import load_settings
from privacy.pii.detectors import DetectorPool
from privacy.pii.namemodel import cut_windows, open_model
from tests.support.names import trained_pipeline
from tests.support.pii import entities_of, scan


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_pipeline(tmp_path_factory.mktemp("model") / "names")


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


def test_a_folder_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(InvalidInputError, match=r"gone is no folder.*`spacy\.load\(NAME\)"):
        open_model(NameModelSettings(engine="spacy", model=gone))


def test_labels_of_ones_own_take_the_place_of_the_usual_ones(pipeline: Path) -> None:
    wanted = NameModelSettings(engine="spacy", model=pipeline, labels={"PERSON": "STAFF"})
    done = scan({"note": "we met zorblax in the garden"}, model=open_model(wanted))
    assert entities_of(done) == ["STAFF"]
    assert scan({"x": "quuxville is far away"}, model=open_model(wanted)).findings == []


def test_labels_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANDOR_PII__NER__ENGINE", "gliner")
    monkeypatch.setenv("CANDOR_PII__NER__MODEL", "names")
    assert load_settings().pii.ner.entities["address"] == "LOCATION"
    monkeypatch.setenv("CANDOR_PII__NER__LABELS", '{"nick name": "PERSON"}')
    assert load_settings().pii.ner.entities == {"nick name": "PERSON"}
    monkeypatch.setenv("CANDOR_PII__NER__LABELS", '{"nick name": "no entity"}')
    with pytest.raises(InvalidInputError, match="CANDOR_PII__NER__LABELS"):
        load_settings()


def test_a_policy_may_name_the_entities_of_a_model() -> None:
    DetectorPool(None, None, 0, ["STAFF"]).check(["STAFF"], "entities")
    with pytest.raises(InvalidInputError, match="Entities are some of"):
        DetectorPool(None, None, 0).check(["STAFF"], "entities")


@given(
    st.lists(st.integers(0, 9), max_size=60),
    st.integers(1, 12),
    st.integers(1, 8),
    st.integers(0, 12),
)
def test_windows_hold_every_word_and_fit(
    sizes: list[int], room: int, most: int, overlap: int
) -> None:
    windows = list(cut_windows(sizes, room, most, overlap))
    assert {n for first, last in windows for n in range(first, last)} == set(range(len(sizes)))
    for first, last in windows:
        assert 1 <= last - first <= most
        assert sum(sizes[first:last]) <= room or last - first == 1
    assert windows == sorted(set(windows))


@pytest.mark.parametrize("engine", ["transformers", "gliner"])
def test_an_engine_whose_library_is_not_there_says_how_to_get_it(
    tmp_path: Path, engine: str
) -> None:
    if find_spec(engine) is not None:
        pytest.skip(f"{engine} is installed")
    for name in ("gliner_config.json", "tokenizer_config.json"):
        (tmp_path / name).write_text('{"encoder_config": {}}', encoding="utf-8")
    with pytest.raises(InvalidInputError, match=rf"pip install 'candor\[{engine}\]'"):
        open_model(NameModelSettings.model_validate({"engine": engine, "model": tmp_path}))


def test_presidio_loads_no_library_of_models_that_nobody_asked_for(tmp_path: Path) -> None:
    for name in ("gliner", "torch", "transformers"):
        (tmp_path / f"{name}.py").write_text("LOADED = True\n", encoding="utf-8")
    program = (
        "import sys; from privacy.pii.detectors import DetectorPool as Pool;"
        "assert 'EMAIL_ADDRESS' in Pool(None, None, 0).entities();"
        "print(*sorted({'gliner', 'torch', 'transformers'} & set(sys.modules)));"
        "import gliner; print(gliner.LOADED)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == ["", "True"]
