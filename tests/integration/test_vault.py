"""The vault on both state stores: sealed, found again, rotated, and destroyed."""

import shutil
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from candor.kernel.database import open_engine, session_of
from candor.kernel.errors import ConflictError, InvalidInputError, OverloadedError, UnavailableError
from candor.kernel.ports import Identifier, PersonalValue, Provenance
from privacy.audit import store as audit
from privacy.subjects.index import StoredSubjectIndex
from privacy.vault import store
from privacy.vault.destruction import destroy_day_keys, destroy_subjects
from privacy.vault.revealing import Sought
from privacy.vault.rotation import rotate
from tests.support.stores import SECRETS, FixedClock
from tests.support.vault import ANNA, BERT, EMAIL, Replica, joined, replica_on

VALUE = "anna.secret@example.org"


@pytest.fixture
def replica(state: Engine, tmp_path: Path) -> Replica:
    return replica_on(state, tmp_path)


def sought(texts: list[str], field: str = EMAIL, subject_key: str | None = None) -> list[Sought]:
    return [Sought(one, field, subject_key) for one in texts]


def test_what_is_encrypted_is_revealed_in_its_field(replica: Replica) -> None:
    texts = replica.vault.encrypt([VALUE, "", "ü\x00\U0001f600"], ANNA, EMAIL)
    assert replica.values(*sought(texts)) == [VALUE, "", "ü\x00\U0001f600"]
    assert replica.vault.encrypt([], ANNA, EMAIL) == []


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    values=st.lists(
        st.tuples(st.text(max_size=60), st.sampled_from(["", ANNA, BERT]), st.text(max_size=20)),
        max_size=20,
    )
)
def test_batches_of_many_people_and_fields_come_back_as_they_went(
    sqlite: Engine, tmp_path: Path, values: list[tuple[str, str, str]]
) -> None:
    replica = replica_on(sqlite, tmp_path, reveals_per_minute=10**9)
    items = [PersonalValue(*one) for one in values]
    texts = replica.vault.encrypt_all(items)
    tokens = replica.vault.tokenise_all(items, "support")
    asked = [
        Sought(text, one.field, one.subject_key)
        for some in (texts, tokens)
        for text, one in zip(some, items, strict=True)
    ]
    found = replica.reveal(*asked, reason="1")
    assert [one.value for one in found] == [one.value for one in items] * 2
    by_value = dict(zip([one.value for one in items], tokens, strict=True))
    assert tokens == [by_value[one.value] for one in items]
    assert len(set(tokens)) == len({one.value for one in items})


def test_a_text_that_was_moved_to_another_field_or_person_is_refused(replica: Replica) -> None:
    (text_,) = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    (other,) = replica.vault.encrypt(["bert"], BERT, EMAIL)
    swapped = text_[:21] + other[21:]
    found = replica.reveal(
        Sought(text_, "attributes.note"),
        Sought(text_, EMAIL, BERT),
        Sought(swapped, EMAIL),
        Sought(text_[:-1] + ("A" if text_[-1] != "A" else "Q"), EMAIL),
        Sought("enc1." + "A" * 16 + text_[21:], EMAIL),
    )
    assert {one.value for one in found} == {None}
    assert {one.fault for one in found[:-1]} <= {"mismatch", "malformed"}
    assert found[-1].fault == "unknown"


def test_a_key_that_is_given_to_another_person_in_the_store_opens_nothing(
    replica: Replica,
) -> None:
    replica.vault.encrypt([VALUE], ANNA, EMAIL)
    with session_of(replica.engine) as session:
        session.execute(text("UPDATE vault_keys SET subject_key = :it"), {"it": BERT})
    fresh = joined(replica_on(replica.engine, Path("elsewhere")))
    with pytest.raises(UnavailableError, match="moved to somebody else") as raised:
        fresh.vault.encrypt(["x"], BERT, EMAIL)
    assert VALUE not in str(raised.value)
    with pytest.raises(UnavailableError, match="moved to somebody else"):
        rotate(fresh.desk.keys, replica.engine, FixedClock(), by="test")


