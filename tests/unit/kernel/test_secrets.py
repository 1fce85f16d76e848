import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.secrets import Mac, Secrets, open_secrets

AT_ONCE = 6


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "master.key"
    first = open_secrets(path, may_create=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_secrets(path, may_create=True) == first


def test_of_many_at_once_one_makes_the_key_and_all_have_it(tmp_path: Path) -> None:
    together = threading.Barrier(AT_ONCE, timeout=60)

    def opened(_: int) -> list[Secrets]:
        made = []
        for turn in range(20):
            together.wait()
            made.append(open_secrets(tmp_path / str(turn) / "master.key", may_create=True))
        return made

    with ThreadPoolExecutor(AT_ONCE) as threads:
        turns = list(zip(*threads.map(opened, range(AT_ONCE)), strict=True))
    assert all(one == turn[0] for turn in turns for one in turn)
    assert {one.name for one in tmp_path.glob("*/*")} == {"master.key"}


def test_a_server_refuses_to_invent_a_key(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="master key"):
        open_secrets(tmp_path / "none", may_create=False)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(32))
    path.chmod(0o640)
    with pytest.raises(InvalidInputError, match="chmod 600"):
        open_secrets(path, may_create=True)


def test_a_key_of_another_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(31))
    path.chmod(0o600)
    with pytest.raises(InvalidInputError, match="31 bytes"):
        open_secrets(path, may_create=True)


def test_the_same_person_has_the_same_pseudonym_and_no_other(tmp_path: Path) -> None:
    secrets = open_secrets(tmp_path / "a", may_create=True)
    others = open_secrets(tmp_path / "b", may_create=True)
    key = secrets.subject_key("email", "anna@example.org")
    assert key == secrets.subject_key("email", "ANNA@example.org")
    assert key != secrets.subject_key("user_id", "anna@example.org")
    assert key != others.subject_key("email", "anna@example.org")
    assert "anna" not in repr(secrets) + key


def test_what_is_costly_to_read_is_remembered_by_pseudonyms_alone(tmp_path: Path) -> None:
    secrets = open_secrets(tmp_path / "a", may_create=True, phone_region="AU")
    spellings = ("0412 345 678", "+61 412 345 678", "0061412345678", "tel:+61-412-345-678")
    for _ in range(2):
        assert {secrets.subject_key("phone", one) for one in spellings} == {
            secrets.subject_key("phone", "+61412345678")
        }
    assert secrets.subject_key("email", "A@b\u00fccher.example") == secrets.subject_key(
        "email", "a@xn--bcher-kva.example"
    )
    assert len(secrets._known) == 6
    kept = "".join(f"{spelling}{key}" for spelling, key in secrets._known.items())
    assert set(kept) <= set("0123456789abcdef")
    assert secrets.subject_key("phone", "0412 345 678") != open_secrets(
        tmp_path / "a", may_create=False
    ).subject_key("phone", "0412 345 678")


def test_what_is_remembered_is_bounded(tmp_path: Path) -> None:
    secrets = open_secrets(tmp_path / "a", may_create=True)
    for number in range(20_001):
        secrets.subject_key("email", f"\u00fc{number}")
    assert len(secrets._known) == 1


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_the_quick_mac_is_hmac_sha_256(key: bytes, message: bytes) -> None:
    assert Mac(key).hexdigest(message) == hmac.digest(key, message, "sha256").hex()
