"""Which consents a doubt is about."""

from datetime import UTC, datetime

import pytest

from candor.kernel.errors import InvalidInputError
from privacy.consent.act import Act, Action, ConsentEvent
from privacy.investigation.doubt import Doubt

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def event(action: Action = "grant") -> ConsentEvent:
    act = Act("a", "email", "m", action, NOON, "in_store", notice="n/1", actor="clerk-7")
    return ConsentEvent("e1", 1, 0, act, NOON, NOON, "till")


@pytest.mark.parametrize(
    "doubt",
    [
        Doubt(notice="n/1"),
        Doubt(source="in_store"),
        Doubt(actor="clerk-7"),
        Doubt(actor="till"),
        Doubt(event="e1"),
        Doubt("n/1", "in_store", "till", "e1"),
    ],
)
def test_a_doubt_covers_a_yes_that_has_all_it_names(doubt: Doubt) -> None:
    assert doubt.covers(event())
    assert doubt.covers(event("import"))


@pytest.mark.parametrize(
    "doubt",
    [
        Doubt(notice="n/2"),
        Doubt(source="paper"),
        Doubt(actor="clerk"),
        Doubt(event="e2"),
        Doubt("n/1", "paper"),
    ],
)
def test_a_doubt_covers_nothing_that_lacks_one_of_them(doubt: Doubt) -> None:
    assert not doubt.covers(event())


def test_a_no_is_never_doubted() -> None:
    assert not Doubt(notice="n/1").covers(event("withdraw"))
    assert not Doubt(actor="clerk-7").covers(event("object"))


def test_a_doubt_names_something() -> None:
    with pytest.raises(InvalidInputError, match="name a notice"):
        Doubt()
