"""Every language says everything, and leaves the same gaps."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest

from dashboards.words import languages_spoken, words_for, words_in
from privacy.consent.act import Action, Source
from privacy.consent.decision import Allowing, Denying
from privacy.consent.purpose import BASES
from privacy.consent.receipt import STATES

GAP = re.compile(r"\{(\w+)\}")


def flat(words: dict[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in words.items():
        found |= flat(value, f"{name}.") if isinstance(value, dict) else {before + name: value}
    return found


@pytest.mark.parametrize("locale", languages_spoken())
def test_each_language_has_the_same_words_with_the_same_gaps(locale: str) -> None:
    english, own = flat(words_in("en").found), flat(words_in(locale).found)
    assert own.keys() == english.keys()
    for name, text in own.items():
        assert set(GAP.findall(text)) == set(GAP.findall(english[name])), name
        assert text.strip(), name
    assert len(words_in(locale)("months").split()) == 12


@pytest.mark.parametrize("locale", languages_spoken())
def test_each_language_knows_every_word_of_the_closed_lists(locale: str) -> None:
    found = words_in(locale).found
    assert set(get_args(Source)) <= found["source"].keys()
    assert {STATES[one] for one in get_args(Action)} == found["state"].keys()
    assert BASES.keys() == found["basis"].keys()
    assert {*get_args(Allowing), *get_args(Denying)} <= found["reason"].keys()


def test_moments_are_told_in_utc_as_people_write_them() -> None:
    at = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert words_in("en").moment(at) == "28 Feb 2026, 22:30 UTC"
    assert words_in("de").date(at.astimezone(UTC)) == "28.2.2026"
    assert words_in("fr").date(at) == "28 f\u00e9vr. 2026"
    assert words_for("de-CH").locale == "de"
    assert words_in("en").of("channel", "carrier-pigeon") == "carrier-pigeon"