def test_tokens_are_the_same_in_one_scope_and_cannot_be_joined_between_two(
    replica: Replica, tmp_path: Path
) -> None:
    other = replica_on(replica.engine, tmp_path)
    values = [f"value-{number}" for number in range(1200)]
    support = replica.vault.tokenise(values, "support", ANNA)
    assert replica.vault.tokenise(values, "support", ANNA) == support
    assert other.vault.tokenise(values[::-1], "support", ANNA) == support[::-1]
    marketing = other.vault.tokenise(values, "marketing", ANNA)
    assert len({*support, *marketing}) == 2400
    with session_of(replica.engine) as session:
        rows = session.execute(text("SELECT lookup, token, scope FROM vault_tokens")).all()
    assert len({bytes(row.lookup) for row in rows}) == 2400
    assert {row.scope for row in rows} == {"support", "marketing"}


@pytest.mark.parametrize("scope", ["", "Support", "a b", "x" * 64, "*"])
def test_a_scope_is_a_name(replica: Replica, scope: str) -> None:
    with pytest.raises(InvalidInputError, match="scope"):
        replica.vault.tokenise(["x"], scope)


def test_a_token_opens_for_who_has_its_value(replica: Replica) -> None:
    (token,) = replica.vault.tokenise([VALUE], "support", ANNA)
    assert replica.vault.tokenise([VALUE], "support", BERT) == [token]
    (of_nobody,) = replica.vault.tokenise(["nobody"], "support")
    found = replica.reveal(
        Sought(token), Sought(token, "", BERT), Sought(token, "", "c" * 64), Sought(of_nobody)
    )
    assert [one.value for one in found] == [VALUE, VALUE, None, "nobody"]
    assert [one.subject_key for one in found] == [ANNA, BERT, "", ""]
    assert found[2].fault == "mismatch"


def test_values_of_nobody_have_a_key_of_the_day_and_are_kept_once(replica: Replica) -> None:
    (first,) = replica.vault.encrypt(["x"], "", EMAIL)
    (token,) = replica.vault.tokenise(["x"], "support")
    replica.clock.pass_by(timedelta(days=1))
    (second,) = replica.vault.encrypt(["x"], "", EMAIL)
    assert first.split(".")[1] != second.split(".")[1]
    assert replica_on(replica.engine, Path()).vault.tokenise(["x"], "support") == [token]
    with session_of(replica.engine) as session:
        assert session.execute(text("SELECT count(*) FROM vault_values")).scalar() == 1
    assert replica.values(*sought([first, second])) == ["x", "x"]


def test_a_person_is_destroyed_under_every_identifier(replica: Replica) -> None:
    linked = [Identifier("user", ANNA), Identifier("email", BERT)]
    said = Provenance("shop", "api", "link", replica.clock(), replica.clock())
    StoredSubjectIndex(replica.engine).link(linked, said)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL) + replica.vault.encrypt(["b"], BERT, EMAIL)
    kept = replica.vault.encrypt(["c"], "c" * 64, EMAIL)
    assert len(replica.destroy(BERT).key_ids) == 2
    assert replica.values(*sought([*texts, *kept])) == [None, None, "c"]


def test_the_key_of_a_day_ends_with_its_retention_and_does_not_come_back(
    state: Engine, tmp_path: Path
) -> None:
    replica = replica_on(state, tmp_path)
    texts = replica.vault.encrypt([VALUE], "", EMAIL)
    tokens = replica.vault.tokenise([VALUE], "support")
    today = replica.clock().date()
    replica.clock.pass_by(timedelta(days=1))
    later = replica.vault.encrypt(["later"], "", EMAIL)
    before = by_subject(state)
    register = replica.desk.register
    assert destroy_day_keys(state, register, today, replica.clock()).key_ids == ()
    done = destroy_day_keys(state, register, today + timedelta(days=1), replica.clock())
    assert (len(done.key_ids), done.values) == (2, 1)
    asked = [*sought([*texts, *later]), Sought(tokens[0])]
    assert replica.values(*asked) == [None, "later", None]
    assert replica.vault.encrypt(["more"], "", EMAIL)[0].split(".")[1] == later[0].split(".")[1]
    restore(state, before)
    assert replica_on(state, tmp_path, replica.clock).values(*asked) == [None, "later", None]


