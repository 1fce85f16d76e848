"""Every finding is Presidio's, and every finding of Presidio's is found."""

import os
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import EmailRecognizer, PhoneRecognizer

from candor.kernel.errors import InvalidInputError
from privacy.pii import prefilter
from privacy.pii.detection import Detector
from privacy.pii.detectors import DetectorPool
from privacy.pii.finding import Finding
from privacy.pii.policy import DEFAULT_ENTITIES, Policy
from privacy.pii.recognition import every_recognizer
from tests.support import pii
from tests.support.telemetry_corpus import clean_events, fuzzed_text

TEXTS = int(os.environ.get("CANDOR_TEST_PII_TEXTS", "80"))
STOCK = (
    *("CREDIT_CARD", "US_BANK_NUMBER", "US_DRIVER_LICENSE", "US_ITIN", "US_PASSPORT", "US_SSN"),
    *("UK_NHS", "CRYPTO", "DATE_TIME", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "UUID", "URL"),
    *("MEDICAL_LICENSE", "MAC_ADDRESS", "PHONE_NUMBER"),
)
CHOICES = [
    (DEFAULT_ENTITIES, 0.5),
    (DEFAULT_ENTITIES, 0.4),
    (STOCK, 0.6),
    (STOCK, 0.5),
    (STOCK, 0.0),
    ((), 0.5),
    ((), 0.0),
]
NAMES = ("", "phone", "order_number", "email", "card", "shipping", "tin", "social", "x", "bank")


def same(found: tuple[Finding, ...], stock: tuple[Finding, ...]) -> bool:
    return [one[:4] for one in found] == [one[:4] for one in stock]


def leaves(value: Any, name: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return [leaf for key, one in value.items() for leaf in leaves(one, key)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one, name)]
    return [(name, str(value))]


@pytest.fixture(scope="module", params=CHOICES, ids=lambda one: f"{len(one[0])}-{one[1]}")
def chosen(request: pytest.FixtureRequest) -> Detector:
    return pii.detector(*request.param)


def test_fuzzed_texts_have_the_findings_of_presidio(chosen: Detector) -> None:
    source = random.Random(os.environ.get("CANDOR_TEST_PII_SEED", "candor"))
    for _ in range(TEXTS):
        text, name = fuzzed_text(source), source.choice(NAMES)
        context = (name,) if name else ()
        assert same(chosen.detect(text, context), chosen.stock(text, context)), (text, name)


