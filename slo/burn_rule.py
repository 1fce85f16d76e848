"""Burn rules: the burn rates of look-backs that, together, are enough to alert.

Source: SRE Workbook, chapter 5, "Alerting on SLOs"; OpenSLO v1, ``AlertPolicy``.
"""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from slo.burn_rate import Severity, Tier
from slo.indicator import COMPARED, Comparison


@dataclass(frozen=True, slots=True)
class BurnCondition:
    """The burn rate of the window that ends now compares so with the factor."""

    lookback: timedelta
    factor: Fraction
    operator: Comparison = "gt"

    def holds_at(self, burn: Fraction) -> bool:
        """Whether it holds at a burn rate."""
        return COMPARED[self.operator](burn, self.factor)


@dataclass(frozen=True, slots=True)
class BurnRule:
    """Conditions that must hold together; any one of an objective's rules is enough to alert."""

    name: str
    severity: Severity
    conditions: tuple[BurnCondition, ...]

    @classmethod
    def of_tier(cls, tier: Tier) -> "BurnRule":
        """Return the rule of a tier: both of its windows burn faster than its factor."""
        conditions = tuple(BurnCondition(one, tier.factor) for one in (tier.long, tier.short))
        return cls(tier.name, tier.severity, conditions)

    @property
    def longest(self) -> timedelta:
        """The longest look-back of its conditions."""
        return max(one.lookback for one in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """What an alert policy of OpenSLO asks for: an alert of its own beside those of others.

    Any one of ``rules`` is enough; none listens to burn rates. An alert begins once they have held
    for ``pending_for``. With ``no_data_within`` it also alerts when that long brings no valid
    event. ``targets`` are who is told; when none of them exists here, everybody is.
    """

    name: str
    severity: Severity
    rules: tuple[BurnRule, ...]
    pending_for: timedelta = timedelta(0)
    no_data_within: timedelta | None = None
    tells_end: bool = True
    targets: tuple[str, ...] = ()