def test_destroyed_is_destroyed_at_once_for_every_replica(replica: Replica, tmp_path: Path) -> None:
    first = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    other = joined(replica_on(replica.engine, tmp_path / "other"))
    texts = [*first, *other.vault.encrypt(["b"], ANNA, EMAIL)]
    kept = other.vault.encrypt(["bert"], BERT, EMAIL)
    (token,) = other.vault.tokenise([VALUE], "support", ANNA)
    before = texts[0].split(".")[1]
    done = replica.destroy(ANNA)
    assert (done.key_ids, done.values) == ((before,), 1)
    found = other.reveal(*sought(texts), Sought(token), *sought(kept))
    assert [one.fault for one in found] == ["destroyed", "destroyed", "unknown", None]
    (after,) = other.vault.encrypt(["again"], ANNA, EMAIL)
    assert after.split(".")[1] != before
    assert other.vault.tokenise([VALUE], "support", ANNA) != [token]
    assert replica.values(*sought([after, *texts])) == ["again", None, None]
    with session_of(replica.engine) as session:
        rows = session.execute(
            text("SELECT wrapped FROM vault_keys WHERE id = :id"), {"id": before}
        )
        assert rows.scalar() is None


def test_a_destruction_waits_for_the_reveal_that_began_before_it(
    state: Engine, tmp_path: Path
) -> None:
    replica, other = replica_on(state, tmp_path), replica_on(state, tmp_path)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    assert replica.values(*sought(texts)) == [VALUE]
    order: list[str] = []

    def destroy() -> None:
        other.destroy(ANNA)
        order.append("destroyed")

    with ThreadPoolExecutor(1) as pool:
        with session_of(state) as session:  # as a reveal does, from its beginning to its commit
            store.hold_turn(session)
            waiting = pool.submit(destroy)
            threading.Event().wait(0.3)
            order.append("revealed")
        waiting.result()
    assert order == ["revealed", "destroyed"]
    assert replica.reveal(*sought(texts))[0].fault == "destroyed"


def test_a_value_that_two_have_stays_for_the_other(replica: Replica) -> None:
    (token,) = replica.vault.tokenise([VALUE], "support", ANNA)
    replica.vault.tokenise([VALUE], "support", BERT)
    replica.destroy(ANNA)
    assert replica.values(Sought(token), Sought(token, "", ANNA)) == [VALUE, None]
    assert replica.vault.tokenise([VALUE], "support", BERT) == [token]
    replica.destroy(BERT)
    assert replica.values(Sought(token)) == [None]
    with session_of(replica.engine) as session:
        assert store.count_tokens(session) == {}


def test_somebody_without_a_key_is_noted_and_nothing_is_called_destroyed(
    replica: Replica,
) -> None:
    assert replica.destroy(ANNA).key_ids == ()
    assert [one.subject_key for one in replica.desk.register.read()] == [ANNA]
    for nobody in ((), ("",)):
        with pytest.raises(InvalidInputError):
            replica.destroy(*nobody)


def test_what_the_register_cannot_take_is_not_destroyed(replica: Replica, tmp_path: Path) -> None:
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    assert replica.values(*sought(texts)) == [VALUE]
    register = (tmp_path / "destroyed.log").rename(tmp_path / "kept.log")
    (tmp_path / "destroyed.log").mkdir()
    with pytest.raises(UnavailableError, match=r"destroyed\.log"):
        replica.destroy(ANNA)
    (tmp_path / "destroyed.log").rmdir()
    with pytest.raises(UnavailableError, match="missing"):
        replica.destroy(ANNA)
    register.rename(tmp_path / "destroyed.log")
    assert replica.values(*sought(texts)) == [VALUE]


def test_a_destruction_that_a_crash_interrupted_is_finished_at_the_next_start(
    replica: Replica, tmp_path: Path
) -> None:
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    assert replica.values(*sought(texts)) == [VALUE]
    with Session(replica.engine) as session:
        destroy_subjects(
            session,
            replica.desk.register,
            StoredSubjectIndex(replica.engine),
            [ANNA],
            at=replica.clock(),
            by="test",
            reason="request 1",
        )
        session.rollback()
    assert replica.values(*sought(texts)) == [VALUE]
    restarted = replica_on(replica.engine, tmp_path)
    assert restarted.reveal(*sought(texts))[0].fault == "destroyed"
    assert replica.reveal(*sought(texts))[0].fault == "destroyed"


