"""Multi-window, multi-burn-rate tiers; every factor is derived, none is a constant.

Source: SRE Workbook, chapter 5, "Alerting on SLOs".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from candor.kernel.errors import InvalidInputError
from slo.budget import EventCounts, burn_rate
from slo.window import format_duration

Severity = Literal["page", "ticket"]
_SHORT_PER_LONG = 12
_UNIT = timedelta(microseconds=1)
_TIERS: tuple[tuple[str, Severity, timedelta], ...] = (
    ("fast", "page", timedelta(hours=1)),
    ("medium", "page", timedelta(hours=6)),
    ("slow", "ticket", timedelta(hours=24)),
    ("long", "ticket", timedelta(days=3)),
)
TIER_NAMES = {name: name for name, _, _ in _TIERS}
"""The names of the tiers, each as what it means."""

DEFAULT_SHARES = (Decimal(2), Decimal(5), Decimal(10), Decimal(10))


@dataclass(frozen=True, slots=True)
class Tier:
    """One pair of windows and the burn rate at which both must stand to fire.

    ``budget_share`` is the share of the period's budget that is gone when it fires, in (0, 1).
    """

    name: str
    severity: Severity
    long: timedelta
    budget_share: Fraction
    factor: Fraction

    @property
    def short(self) -> timedelta:
        """A twelfth of the long window: it ends the alert soon after the errors end."""
        return self.long / _SHORT_PER_LONG


@dataclass(frozen=True, slots=True)
class Restraint:
    """What keeps burn tiers from alerting however fast a budget burns.

    Below ``minimum_events`` valid or ``minimum_bad`` bad events in its long window a tier says
    nothing; the ``disabled`` ones never do.
    """

    minimum_events: int = 0
    minimum_bad: int = 0
    disabled: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TierState:
    """How a tier stands: both burn rates, and whether it fires or what holds it back."""

    tier: Tier
    long_burn: Fraction | None
    short_burn: Fraction | None
    valid_events: int
    held_back_by: str | None

    @property
    def firing(self) -> bool:
        """Whether both windows burn faster than the factor."""
        return self.held_back_by is None


def max_burn(target: Decimal) -> Fraction:
    """Return the burn rate of total failure: 1 / (1 - target)."""
    return 1 / (1 - Fraction(target))


def tiers_of(period: timedelta, shares: Sequence[Decimal] = DEFAULT_SHARES) -> tuple[Tier, ...]:
    """Return the tiers for a period; ``shares`` are percent of the budget, fast to long.

    factor = budget share x period / long window.

    Raises:
        InvalidInputError: not four shares, or one outside (0, 100].
    """
    return _tiers_of(period, tuple(shares))


@lru_cache(maxsize=256)
def _tiers_of(period: timedelta, shares: tuple[Decimal, ...]) -> tuple[Tier, ...]:
    if len(shares) != len(_TIERS) or not all(0 < share <= 100 for share in shares):  # noqa: PLR2004 - percent
        raise InvalidInputError("Give four budget shares in percent, fast to long: 2,5,10,10.")
    return tuple(
        Tier(name, severity, long, Fraction(share) / 100, _factor(share, period, long))
        for (name, severity, long), share in zip(_TIERS, shares, strict=True)
    )


def warnings_about(tiers: Sequence[Tier], target: Decimal) -> list[str]:
    """Return a sentence for each tier that cannot do its work at this target."""
    limit = max_burn(target)
    warnings = []
    for tier in tiers:
        if tier.factor >= limit:
            warnings.append(
                f"{tier.name}: the factor {float(tier.factor):g} is not below the maximum burn"
                f" {float(limit):g}, so it can never fire. Choose a smaller share or a longer"
                " window."
            )
        elif tier.factor < 1:
            warnings.append(
                f"{tier.name}: the factor {float(tier.factor):g} is below 1, so it fires while the"
                f" budget lasts. Choose a larger share; {format_duration(tier.long)} is long for"
                " this period."
            )
    return warnings


def is_firable(tier: Tier, target: Decimal) -> bool:
    """Whether total failure would fire the tier."""
    return tier.factor < max_burn(target)


def state_of(
    tier: Tier,
    target: Decimal,
    long: EventCounts,
    short: EventCounts,
    restraint: Restraint = Restraint(),
) -> TierState:
    """Return how a tier stands, given the counts of its two windows."""
    long_burn, short_burn = burn_rate(long, target), burn_rate(short, target)
    held_back_by = None
    if tier.name in restraint.disabled:
        held_back_by = "disabled"
    elif long_burn is None or short_burn is None:
        held_back_by = "no_data"
    elif long.valid < restraint.minimum_events:
        held_back_by = "minimum_events"
    elif long_burn <= tier.factor:
        held_back_by = "long_window"
    elif short_burn <= tier.factor:
        held_back_by = "short_window"
    elif long.bad < restraint.minimum_bad:
        held_back_by = "minimum_bad_events"
    return TierState(tier, long_burn, short_burn, long.valid, held_back_by)


def _factor(share: Decimal, period: timedelta, long: timedelta) -> Fraction:
    return Fraction(share) / 100 * Fraction(period // _UNIT, long // _UNIT)
