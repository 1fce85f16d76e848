"""What a policy says of a remaining budget."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from candor.kernel.errors import InvalidInputError
from slo.governance.schemas import cut_percent
from slo.policy import DEFAULT_POLICY, Override, Policy, Step, check_policy, decide, reasons_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("remaining", "decision"),
    [
        (Fraction(1), "go"),
        (Fraction(1, 4), "go"),
        (Fraction(249, 1000), "slow"),
        (Fraction(0), "freeze"),
        (Fraction(-3), "freeze"),
        (None, "go"),
    ],
)
def test_the_default_freezes_at_a_spent_budget_and_slows_below_a_quarter(
    remaining: Fraction | None, decision: str
) -> None:
    assert decide(reasons_of(DEFAULT_POLICY, "checkout", remaining)) == decision


def test_the_gravest_objective_decides() -> None:
    reasons = [
        *reasons_of(DEFAULT_POLICY, "a", Fraction(1, 10)),
        *reasons_of(DEFAULT_POLICY, "b", Fraction(-1)),
    ]
    assert decide(reasons) == "freeze"
    assert [reason.objective for reason in reasons] == ["a", "b"]


def test_a_policy_may_overlook_what_is_low() -> None:
    lenient = Policy("p", None, "owner", (Step(Fraction(1, 2), "go", "fine"),))
    assert reasons_of(lenient, "a", Fraction(1, 10)) == []


def test_two_steps_at_one_share_are_refused() -> None:
    step = Step(Fraction(0), "freeze", "stop")
    with pytest.raises(InvalidInputError):
        check_policy(Policy("p", None, "owner", (step, step)))


def test_an_override_holds_until_it_expires() -> None:
    override = Override("o", "api", "go", "hotfix", "ops", NOON, NOON + timedelta(hours=1))
    assert override.holds(NOON)
    assert not override.holds(NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (Fraction(1189, 10000), "11.8 %"),
        (Fraction(9999, 10000), "99.9 %"),
        (Fraction(-1, 10000), "-0.1 %"),
        (None, "unknown"),
    ],
)
def test_a_percentage_is_cut_and_never_rounded_up(ratio: Fraction | None, text: str) -> None:
    assert cut_percent(ratio) == text