def test_a_restored_older_store_revives_nobody(sqlite: Engine, tmp_path: Path) -> None:
    replica = replica_on(sqlite, tmp_path)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    kept = replica.vault.encrypt(["bert"], BERT, EMAIL)
    (token,) = replica.vault.tokenise([VALUE], "support", ANNA)
    with sqlite3.connect(tmp_path / "state.db") as source, sqlite3.connect("copy.db") as copy:
        source.backup(copy)
    source.close()
    copy.close()
    replica.clock.pass_by(timedelta(hours=1))
    replica.destroy(ANNA)
    assert replica.values(*sought(texts)) == [None]
    sqlite.dispose()
    for old in tmp_path.glob("state.db*"):
        old.unlink()
    shutil.copy("copy.db", tmp_path / "state.db")
    engine = open_engine(f"sqlite:///{tmp_path}/state.db")
    with session_of(engine) as session:
        assert (
            session.execute(text("SELECT count(*) FROM vault_keys WHERE wrapped IS NULL")).scalar()
            == 0
        )
    restarted = replica_on(engine, tmp_path, replica.clock)
    found = restarted.reveal(*sought(texts), Sought(token), *sought(kept))
    assert [one.fault for one in found] == ["destroyed", "unknown", None]
    with session_of(engine) as session:
        kinds = [content for _, content in audit.contents(session)]
    assert sum('"vault.destroy_again"' in one for one in kinds) == 1
    engine.dispose()


def test_a_store_that_is_restored_under_a_running_process_revives_nobody(
    state: Engine, tmp_path: Path
) -> None:
    replica = replica_on(state, tmp_path)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    replica.vault.encrypt(["bert"], BERT, EMAIL)
    with session_of(state) as session:
        kept = session.execute(text("SELECT wrapped, encryption_key_id FROM vault_keys")).first()
    assert kept is not None
    wrapped = by_subject(state)
    replica.destroy(ANNA)
    assert replica.values(*sought(texts)) == [None]
    restore(state, wrapped)
    with session_of(state) as session:  # and meanwhile another turn was taken from the same number
        store.take_turn(session, "0123456789abcdef")
        tombstone = replica.desk.register.read()[0]
        other = store.Turn(1, "0123456789abcdef")
        store.add_destructions(session, other, [replace(tombstone, subject_key="c" * 64)])
    replica.vault.encrypt(["x"], ANNA, EMAIL)
    assert replica.reveal(*sought(texts))[0].fault == "destroyed"


def by_subject(engine: Engine) -> dict[str, tuple[bytes, str]]:
    with session_of(engine) as session:
        rows = session.execute(text("SELECT id, wrapped, encryption_key_id FROM vault_keys")).all()
    return {row[0]: (row[1], row[2]) for row in rows}


def restore(engine: Engine, wrapped: dict[str, tuple[bytes, str]]) -> None:
    """Bring the tables of the vault back to how they were before anything was destroyed."""
    with session_of(engine) as session:
        session.execute(text("UPDATE vault_turns SET turn = 0, mark = ''"))
        session.execute(text("DELETE FROM vault_destructions"))
        for key_id, (secret, encryption_key) in wrapped.items():
            session.execute(
                text(
                    "UPDATE vault_keys SET wrapped = :wrapped, encryption_key_id = :by,"
                    " destroyed_at = NULL WHERE id = :id"
                ),
                {"wrapped": secret, "by": encryption_key, "id": key_id},
            )


@pytest.mark.parametrize("how", ["another store", "a copy, connected anew"])
def test_keys_that_a_store_in_the_place_of_this_one_lacks_are_not_used(
    state: Engine, tmp_path: Path, how: str
) -> None:
    replica = replica_on(state, tmp_path)
    (before,) = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    with session_of(state) as session:
        mark = session.execute(text("SELECT mark FROM vault_turns WHERE turn = 0")).scalar_one()
        session.execute(text("DELETE FROM vault_keys"))
        if how == "another store":
            session.execute(text("UPDATE vault_turns SET mark = 'another store'"))
    if how != "another store":
        state.dispose()
    (after,) = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    assert len(mark) == 16
    assert after.split(".")[1] != before.split(".")[1]
    assert replica.values(*sought([after])) == [VALUE]


