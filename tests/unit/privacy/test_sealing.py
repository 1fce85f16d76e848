"""A sealed identifier opens under its own pseudonym, type and master key alone."""

from hypothesis import given
from hypothesis import strategies as st

from privacy.subjects.sealing import open_sealed, seal

KEY, OTHER = bytes(32), bytes(range(32))
ANNA, BEN = "a" * 64, "b" * 64


@given(st.text(max_size=50))
def test_what_is_sealed_opens_and_says_nothing(value: str) -> None:
    sealed = seal(KEY, ANNA, "email", value)
    assert open_sealed(KEY, ANNA, "email", sealed) == value
    assert seal(KEY, ANNA, "email", value) != sealed
    assert len(value.encode()) < 4 or value.encode() not in sealed


def test_what_is_sealed_opens_nowhere_else() -> None:
    sealed = seal(KEY, ANNA, "email", "anna@example.org")
    assert open_sealed(OTHER, ANNA, "email", sealed) is None
    assert open_sealed(KEY, BEN, "email", sealed) is None
    assert open_sealed(KEY, ANNA, "phone", sealed) is None


@given(st.integers(min_value=0), st.integers(1, 255))
def test_what_was_changed_does_not_open(place: int, change: int) -> None:
    sealed = bytearray(seal(KEY, ANNA, "email", "anna@example.org"))
    sealed[place % len(sealed)] ^= change
    assert open_sealed(KEY, ANNA, "email", bytes(sealed)) is None


def test_what_was_cut_does_not_open() -> None:
    sealed = seal(KEY, ANNA, "email", "anna@example.org")
    assert {open_sealed(KEY, ANNA, "email", sealed[:end]) for end in range(len(sealed))} == {None}
