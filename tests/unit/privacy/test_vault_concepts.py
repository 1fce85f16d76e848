"""The register of destroyed keys, the memory, and the rate of reveals."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.ports import PersonalValue
from privacy.vault.cache import BoundedCache
from privacy.vault.owner import Owner, owner_of
from privacy.vault.rate import admit
from privacy.vault.register import Register, Tombstone
from privacy.vault.sealing import Cipher, DataKey
from privacy.vault.store import Turn
from privacy.vault.turns import Memory
from tests.support.stores import NOON

KEY = bytes(32)
ONE = Tombstone("a" * 64, NOON, ("k1", "k2"))
TWO = Tombstone("b" * 64, NOON + timedelta(hours=1), ())
SECOND = timedelta(seconds=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "destroyed.log"


def begun(path: Path) -> Register:
    register = Register(path, KEY)
    register.begin()
    return register


def test_a_missing_or_empty_register_is_not_taken_for_one_without_entries(path: Path) -> None:
    register = Register(path, KEY)
    for _ in range(2):
        assert register.contents() is None
        with pytest.raises(UnavailableError, match="missing"):
            register.read()
        with pytest.raises(UnavailableError, match="missing"):
            register.append([ONE])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'{"regis')
    register.begin()
    assert register.read() == []


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_register_that_was_cut_does_not_hold_what_it_held(path: Path, left: int) -> None:
    register = begun(path)
    extent = register.append([ONE, TWO, replace(ONE, subject_key="c")])
    contents = register.contents()
    assert contents is not None
    assert contents.holds(extent)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + left]))
    cut = register.contents()
    assert cut is not None
    assert not cut.holds(extent)
    register.append([replace(ONE, subject_key=one) for one in "defg"])
    forked = register.contents()
    assert forked is not None
    assert not forked.holds(extent)


@pytest.mark.parametrize("order", [(0, 2, 3), (0, 1, 3), (0, 2, 1, 3), (0, 1, 1, 2, 3), (1, 2, 3)])
def test_no_line_can_be_taken_out_moved_or_repeated(path: Path, order: tuple[int, ...]) -> None:
    register = begun(path)
    register.append([ONE, TWO, replace(ONE, subject_key="c")])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[one] for one in order))
    with pytest.raises(UnavailableError, match="cannot be used"):
        register.read()
    with pytest.raises(UnavailableError, match="cannot be used"):
        register.append([TWO])


def test_the_register_tells_what_was_added_in_order_and_each_once(path: Path) -> None:
    register = Register(path, KEY)
    register.begin()
    assert register.read() == []
    empty = register.append([])
    register.append([ONE])
    register.begin()
    full = Register(path, KEY).append([ONE, TWO])
    assert register.read() == [ONE, TWO]
    assert (empty.register_id, empty.entries, full.entries) == (full.register_id, 0, 2)
    assert path.stat().st_mode & 0o077 == 0


def test_what_a_crash_cut_off_does_not_count_and_is_written_over(path: Path) -> None:
    register = begun(path)
    register.append([ONE])
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(b'{"at": "2026-')
    assert register.read() == [ONE]
    register.append([TWO])
    assert register.read() == [ONE, TWO]
    assert path.read_bytes().startswith(whole)


def test_a_long_register_is_not_read_again_to_add_to_it(path: Path) -> None:
    many = [Tombstone(f"{number:064x}", NOON, ("k" * 16,)) for number in range(8000)]
    register = begun(path)
    register.append(many)
    assert path.stat().st_size > 1_500_000
    register.append([many[-1], ONE])
    with path.open("ab") as file:
        file.write(b'{"at": "2026-')
    register.append([many[-2], TWO])
    assert register.read() == [*many, ONE, TWO]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"k1", b"k9"),
        (b"aaaa", b"cccc"),
        (b"12:00", b"11:00"),
        (b'{"at', b'["at'),
        (b'"at"', b'"as"'),
    ],
)
def test_a_line_that_was_changed_is_refused(path: Path, before: bytes, after: bytes) -> None:
    register = begun(path)
    register.append([ONE, TWO])
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    with pytest.raises(UnavailableError, match="entry 1"):
        register.read()
    with pytest.raises(UnavailableError, match="entry 1"):
        register.append([ONE])


def test_another_installations_register_is_refused(path: Path) -> None:
    begun(path).append([ONE])
    with pytest.raises(UnavailableError, match="another installation"):
        Register(path, bytes(range(32))).read()


def test_a_register_that_cannot_be_used_says_where_it_is(tmp_path: Path) -> None:
    register = Register(tmp_path, KEY)
    with pytest.raises(UnavailableError, match=str(tmp_path)):
        register.read()
    with pytest.raises(UnavailableError, match=str(tmp_path)):
        register.append([ONE])
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match=str(tmp_path)):
        Register(tmp_path / "file" / "destroyed.log", KEY).begin()


def test_a_tombstone_covers_its_keys_and_every_older_one_of_the_person() -> None:
    assert ONE.covers("k1", NOON + SECOND)
    assert ONE.covers("unknown", NOON - SECOND)
    assert not ONE.covers("later", NOON)


def test_a_person_has_one_key_and_nobody_one_for_each_scope_and_day() -> None:
    assert owner_of("a", "support", NOON) == Owner("a") == owner_of("a", "*", NOON + 9 * SECOND)
    assert owner_of("", "support", NOON) == Owner("", "support", "2026-11-22")
    with pytest.raises(InvalidInputError):
        owner_of("a" * 65, "support", NOON)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_memory_is_bounded_in_count_and_in_time() -> None:
    seconds = Seconds()
    cache = BoundedCache[str, int](3, timedelta(seconds=10), seconds)
    for number in range(5):
        cache.remember({str(number): number})
    assert cache.find("01234") == {"2": 2, "3": 3, "4": 4}
    seconds.now = 5
    cache.remember({"2": 20})
    seconds.now = 10
    assert cache.find("234") == {"2": 20}
    seconds.now = 15
    assert len(cache) == 0


def test_the_memory_forgets_what_it_is_told_to() -> None:
    cache = BoundedCache[str, int](10, timedelta(seconds=10), Seconds())
    cache.remember({"a": 1, "b": 2, "c": 3})
    cache.forget(lambda key, value: key == "a" or value == 3)
    assert cache.find("abc") == {"b": 2}
    cache.forget()
    assert len(cache) == 0


def test_what_was_read_before_a_destruction_is_not_remembered_after_it() -> None:
    forever = timedelta(days=1)
    memory = Memory(BoundedCache(10, forever, Seconds()), BoundedCache(10, forever, Seconds()))
    anna = DataKey("A" * 16, "anna", bytes(16), Cipher(bytearray(32)))
    bert = DataKey("B" * 16, "bert", bytes(16), Cipher(bytearray(32)))
    first, second = Turn(1, "x"), Turn(2, "y")
    memory.move_on(first, None)
    memory.learn_keys(first, {Owner("anna"): anna, Owner("bert"): bert})
    memory.learn_tokens(first, {(b"1", "anna"): "tok_1", (b"1", "bert"): "tok_1"})
    memory.move_on(second, {"anna"})
    memory.learn_keys(first, {Owner("anna"): anna})
    memory.learn_tokens(first, {(b"1", "anna"): "tok_1"})
    assert memory.keys.find([Owner("anna"), Owner("bert")]) == {Owner("bert"): bert}
    assert memory.tokens.find([(b"1", "anna"), (b"1", "bert")]) == {(b"1", "bert"): "tok_1"}
    memory.move_on(Turn(1, "restored"), None)
    assert (len(memory.keys), len(memory.tokens)) == (0, 0)


@given(
    asked=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 100_000)), min_size=1, max_size=60)
)
def test_nobody_reveals_more_in_a_minute_than_a_burst_and_a_minutes_worth(
    asked: list[tuple[int, int]],
) -> None:
    due, now, admitted = None, NOON, []
    for values, milliseconds in asked:
        now += timedelta(milliseconds=milliseconds)
        admission = admit(due, now, values, 60)
        if admission.wait is None:
            due = admission.due
            admitted.append((now, values))
        else:
            again = admit(due, now + admission.wait, values, 60)
            assert again.wait is None
    for start, _ in admitted:
        until = start + timedelta(minutes=1)
        assert sum(values for at, values in admitted if start <= at < until) <= 120


def test_a_burst_of_a_minutes_worth_passes_and_the_next_waits_its_time() -> None:
    first = admit(None, NOON, 60, 60)
    assert first.wait is None
    assert admit(first.due, NOON, 1, 60).wait == SECOND
    assert admit(first.due, NOON + SECOND, 1, 60).wait is None


def test_a_personal_value_prints_everything_but_itself() -> None:
    printed = repr(PersonalValue("anna@example.org", "a" * 64, "email"))
    assert "anna" not in printed
    assert "email" in printed