def test_every_replica_keeps_a_register_that_survives_the_others(
    state: Engine, tmp_path: Path
) -> None:
    one, other = replica_on(state, tmp_path / "one"), replica_on(state, tmp_path / "other")
    texts = one.vault.encrypt([VALUE], ANNA, EMAIL)
    joined(other).vault.encrypt(["b"], BERT, EMAIL)
    before = by_subject(state)
    one.destroy(ANNA)
    other.vault.encrypt(["b"], BERT, EMAIL)
    shutil.rmtree(tmp_path / "one")
    restore(state, before)
    restarted = replica_on(state, tmp_path / "other")
    assert restarted.reveal(*sought(texts))[0].fault == "destroyed"
    (tmp_path / "other" / "destroyed.log").unlink()
    joined(replica_on(state, tmp_path / "third")).vault.encrypt(["b"], BERT, EMAIL)
    assert len(replica_on(state, tmp_path / "third").desk.register.read()) >= 1


def test_a_register_that_is_gone_does_not_bring_back_who_is_destroyed(
    state: Engine, tmp_path: Path
) -> None:
    replica = replica_on(state, tmp_path)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    before = by_subject(state)
    replica.destroy(ANNA)
    restore(state, before)
    register = tmp_path / "destroyed.log"
    for change in (register.unlink, register.touch):
        change()
        restarted = replica_on(state, tmp_path)
        with pytest.raises(UnavailableError, match="new-register"):
            restarted.reveal(*sought(texts))
        with pytest.raises(UnavailableError, match="new-register"):
            restarted.vault.encrypt(["x"], BERT, EMAIL)


def test_a_register_that_is_shorter_than_the_store_knows_it_is_refused(
    state: Engine, tmp_path: Path
) -> None:
    replica, register = replica_on(state, tmp_path), tmp_path / "destroyed.log"
    other = replica_on(state, tmp_path / "other")
    replica.vault.encrypt([VALUE], ANNA, EMAIL)
    replica.destroy(ANNA)
    joined(other)
    older = register.read_bytes()
    replica.destroy(BERT)
    for path, copy in ((register, older), (register, older.splitlines(keepends=True)[0])):
        newest = path.read_bytes()
        path.write_bytes(copy)
        restarted = replica_on(state, tmp_path)
        with pytest.raises(UnavailableError, match="2 entries were in it"):
            restarted.vault.encrypt(["x"], BERT, EMAIL)
        with pytest.raises(ConflictError, match="newest copy"):
            joined(restarted)
        path.write_bytes(newest)
        replica_on(state, tmp_path).vault.encrypt(["x"], BERT, EMAIL)
    other.vault.encrypt(["x"], BERT, EMAIL)  # which learns of the second destruction
    with session_of(state) as session:
        assert [one.entries for one in store.known_registers(session).values()] == [2, 2]


def test_a_register_that_the_store_does_not_know_is_taken_over_by_hand_alone(
    state: Engine, tmp_path: Path
) -> None:
    replica = replica_on(state, tmp_path)
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    before = by_subject(state)
    replica.destroy(ANNA)
    restore(state, before)
    with session_of(state) as session:
        session.execute(text("DELETE FROM vault_registers"))
    restarted = replica_on(state, tmp_path)
    with pytest.raises(UnavailableError, match="does not know it"):
        restarted.vault.encrypt(["x"], BERT, EMAIL)
    assert joined(restarted).reveal(*sought(texts))[0].fault == "destroyed"
    with session_of(state) as session:
        kinds = [content for _, content in audit.contents(session)]
    assert sum('"vault.new_register"' in one for one in kinds) == 1


