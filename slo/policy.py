"""Error budget policies: what a team does when its budget runs low, decided before it does.

Source: SRE Workbook, chapter 2 and appendix B, "Error Budget Policy".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal, get_args

from candor.kernel.errors import InvalidInputError

Decision = Literal["go", "slow", "freeze"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
DEFAULT_POLICY_NAME = "default"
_LOW = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class Step:
    """What to do once the remaining budget falls below a share of the whole.

    A step at 0 is taken when the budget is spent to the last, so at 0 itself too.
    """

    below: Fraction
    decision: Decision
    text: str

    def is_taken(self, remaining: Fraction) -> bool:
        """Whether so little of the budget remains."""
        return remaining < self.below or remaining == self.below == 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The steps of one service, or of all services that have no policy of their own."""

    name: str
    service: str | None
    owner: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an objective slows or freezes releases."""

    objective: str
    remaining: Fraction
    policy: str
    step: Step


@dataclass(frozen=True, slots=True)
class Override:
    """A person's decision to release all the same, until it expires or is undone.

    It stays on the record.
    """

    id: str
    service: str
    decision: Decision
    reason: str
    author: str
    created_at: datetime
    expires_at: datetime
    undone_at: datetime | None = None
    undone_by: str | None = None

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at that instant."""
        return self.undone_at is None and self.created_at <= at < self.expires_at


DEFAULT_POLICY = Policy(
    DEFAULT_POLICY_NAME,
    None,
    "",
    (
        Step(Fraction(0), "freeze", "The error budget is spent: release nothing but fixes."),
        Step(_LOW, "slow", "Less than a quarter of the error budget is left: release with care."),
    ),
)


def check_policy(policy: Policy) -> None:
    """Return when a policy can be meant.

    Raises:
        InvalidInputError: it has no step, or two steps at one share.
    """
    shares = [step.below for step in policy.steps]
    if not shares or len(set(shares)) < len(shares):
        raise InvalidInputError("A policy has steps, each at a share of its own.", path="steps")


def reasons_of(policy: Policy, objective: str, remaining: Fraction | None) -> list[Reason]:
    """Return the gravest step that an objective's remaining budget has come to, if any.

    An objective without valid events says nothing: it neither slows nor frees a release.
    """
    if remaining is None:
        return []
    taken = [step for step in policy.steps if step.is_taken(remaining)]
    if not taken:
        return []
    gravest = max(taken, key=lambda step: (DECISIONS.index(step.decision), -step.below))
    return [] if gravest.decision == "go" else [Reason(objective, remaining, policy.name, gravest)]


def decide(reasons: Sequence[Reason]) -> Decision:
    """Return the gravest decision among the reasons; without any, go."""
    taken = [reason.step.decision for reason in reasons]
    return max(taken, key=DECISIONS.index, default="go")
