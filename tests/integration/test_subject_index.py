"""The subject index on both state stores: what links make, what unlinking leaves, who said so."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations, count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError
from candor.kernel.ports import Identifier, Link, NoSubjectIndex, Provenance
from privacy.subjects.components import Persons
from privacy.subjects.index import Act, StoredSubjectIndex
from privacy.subjects.tables import SubjectLinkRow
from tests.support.stores import NOON

TELEMETRY = Provenance("web-shop", "segment", "identify", NOON - timedelta(seconds=1), NOON)
DECISION = Provenance("privacy-desk", "api", "link", NOON, NOON, decided=True)
ROOT = Path(__file__).parents[2]
RUNS = count()


def named(name: str) -> Identifier:
    return Identifier("user_id", name)


def link(index: StoredSubjectIndex, *names: str, by: Provenance = TELEMETRY) -> None:
    index.link([named(name) for name in names], by)


def entries(engine: Engine) -> int:
    with session_of(engine) as session:
        return session.scalar(select(func.count()).select_from(SubjectLinkRow)) or 0


def test_linking_is_transitive_and_saying_it_again_adds_nothing(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    link(index, "a", "b")
    link(index, "c", "d", "e")
    assert index.linked("b") == ("a", "b")
    link(index, "b", "d")
    before = entries(state)
    for _ in range(2):
        link(index, "d", "b")
        link(index, "e", "c")
    assert index.linked("c") == ("a", "b", "c", "d", "e")
    assert entries(state) == before == 5
    assert index.linked("stranger") == NoSubjectIndex().linked("stranger") == ("stranger",)


def test_many_acts_are_written_as_one_and_each_keeps_its_provenance(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    later = Provenance("app", "segment", "alias", NOON, NOON)
    index.link_all(
        [
            Link((named("a"), named("b")), TELEMETRY),
            Link((named("b"), named("c")), later),
            Link((named("a"), named("b")), later),
            Link((named("a"),), TELEMETRY, group=Identifier("group_id", "g")),
        ]
    )
    person = index.person(named("c"))
    assert [one.subject_key for one in person.identifiers] == ["a", "b", "c"]
    told = {
        (act.action, tuple(one.subject_key for one in act.identifiers), act.source, act.call)
        for act in person.acts
    }
    assert told == {
        ("link", ("a", "b"), "web-shop", "identify"),
        ("link", ("b", "c"), "app", "alias"),
        ("join", ("a", "g"), "web-shop", "identify"),
    }
    assert {(act.at, act.received_at) for act in person.acts if act.source == "app"} == {
        (NOON, NOON)
    }


def test_members_of_one_group_are_not_one_person(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    group = Identifier("group_id", "g")
    for name in ("a", "b", "a"):
        index.link_all([Link((named(name),), TELEMETRY, group)])
    assert index.linked("a") == ("a",)
    assert index.linked("g") == ("g",)
    assert entries(state) == 2


def test_what_only_an_unlinked_identifier_held_together_falls_apart(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    link(index, "anna", "shared-tablet")
    link(index, "bert", "shared-tablet")
    link(index, "anna", "phone", "mail")
    index.unlink(named("shared-tablet"), DECISION)
    assert index.linked("anna") == ("anna", "mail", "phone")
    assert index.linked("bert") == ("bert",)
    assert index.linked("shared-tablet") == ("shared-tablet",)
    for name in ("anna", "bert", "shared-tablet"):
        assert "unlink" in {act.action for act in index.person(named(name)).acts}


def test_telemetry_does_not_undo_an_unlinking_and_a_decision_does(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    link(index, "anna", "tablet")
    for _ in range(2):
        index.unlink(named("tablet"), DECISION)
    before = entries(state)
    link(index, "anna", "tablet")
    link(index, "carl", "tablet", "mail")
    assert index.linked("tablet") == ("tablet",)
    assert index.linked("carl") == ("carl", "mail")
    assert entries(state) == before + 1
    link(index, "anna", "tablet", by=DECISION)
    link(index, "dora", "tablet")
    assert index.linked("anna") == ("anna", "dora", "tablet")


def test_one_link_alone_can_be_taken_back(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    link(index, "a", "b")
    link(index, "b", "c")
    index.unlink(named("a"), DECISION, named("b"))
    before = entries(state)
    index.unlink(named("b"), DECISION, named("a"))
    link(index, "b", "a")
    assert (index.linked("a"), index.linked("c")) == (("a",), ("b", "c"))
    assert entries(state) == before
    with pytest.raises(ConflictError, match="directly"):
        index.unlink(named("a"), DECISION, named("c"))


def test_an_identifier_can_be_unlinked_before_it_was_ever_linked(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    index.unlink(named("kiosk"), DECISION)
    link(index, "kiosk", "anna")
    assert index.linked("anna") == ("anna",)
    assert [act.action for act in index.person(named("kiosk")).acts] == ["unlink"]


NAMES = st.sampled_from("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("link"), st.lists(NAMES, min_size=1, max_size=3)),
        st.tuples(st.just("unlink"), st.lists(NAMES, min_size=1, max_size=1)),
    ),
    max_size=12,
)


def expected(steps: Sequence[tuple[str, list[str]]]) -> Persons:
    """Return the persons that these steps leave, derived from the rules alone."""
    pairs: set[frozenset[str]] = set()
    apart: set[str] = set()
    for action, names in steps:
        if action == "unlink":
            apart.add(names[0])
            pairs = {pair for pair in pairs if names[0] not in pair}
        else:
            said = {frozenset(pair) for pair in combinations(set(names), 2)}
            pairs |= {pair for pair in said if not pair & apart}
    persons = Persons()
    for pair in pairs:
        persons.join(*sorted(pair))
    return persons


def test_whatever_is_linked_and_unlinked_the_persons_are_what_the_links_in_force_make(
    state: Engine,
) -> None:
    index = StoredSubjectIndex(state)

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS)
    def check(steps: list[tuple[str, list[str]]]) -> None:
        run = next(RUNS)
        for action, names in steps:
            keys = [named(f"{run}-{name}") for name in names]
            if action == "link":
                index.link(keys, TELEMETRY)
            else:
                index.unlink(keys[0], DECISION)
        persons = expected(steps)
        for one in "abcdef":
            same = {
                f"{run}-{two}"
                for two in "abcdef"
                if persons.person_of(one) == persons.person_of(two)
            }
            assert set(index.linked(f"{run}-{one}")) == same
            for two in index.linked(f"{run}-{one}"):
                assert index.linked(two) == index.linked(f"{run}-{one}")

    check()


WRITER = """
import sys
from datetime import datetime, UTC
from candor.kernel.database import open_engine
from candor.kernel.ports import Identifier, Provenance
from privacy.subjects.index import Act, StoredSubjectIndex
dsn, first = sys.argv[1], int(sys.argv[2])
index = StoredSubjectIndex(open_engine(dsn))
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
by = Provenance(f"writer-{first}", "segment", "alias", now, now)
for number in range(first, 40, 2):
    pair = [Identifier("user_id", f"{n:03}") for n in (number, number + 1)]
    index.link(pair, by)
    index.link([Identifier("user_id", "000"), Identifier("user_id", "001")], by)