def test_rotation_wraps_keys_anew_and_touches_no_payload(state: Engine, tmp_path: Path) -> None:
    root, path = bytes(range(32)), tmp_path / "new.key"
    path.write_bytes(root)
    path.chmod(0o600)
    old = replica_on(state, tmp_path)
    people = [f"{number:064x}" for number in range(1, 1101)]
    texts = old.vault.encrypt_all([PersonalValue(one, one, EMAIL) for one in people])
    tokens = old.vault.tokenise([VALUE], "support", ANNA)
    old.destroy(people[0])
    assert old.vault.encrypt(
        ["x"], people[1], EMAIL
    )  # remembered again after the first destruction
    sealed = sealed_values(state)
    new = replica_on(state, tmp_path, key_files=(path,), reveals_per_minute=10_000)
    moved: list[int] = []
    done = rotate(new.desk.keys, state, FixedClock(), by="test", advance=moved.append)
    assert (done.rewrapped, done.deleted, done.root_id[:5]) == (1100, 1, "file:")
    assert sum(moved) == 1100
    assert sealed_values(state) == sealed
    assert new.values(*sought(texts), Sought(tokens[0])) == [None, *people[1:], VALUE]
    assert old.vault.encrypt(["x"], people[1], EMAIL)
    with pytest.raises(UnavailableError, match="KEY_FILES"):
        old.vault.encrypt(["x"], "f" * 64, EMAIL)
    again = rotate(new.desk.keys, state, FixedClock(), by="test")
    assert (again.rewrapped, again.deleted) == (1100, 1)
    with session_of(state) as session:
        assert [count for _, count in store.encryption_keys(session)] == [1100]


def sealed_values(engine: Engine) -> list[tuple[str, str]]:
    with session_of(engine) as session:
        rows = session.execute(text("SELECT token, sealed FROM vault_values ORDER BY token")).all()
    return [(row[0], row[1]) for row in rows]


def test_a_rotation_between_two_reads_is_not_taken_for_a_changed_key(
    state: Engine, tmp_path: Path
) -> None:
    old = replica_on(state, tmp_path)
    (before,) = old.vault.encrypt([VALUE], ANNA, EMAIL)
    fresh = replica_on(state, tmp_path)
    rotations: list[str] = []

    def rotate_once(*told: object) -> None:
        if "FROM vault_encryption_keys" in str(told[2]) and not rotations:
            rotations.append("begun")
            rotate(old.desk.keys, state, FixedClock(), by="test")

    event.listen(state, "before_cursor_execute", rotate_once)
    (after,) = fresh.vault.encrypt(["x"], ANNA, EMAIL)
    event.remove(state, "before_cursor_execute", rotate_once)
    assert rotations
    assert after.split(".")[1] == before.split(".")[1]


def test_another_master_key_opens_nothing(replica: Replica, tmp_path: Path) -> None:
    replica.vault.encrypt([VALUE], ANNA, EMAIL)
    secrets = replace(SECRETS, vault_key=bytes(32))
    stranger = replica_on(replica.engine, tmp_path, secrets=secrets)
    with pytest.raises(UnavailableError):
        stranger.vault.encrypt(["x"], ANNA, EMAIL)


def test_a_generation_that_was_changed_opens_nothing(replica: Replica, tmp_path: Path) -> None:
    replica.vault.encrypt([VALUE], ANNA, EMAIL)
    with session_of(replica.engine) as session:
        wrapped = session.execute(text("SELECT wrapped FROM vault_encryption_keys")).scalar_one()
        changed = bytes(wrapped[:-1]) + bytes([wrapped[-1] ^ 1])
        session.execute(text("UPDATE vault_encryption_keys SET wrapped = :it"), {"it": changed})
    with pytest.raises(UnavailableError, match="master key"):
        replica_on(replica.engine, tmp_path).vault.encrypt(["x"], ANNA, EMAIL)


def test_many_that_begin_at_once_have_one_key_and_one_token(state: Engine, tmp_path: Path) -> None:
    begin = threading.Barrier(4)

    def first(number: int) -> tuple[str, str]:
        replica = replica_on(state, tmp_path / str(number))
        begin.wait()
        (sealed,) = replica.vault.encrypt([VALUE], ANNA, EMAIL)
        (token,) = replica.vault.tokenise([VALUE], "support", ANNA)
        return sealed.split(".")[1], token

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(first, range(4)))) == 1


