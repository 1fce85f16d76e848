"""What is sealed opens in its own place alone, and tells nothing."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.vault.roots import FileRoot
from privacy.vault.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    Cipher,
    DataKey,
    is_token,
    key_bound,
    new_key_id,
    new_secret,
    new_token,
    parse_text,
)

INSTALLATION = bytes(16)
SECRET = bytes(range(32))
KEY_ID = "AAAABBBBCCCCDDDD"
ANNA, BERT = "a" * 64, "b" * 64
TEXT = st.text(max_size=300) | st.text(st.characters(codec=None), max_size=20)


def key(
    secret: bytes = SECRET,
    key_id: str = KEY_ID,
    subject_key: str = ANNA,
    installation: bytes = INSTALLATION,
) -> DataKey:
    return DataKey(key_id, subject_key, installation, Cipher(bytearray(secret)))


def nonce() -> bytes:
    return os.urandom(NONCE_BYTES)


@given(value=TEXT, field=TEXT, subject_key=st.text(max_size=64))
def test_what_is_sealed_opens_to_the_same_value(value: str, field: str, subject_key: str) -> None:
    sealed = key(subject_key=subject_key).seal(nonce(), field, value)
    assert key(subject_key=subject_key).open(sealed, field) == value


@given(value=st.text(max_size=300), field=st.text(max_size=50))
def test_a_text_can_stand_in_an_address_and_says_which_key_opens_it(value: str, field: str) -> None:
    sealed = key().seal(nonce(), field, value)
    assert re.fullmatch(r"enc1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+", sealed)
    parsed = parse_text(sealed)
    assert parsed is not None
    assert parsed.key_id == KEY_ID
    assert len(parsed.sealed) == NONCE_BYTES + len(value.encode()) + 16


@pytest.mark.parametrize(
    "other",
    [
        key(subject_key=BERT),
        key(secret=bytes(32)),
        key(installation=bytes(range(16))),
        key(key_id="AAAABBBBCCCCDDDE"),
    ],
    ids=["subject", "secret", "installation", "key id"],
)
def test_a_text_opens_for_its_own_owner_and_installation_alone(other: DataKey) -> None:
    sealed = key().seal(nonce(), "email", "anna@example.org")
    assert other.open(sealed, "email") is None
    assert other.open(sealed.replace(KEY_ID, other.id), "email") is None


@given(field=st.text(max_size=30), other=st.text(max_size=30))
def test_a_text_does_not_open_in_another_field(field: str, other: str) -> None:
    opened = key().open(key().seal(nonce(), field, "x"), other)
    assert opened == ("x" if field == other else None)


@given(value=st.text(min_size=1, max_size=40), bit=st.integers(min_value=0))
def test_a_change_of_any_bit_of_the_data_is_noticed(value: str, bit: int) -> None:
    sealed = bytearray(key().seal(nonce(), "email", value).encode())
    place, mask = bit % (len(sealed) * 7) // 7, 1 << bit % 7
    sealed[place] ^= mask
    assert key().open(sealed.decode(), "email") is None


@given(value=st.text(max_size=40), cut=st.integers(min_value=1, max_value=60))
def test_a_text_that_is_cut_or_grown_opens_nowhere(value: str, cut: int) -> None:
    sealed = key().seal(nonce(), "email", value)
    assert key().open(sealed[:-cut], "email") is None
    assert key().open(sealed + "A" * cut, "email") is None


@pytest.mark.parametrize(
    "text", ["", "enc1.", "enc2." + KEY_ID + "." + "A" * 40, "tok_x", "é" * 60]
)
def test_what_is_no_sealed_text_is_none(text: str) -> None:
    assert parse_text(text) is None
    assert key().open(text, "email") is None


def test_one_value_has_one_spelling_of_its_base64() -> None:
    sealed = key().seal(nonce(), "email", "four")
    last = next(one for one in "ABCDEFGH" if one != sealed[-1])
    spelt = [sealed[:-1] + chr(code) for code in range(33, 127)]
    assert [one for one in spelt if key().open(one, "email") == "four"] == [sealed]
    assert key().open(sealed + "=", "email") is None
    assert key().open(sealed[:-1] + last, "email") is None


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    assert len({key().seal(nonce(), "email", "anna") for _ in range(100)}) == 100


@given(value=TEXT)
def test_the_value_of_a_token_opens_for_that_token_alone(value: str) -> None:
    sealed = key().seal_for_token(nonce(), "tok_one", value)
    assert key().open_for_token(sealed, "tok_one") == value
    assert key().open_for_token(sealed, "tok_two") is None
    assert key(subject_key=BERT).open_for_token(sealed, "tok_one") is None
    assert key().open_for_token("no base64", "tok_one") is None


def test_a_text_of_a_field_is_not_the_value_of_a_token_of_that_name() -> None:
    sealed = key().seal(nonce(), "tok_one", "anna").removeprefix(f"enc1.{KEY_ID}.")
    assert key().open_for_token(sealed, "tok_one") is None


def test_tokens_and_key_ids_are_random_and_known_by_their_form() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(is_token(one) and len(one) == 26 for one in tokens)
    assert not is_token("tok_short")
    assert len({new_key_id() for _ in range(100)}) == 100


def test_a_wrapped_key_opens_under_its_wrapper_owner_and_id_alone() -> None:
    wrapper, secret = Cipher(new_secret()), new_secret()
    bound = key_bound(INSTALLATION, KEY_ID, ANNA)
    wrapped = wrapper.wrap(secret, bound)
    assert wrapper.unwrapped(wrapped, bound) == secret
    opened = wrapper.unwrap(wrapped, bound)
    assert opened is not None
    assert opened.encrypt(bytes(12), b"x", b"") == Cipher(secret).encrypt(bytes(12), b"x", b"")
    assert wrapper.unwrap(wrapped, key_bound(INSTALLATION, KEY_ID, BERT)) is None
    assert wrapper.unwrap(wrapped, key_bound(INSTALLATION, new_key_id(), ANNA)) is None
    assert Cipher(new_secret()).unwrap(wrapped, bound) is None
    assert wrapper.unwrap(b"short", bound) is None


def test_the_bytes_of_a_key_are_overwritten_when_nobody_has_it_any_more() -> None:
    secret = bytearray(SECRET)
    cipher = Cipher(secret)
    assert secret == SECRET
    del cipher
    assert secret == bytes(KEY_BYTES)


def test_nothing_that_is_printed_holds_a_key() -> None:
    for printed in (repr(key()), repr(Cipher(bytearray(SECRET))), repr(FileRoot(SECRET))):
        assert SECRET.hex() not in printed
        assert repr(SECRET) not in printed


def test_a_root_opens_what_it_wrapped_in_its_place_alone() -> None:
    root, secret, place = FileRoot(SECRET), new_secret(), {"key": "1"}
    wrapped = root.wrap(secret, place)
    assert FileRoot(SECRET).unwrap(wrapped, place) == secret
    assert root.unwrap(wrapped, {"key": "2"}) is None
    assert FileRoot(bytes(32)).unwrap(wrapped, place) is None
    assert root.id == FileRoot(SECRET).id != FileRoot(bytes(32)).id