"""


def test_two_processes_that_link_at_once_make_one_person_and_one_record(state: Engine) -> None:
    dsn = state.url.render_as_string(hide_password=False)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, dsn, str(first)],
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in (0, 1)
    ]
    for writer in writers:
        _, complaint = writer.communicate()
        assert (writer.returncode, complaint) == (0, "")
    index = StoredSubjectIndex(state)
    assert index.linked("020") == tuple(f"{number:03}" for number in range(41))
    assert entries(state) == 40


def test_what_is_known_here_outlives_a_restored_record(state: Engine) -> None:
    index = StoredSubjectIndex(state)
    link(index, "a", "b")
    link(index, "c", "d")
    index.unlink(named("a"), DECISION, named("b"))
    index.unlink(named("c"), DECISION)
    told = [
        Act(action, (named(one), named(other)), "web-shop", "segment", "identify", NOON, NOON)
        for action, one, other in (
            *(("link", "a", "b"), ("link", "c", "e"), ("link", "d", "f"), ("link", "g", "h")),
            *(("unlink", "g", "h"), ("unlink", "d", "f"), ("link", "f", "d")),
        )
    ]
    for new in (2, 0):
        assert index.restore(told, [named("i"), named("d")], NOON, "desk") == new
    persons = [index.linked(name) for name in "abcdeghi"]
    assert persons == [("a",), ("b",), ("c",), ("d", "f"), ("e",), ("g",), ("h",), ("i",)]
    link(index, "i", "h")
    assert index.linked("i") == ("i",)
