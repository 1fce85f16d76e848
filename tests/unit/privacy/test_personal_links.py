"""Tokens of personal links: sealed, in one spelling, and good for one use."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.consent.link import Link, LinkEndedError, NoSuchLinkError, Use, link_of, token_of

KEY = bytes(range(32))
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
WORDS = st.from_regex(r"[a-z0-9][a-z0-9._:-]{0,30}", fullmatch=True)
LINKS = st.builds(
    Link,
    st.binary(min_size=32, max_size=32).map(bytes.hex),
    WORDS,
    WORDS,
    st.just("") | WORDS,
    st.just("") | WORDS,
    st.none()
    | st.datetimes(NOON.replace(tzinfo=None), timezones=st.just(UTC)).map(
        lambda at: at.replace(microsecond=0) + timedelta(seconds=1)
    ),
)
USES: st.SearchStrategy[Use] = st.sampled_from(["unsubscribe", "preferences"])


@given(link=LINKS, use=USES)
def test_a_token_stands_for_its_link_and_says_nothing_of_it(link: Link, use: Use) -> None:
    token = token_of(link, use, KEY)
    assert link_of(token, use, KEY, NOON) == link
    assert token == token_of(link, use, KEY)
    assert set(token) <= set(ALPHABET)
    assert link.subject_key[:12] not in token


@given(link=LINKS, use=USES, data=st.data())
def test_any_changed_character_is_refused(link: Link, use: Use, data: st.DataObject) -> None:
    token = token_of(link, use, KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda one: one != token[place]))
    with pytest.raises(NoSuchLinkError):
        link_of(token[:place] + other + token[place + 1 :], use, KEY, NOON)


@given(link=LINKS, use=USES)
def test_the_last_character_has_one_spelling(link: Link, use: Use) -> None:
    token = token_of(link, use, KEY)
    for other in ALPHABET:
        if other != token[-1]:
            with pytest.raises(NoSuchLinkError):
                link_of(token[:-1] + other, use, KEY, NOON)


@given(link=LINKS, use=USES, more=st.text(min_size=1, max_size=4))
def test_a_longer_or_shorter_token_is_refused(link: Link, use: Use, more: str) -> None:
    token = token_of(link, use, KEY)
    for bad in (token + more, more + token, token[: -len(more)], token + "="):
        with pytest.raises(NoSuchLinkError):
            link_of(bad, use, KEY, NOON)


@given(text=st.text(max_size=200), use=USES)
def test_whatever_comes_instead_of_a_token_is_refused(text: str, use: Use) -> None:
    with pytest.raises(NoSuchLinkError):
        link_of(text, use, KEY, NOON)


@given(link=LINKS)
def test_a_token_opens_nothing_with_another_key_or_for_another_use(link: Link) -> None:
    token = token_of(link, "unsubscribe", KEY)
    for use, key in (("preferences", KEY), ("unsubscribe", bytes(32))):
        with pytest.raises(NoSuchLinkError):
            link_of(token, use, key, NOON)  # type: ignore[arg-type]  # both are uses


def test_a_link_ends_at_its_instant_and_not_before() -> None:
    link = Link("00" * 32, "email", "*", until=NOON)
    token = token_of(link, "preferences", KEY)
    assert link_of(token, "preferences", KEY, NOON - timedelta(microseconds=1)) == link
    with pytest.raises(LinkEndedError):
        link_of(token, "preferences", KEY, NOON)