def test_clean_telemetry_has_the_findings_of_presidio(chosen: Detector) -> None:
    for event in clean_events(max(4, TEXTS // 60), seed=11):
        for name, text in leaves(event):
            assert same(chosen.detect(text, (name,)), chosen.stock(text, (name,))), (text, name)


@settings(max_examples=TEXTS)
@given(
    text=st.text(
        st.sampled_from("0123456789 -+()x./#:@abphone\n\tä1349")
        | st.characters(exclude_categories=["Cs"]),
        max_size=60,
    ),
    name=st.sampled_from(NAMES),
)
def test_any_text_has_the_findings_of_presidio(text: str, name: str) -> None:
    chosen = _default()
    assert same(chosen.detect(text, (name,)), chosen.stock(text, (name,)))


_MADE: list[Detector] = []


def _default() -> Detector:
    if not _MADE:
        _MADE.append(pii.detector(DEFAULT_ENTITIES, 0.4))
    return _MADE[0]


@pytest.mark.parametrize(
    ("text", "context", "entity", "score"),
    [
        ("my ssn is 536-22-1234", (), "US_SSN", 0.85),
        ("4258828080", ("phone",), "PHONE_NUMBER", 0.75),
        ("jane@example.org", (), "EMAIL_ADDRESS", 1.0),
        ("4111 1111 1111 1111", (), "CREDIT_CARD", 1.0),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", (), "CRYPTO", 1.0),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", (), "CRYPTO", 1.0),
        ("Grüße an jane@example.org", (), "EMAIL_ADDRESS", 1.0),
    ],
)
def test_context_and_checksums_count(
    text: str, context: tuple[str, ...], entity: str, score: float
) -> None:
    found = pii.detector(DEFAULT_ENTITIES, 0.5).detect(text, context)
    assert [(one.entity, round(one.score, 2)) for one in found] == [(entity, score)]


@pytest.mark.parametrize(
    ("text", "context", "is_found"),
    [
        ("9434765919", (), False),
        ("9434765919", ("started",), False),
        ("9434765919", ("nhsNumber",), True),
        ("NHS 9434765919", (), True),
        ("fc3947249fc2d0a17b8f2ab53451d0135675f6ad", ("commit",), False),
        ("dea5AB1234563", (), False),
        ("NHS é 9434765919", (), True),
        ("é 9434765919", (), False),
    ],
)
def test_a_checksum_that_is_no_evidence_needs_a_word_beside_it(
    text: str, context: tuple[str, ...], *, is_found: bool
) -> None:
    demanding = pii.pool().detector(Policy())
    assert bool(demanding.detect(text, context)) is is_found


def test_a_line_that_holds_something_is_always_suspect() -> None:
    """The filter for whole batches never misses what the detector finds."""
    found = pii.pool().detector(Policy())
    source = random.Random("lines")
    for _ in range(TEXTS * 2):
        text = fuzzed_text(source).replace("\n", " ")
        if found.detect(text):
            line = f"before\n{text}\nafter".encode()
            assert found.suspects(line), text


def test_what_hides_a_text_is_suspect() -> None:
    found = pii.pool().detector(Policy())
    hidden = [
        b"a%40b",
        b"a\\u0040b",
        b'{"first-name": 1}',
        b"/p?surname=1",
        b"[" * 33,
        "Müller".encode(),
        b"amFuZUBleGFtcGxlLm9yZyBhbmQ",
    ]
    assert all(found.suspects(line) for line in hidden)
    assert not found.suspects(
        b'plain\n{"a": 1}\n/cart/items/add\n0192aaaa-11b1-2c22-33d3-12345e789012'
    )


def test_only_names_that_lift_a_score_are_context() -> None:
    found = pii.pool().detector(Policy())
    assert (found.lifts("phone"), found.lifts("plan")) == (True, False)


class CountedPhones(PhoneRecognizer):
    """Presidio's own, that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__(supported_language="en")
        self.asked: list[str] = []

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> Any:  # noqa: ANN401 - as Presidio has it
        self.asked.append(text)
        return super().analyze(text, entities, nlp_artifacts)


def test_nothing_is_spent_on_telephone_numbers_unless_key_or_text_asks_for_it() -> None:
    engine, _ = pii.loaded()
    phones = CountedPhones()
    found = Detector(engine, [phones], 0.5)
    for event in clean_events(100, seed=5):
        for name, text in leaves(event):
            if name != "agent":  # some browsers are on a "Mobile"
                found.detect(text, (name,))
    assert [found.detect(text) for text in ("4258828080", "+1 425 882 8080")] == [(), ()]
    assert phones.asked == []
    assert found.detect("4258828080", ("phone",))
    assert found.detect("my phone is 4258828080")
    assert found.detect("call me") == found.detect("none", ("phone",)) == ()
    assert phones.asked == ["4258828080", "my phone is 4258828080"]


def test_texts_that_were_judged_are_remembered_up_to_a_bound() -> None:
    found = pii.detector(["EMAIL_ADDRESS"], 0.5, memory=10)
    for n in range(100):
        found.detect(f"jane-{n}@example.org")
    assert len(found._recent) <= 20
    long = "x" * 300 + " jane@example.org"
    assert found.detect(long) == found.detect(long)
    assert found._recent.find((long, ())) is None


def test_tokens_of_judged_texts_are_not_kept() -> None:
    """Without memory zones, spaCy keeps every token for ever: 170 MB for 100,000 texts."""
    found = pii.detector(["US_SSN"], 0.5)
    words = found._engine.pipeline.vocab.strings

    def judge(first: int) -> int:
        for n in range(first, first + 200):
            assert found.detect(f"ssn w{n}ord 536-22-1234 u{n}nique")
            assert found.stock(f"ssn w{n}ord 536-22-1234 u{n}nique")
        return len(words)

    judge(0)
    tracemalloc.start()
    try:
        before = len(words)
        assert judge(1000) == before
    finally:
        tracemalloc.stop()


def test_of_a_hundred_thousand_distinct_words_none_stays() -> None:
    """By both ways: that of context, and Presidio's own, which letters beyond ASCII take."""
    found = pii.detector(["US_SSN"], 0.5)
    words = found._engine.pipeline.vocab.strings
    assert found.detect("ssn 536-22-1234 is hers")
    assert found.detect("ssn 536-22-1234 für jene")
    before = len(words)
    for n in range(100):
        others = " ".join(f"w{n}x{m}" for m in range(1000))
        [one] = found.detect(f"ssn {'u' if n % 50 else 'ü'} 536-22-1234 {others}")
        assert one.entity == "US_SSN"
    assert len(words) == before


def test_compiled_patterns_are_kept_on_disk_by_what_they_are_made_of(tmp_path: Path) -> None:
    first = pii.detector(["US_SSN"], 0.5, folder=tmp_path / "compiled")
    kept = sorted((tmp_path / "compiled").glob("*.hsdb"))
    assert len(kept) == 2
    again = pii.detector(["US_SSN"], 0.5, folder=tmp_path / "compiled")
    assert sorted((tmp_path / "compiled").glob("*")) == kept
    assert again.detect("536-22-1234") == first.detect("536-22-1234") != ()
    pii.detector(["US_ITIN"], 0.5, folder=tmp_path / "compiled")
    assert len(list((tmp_path / "compiled").glob("*.hsdb"))) == 4


def test_a_kept_filter_that_is_broken_is_made_anew(tmp_path: Path) -> None:
    pii.detector(["US_SSN"], 0.5, folder=tmp_path)
    for path in tmp_path.glob("*.hsdb"):
        path.write_bytes(b"\nnot a database")
    assert pii.detector(["US_SSN"], 0.5, folder=tmp_path).detect("536-22-1234")


def test_without_a_place_to_keep_them_patterns_are_compiled_at_each_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert pii.detector(["US_SSN"], 0.5, folder=tmp_path / "file" / "x").detect("536-22-1234")


def test_a_pattern_that_the_filter_refuses_always_runs() -> None:
    engine, _ = pii.loaded()
    odd = PatternRecognizer(
        "ODD", patterns=[Pattern("odd", r"(?<word>od+)(?&word)", 0.9)], context=["strange"]
    )
    found = Detector(engine, [odd], 0.5)
    assert same(found.detect("an ododd thing"), found.stock("an ododd thing"))
    assert found.detect("an ododd thing")
    assert found.suspects(b"an ododd thing\nmore")


def test_a_recognizer_that_is_not_made_of_patterns_always_runs() -> None:
    class Shouting(EmailRecognizer):
        PATTERNS = [Pattern("shouting", r"\b[A-Z]{4,}!", 0.9)]  # noqa: RUF012 - as Presidio has it

        def validate_result(self, pattern_text: str) -> bool:
            return pattern_text != "QUIET!"

    engine, _ = pii.loaded()
    found = Detector(engine, [Shouting(supported_entity="SHOUT")], 0.5)
    for text in ("HELLO! you", "QUIET! you", "hello"):
        assert same(found.detect(text), found.stock(text))
    assert found.suspects(b"say HELLO! now")


def test_recognizers_of_ones_own_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "recognizers:\n- name: Tickets\n  supported_entity: TICKET\n  context: [ticket]\n"
        "  patterns: [{name: ticket, regex: 'T-[0-9]{6}', score: 0.6}]\n"
    )
    own = DetectorPool(None, file, 0)
    assert "TICKET" in own.entities()
    found = own.detector(Policy(entities=("TICKET",))).detect("see T-123456")
    assert [(one.entity, one.start, one.end) for one in found] == [("TICKET", 4, 12)]


