"""What a pass over a whole batch lets through holds nothing that a scan would find."""

import random
from typing import Any

import msgspec
import pytest

from privacy.pii.policy import Policy
from privacy.pii.scanning import MOST_DEPTH, Circumstances
from privacy.pii.suspicion import suspect_texts, suspect_values
from tests.support import pii
from tests.support.telemetry_corpus import clean_event, fuzzed_text, personal_value

MAIL = "jane@example.org"
KEYS = (
    *("x", "v", "value", "phone", "order_number", "firstName", "lead-surname", "Street Address"),
    *(
        "0",
        "data",
        "contact.last_name",
        "DOB",
        "capacity",
        "tin",
        "nhs",
        MAIL,
        ":first_name",
        "city",
    ),
)


def value(source: random.Random, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Return a value as an attribute may be: nested, spelled in a text, with odd keys."""
    chance = source.random()
    if chance < 0.2 and depth < 4:
        return {source.choice(KEYS): value(source, depth + 1) for _ in range(source.randrange(4))}
    if chance < 0.3 and depth < 4:
        return [value(source, depth + 1) for _ in range(source.randrange(4))]
    if chance < 0.4 and depth < 4:
        return msgspec.json.encode(value(source, depth + 1)).decode()
    if chance < 0.5:
        return f"https://a.io/{source.choice(KEYS)}?{source.choice(KEYS)}={fuzzed_text(source)}"
    made = (
        fuzzed_text(source),
        source.choice(list(clean_event(source).values())),
        source.randrange(10 ** source.randrange(1, 19)),
        int(personal_value("CREDIT_CARD", source)),
        f'a "{personal_value("EMAIL_ADDRESS", source)}"',
        None,
        True,
    )
    return source.choice(made)


@pytest.mark.parametrize("names", ["off", "keys", "strict"])
def test_a_value_that_holds_something_is_suspect(names: Any) -> None:  # noqa: ANN401 - a choice
    guard = pii.guard(Policy(names=names))
    source = random.Random(f"values {names}")
    holding = 0
    for _ in range(1500):
        keys = [key for key in source.sample(KEYS, 3) if not guard.is_suspect(key)]
        values = [value(source) for _ in keys]
        raws = [msgspec.Raw(msgspec.json.encode(one)) for one in values]
        suspects = suspect_values(guard.lines, raws)
        for n, (key, one) in enumerate(zip(keys, values, strict=True)):
            if guard.scanner.scan(one, Circumstances(), ("attributes", key)).findings:
                assert n in suspects, (key, one)
                holding += 1
    assert holding > 300


def test_a_text_that_holds_something_is_suspect() -> None:
    guard = pii.guard()
    source = random.Random("texts")
    for _ in range(700):
        texts = [one for one in (value(source), value(source)) if isinstance(one, str)]
        suspects = suspect_texts(guard.lines, texts)
        for n, one in enumerate(texts):
            if guard.scanner.scan(one, Circumstances(), ("instance",)).findings:
                assert n in suspects, one


@pytest.mark.parametrize(
    "clean",
    [
        {"method": "POST", "status": 404, "etag": 'W/"6a1b"'},
        ["blue", "shard-3"],
        {"capacity": 3, "velocity": [1.5, 2]},
        "/api/v2/orders/{id}",
        1743464097645,
        "https://a.io/p?page=3",
    ],
)
def test_a_value_that_nothing_speaks_for_is_not_looked_at(clean: Any) -> None:  # noqa: ANN401 - any JSON
    raw = msgspec.Raw(msgspec.json.encode(clean))
    assert not suspect_values(pii.guard().lines, [raw])


@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_a_value_too_deep_to_be_walked_is_suspect(opened: str, closed: str) -> None:
    deep = opened * (MOST_DEPTH + 1) + "1" + closed * (MOST_DEPTH + 1)
    raws = [msgspec.Raw(b"1"), msgspec.Raw(deep.encode())]
    assert suspect_values(pii.guard().lines, raws) == {1}


def test_a_number_whose_digits_only_reading_tells_is_suspect() -> None:
    raws = [msgspec.Raw(b"4.111111111111111e15"), msgspec.Raw(b"1.5e-7")]
    assert pii.scan(msgspec.json.decode(raws[0])).findings
    assert suspect_values(pii.guard().lines, raws) == {0}


def test_lines_are_told_apart_where_values_hold_line_ends() -> None:
    raws = [msgspec.Raw(b"[1,\n2]"), msgspec.Raw(f'[\n"{MAIL}",\n3]'.encode()), msgspec.Raw(b"7")]
    assert suspect_values(pii.guard().lines, raws) == {1}
    assert suspect_texts(pii.guard().lines, ["a\nb", "é", "c", f"d\n{MAIL}"]) == {1, 3}