def test_a_reveal_leaves_an_entry_of_pseudonyms_and_reason(replica: Replica) -> None:
    texts = replica.vault.encrypt([VALUE], ANNA, EMAIL)
    replica.reveal(*sought(texts), Sought("tok_" + "A" * 22), by="helpdesk")
    with session_of(replica.engine) as session:
        ((_, content),) = audit.contents(session)
    for told in ('"kind":"vault.reveal"', '"helpdesk"', '"case 4711"', ANNA, '"revealed":1'):
        assert told in content
    assert VALUE not in content
    assert texts[0] not in content


def test_a_reason_may_share_letters_with_a_value(replica: Replica) -> None:
    texts = replica.vault.encrypt(["a", "47", "as", "4711 Example Street", "cas"], ANNA, EMAIL)
    assert len(replica.values(*sought(texts))) == 5


def test_a_reason_that_repeats_the_value_is_refused_and_not_kept(replica: Replica) -> None:
    texts = replica.vault.encrypt(["Anna Secret"], ANNA, EMAIL)
    with pytest.raises(InvalidInputError, match="case") as raised:
        replica.reveal(*sought(texts), reason="the complaint of anna secret")
    assert "secret" not in str(raised.value)
    with session_of(replica.engine) as session:
        ((_, content),) = audit.contents(session)
    assert '"kind":"vault.reveal_refused"' in content
    assert '"revealed":0' in content
    assert "secret" not in content


def test_reveals_are_counted_for_each_key_on_all_replicas(state: Engine, tmp_path: Path) -> None:
    clock = FixedClock()
    one = replica_on(state, tmp_path, clock, reveals_per_minute=10)
    other = replica_on(state, tmp_path, clock, reveals_per_minute=10)
    texts = one.vault.encrypt(["x"] * 5, ANNA, EMAIL)
    assert one.values(*sought(texts)) == other.values(*sought(texts)) == ["x"] * 5
    with pytest.raises(OverloadedError) as raised:
        other.reveal(*sought(texts[:1]))
    assert raised.value.retry_after == timedelta(seconds=6)
    assert other.reveal(*sought(texts[:1]), by="somebody else")[0].value == "x"
    clock.pass_by(timedelta(seconds=6))
    assert other.values(*sought(texts[:1])) == ["x"]


def test_keys_that_are_remembered_are_bounded(replica: Replica, tmp_path: Path) -> None:
    small = replica_on(replica.engine, tmp_path, cached_keys=10)
    people = [f"{number:064x}" for number in range(1, 40)]
    small.vault.encrypt_all([PersonalValue("x", one, EMAIL) for one in people])
    small.vault.tokenise_all([PersonalValue(one, one) for one in people * 3], "support")
    memory = small.vault._keys.memory
    assert len(memory.keys) == 10
    assert len(memory.tokens) <= 50


def test_a_batch_of_remembered_people_and_values_is_one_read_of_one_row(
    replica: Replica,
) -> None:
    people = [f"{number:064x}" for number in range(1, 300)]
    items = [PersonalValue(one, one, EMAIL) for one in people]
    replica.vault.encrypt_all(items)
    tokens = replica.vault.tokenise_all(items, "support")
    statements: list[str] = []
    event.listen(replica.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    read = replica.vault._keys.turns._reader
    replica.vault.encrypt_all(items)
    assert replica.vault.tokenise_all(items, "support") == tokens
    assert statements == []
    assert read._connection is not None


def test_a_connection_that_broke_is_opened_again(state: Engine, tmp_path: Path) -> None:
    replica = replica_on(state, tmp_path)
    replica.vault.encrypt(["x"], ANNA, EMAIL)
    replica.vault._keys.turns._reader._connection.close()
    assert replica.vault.encrypt(["x"], ANNA, EMAIL)
    state.dispose()
    assert replica.vault._keys.turns._reader._connection is None
    assert replica.vault.encrypt(["x"], ANNA, EMAIL)


def test_a_store_that_is_not_migrated_says_what_to_do(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(UnavailableError, match="candor check"):
        replica_on(engine, tmp_path).vault.encrypt(["x"], ANNA, EMAIL)
    engine.dispose()


def test_a_store_that_cannot_be_read_seals_nothing(tmp_path: Path) -> None:
    engine = open_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with pytest.raises(UnavailableError):
        replica_on(engine, tmp_path).vault.encrypt(["x"], ANNA, EMAIL)
    engine.dispose()
