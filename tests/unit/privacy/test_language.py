"""Which language a person is served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.consent.language import best_language


@pytest.mark.parametrize(
    ("wanted", "best"),
    [
        ("de-AT,de;q=0.8,en;q=0.5", "de"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("fr, en;q=0.1, de;q=0.5", "de"),
        ("DE", "de"),
        ("en-GB;q=0, de;q=0.1", "de"),
        ("*", "en"),
        ("fr", "en"),
        ("", "en"),
        ("de;q=nan, en;q=x", "en"),
        ("de;q", "en"),
    ],
)
def test_the_highest_ranked_language_is_served(wanted: str, best: str) -> None:
    assert best_language(wanted, ["de", "en", "pt-BR"]) == best


def test_without_english_the_first_is_served() -> None:
    assert best_language("fr", ["it", "de"]) == "it"


@given(wanted=st.text(max_size=300))
def test_whatever_is_wanted_something_is_served(wanted: str) -> None:
    assert best_language(wanted, ["it", "de"]) in {"it", "de"}
