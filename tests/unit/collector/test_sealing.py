from hypothesis import given
from hypothesis import strategies as st

from collector.quarantine.sealing import digest, new_data_key, open_sealed, seal, unwrap, wrap

MASTER, OTHER = bytes(32), bytes(range(32))
KEY = new_data_key()


@given(payload=st.binary(max_size=2000))
def test_what_is_sealed_opens_to_the_same_bytes(payload: bytes) -> None:
    assert open_sealed(KEY, "id", "malformed", seal(KEY, "id", "malformed", payload)) == payload


def test_it_opens_under_its_own_id_code_and_key_alone() -> None:
    sealed = seal(KEY, "id", "malformed", b"secret")
    assert open_sealed(KEY, "other", "malformed", sealed) is None
    assert open_sealed(KEY, "id", "clock_skew", sealed) is None
    assert open_sealed(new_data_key(), "id", "malformed", sealed) is None


def test_a_changed_byte_is_noticed() -> None:
    sealed = seal(KEY, "id", "malformed", b"secret")
    changed = sealed[:20] + ("A" if sealed[20] != "A" else "B") + sealed[21:]
    assert open_sealed(KEY, "id", "malformed", changed) is None


def test_the_same_payload_is_never_sealed_the_same_way_twice() -> None:
    assert seal(KEY, "id", "malformed", b"secret") != seal(KEY, "id", "malformed", b"secret")


def test_a_wrapped_key_opens_under_its_master_key_and_day_alone() -> None:
    wrapped = wrap(MASTER, "2026-11-22", KEY)
    assert unwrap(MASTER, "2026-11-22", wrapped) == KEY
    assert unwrap(OTHER, "2026-11-22", wrapped) is None
    assert unwrap(MASTER, "2026-11-23", wrapped) is None
    assert unwrap(MASTER, "2026-11-22", b"short") is None


def test_a_digest_keeps_its_parts_apart_and_needs_the_key() -> None:
    assert digest(MASTER, b"ab", b"c") == digest(MASTER, b"ab", b"c")
    assert digest(MASTER, b"ab", b"c") != digest(MASTER, b"a", b"bc")
    assert digest(MASTER, b"a") != digest(OTHER, b"a")