@pytest.mark.parametrize("content", ["", "recognizers: 3", "recognizers: [{name: x}]", "{", None])
def test_a_file_without_recognizers_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "own.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(InvalidInputError, match=r"own\.yaml"):
        every_recognizer(file)


def test_the_recognizer_that_is_none_is_named_by_its_place(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    good = "{name: a, supported_entity: A, patterns: [{name: a, regex: a, score: 0.5}]}"
    file.write_text(f"recognizers: [{good}, {good.replace('0.5', '5')}]")
    with pytest.raises(InvalidInputError, match=r"own\.yaml: recognizers\.1 is no recognizer"):
        every_recognizer(file)


def test_all_countries_are_there_and_unknown_entities_are_named() -> None:
    known = pii.pool().entities()
    assert {"AU_TFN", "DE_TAX_ID", "IN_PAN", "KR_RRN", "PHONE_NUMBER", "PERSON"} <= set(known)
    pii.pool().check(["AU_TFN"], "entities")
    with pytest.raises(InvalidInputError, match="AU_TFN"):
        pii.pool().check(["NO_SUCH"], "entities")


def test_choices_of_entities_are_compiled_once_and_only_so_many_are_kept() -> None:
    own = DetectorPool(None, None, 0)
    own._loaded = pii.loaded()
    first = own.detector(Policy(entities=("US_SSN",)))
    assert own.detector(Policy(entities=("US_SSN",))) is first
    for n in range(20):
        own.detector(Policy(entities=("US_SSN",), threshold=n / 40))
    assert len(own._made) == 16


def test_nothing_asks_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests run without sockets: a look-up of public suffixes would fail here, or hang."""
    engine, recognizers = pii.loaded()
    assert engine.pipeline.lang == "en"
    monkeypatch.delenv("TLDEXTRACT_CACHE", raising=False)
    fresh = Detector(engine, every_recognizer(), 0.0)
    assert len(recognizers) == len(fresh._recognizers)
    assert any(one.entity == "EMAIL_ADDRESS" for one in fresh.detect("jane@never-seen.example.org"))


def test_anchors_do_not_occur_in_the_patterns() -> None:
    """Lines stand between quotes in a batch: to a pattern with an anchor that would be no start."""
    _, recognizers = pii.loaded()
    for one in recognizers:
        for pattern in getattr(one, "patterns", ()):
            bare = pattern.regex.replace("[^", "").replace("\\$", "")
            outside = "".join(_outside_classes(bare))
            assert "^" not in outside, pattern.regex
            assert "$" not in outside, pattern.regex
            assert not {r"\A", r"\Z"} & {bare[n : n + 2] for n in range(len(bare))}


def _outside_classes(regex: str) -> list[str]:
    found, inside, n = [], False, 0
    while n < len(regex):
        if regex[n] == "\\":
            n += 2
            continue
        if regex[n] in "[]":
            inside = regex[n] == "["
        elif not inside:
            found.append(regex[n])
        n += 1
    return found


def test_what_is_searched_coarsely_is_a_part_of_every_match() -> None:
    _, recognizers = pii.loaded()
    named = {type(one).__name__ for one in recognizers}
    assert set(prefilter.COARSE) <= named
