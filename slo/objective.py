"""A promise: of the valid units of a window, at least this share is good."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from slo.budgeting import OCCURRENCES, Budgeting
from slo.burn_rule import Policy
from slo.composite import Combination, Delay
from slo.indicator import Indicator
from slo.period import Period
from slo.promql import PromQL

NoData = Literal["exclude", "freeze", "bad", "alert"]


@dataclass(frozen=True, slots=True)
class Part:
    """What an objective counts: all of it, or one component of a composite.

    ``queries`` are what a Prometheus is asked for it; ``indicator`` counts what it answered.
    """

    name: str
    indicator: Indicator
    weight: Fraction = Fraction(1)
    budgeting: Budgeting = OCCURRENCES
    delay: Delay | None = None
    queries: PromQL | None = None

    @property
    def heeds_delay(self) -> bool:
        """Whether long silence changes what it comes to."""
        return self.delay is not None and self.delay.when_delayed != "Ignore"


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective. ``target`` is a ratio in [0, 1); ``parts`` are one, or those of a composite.

    ``windows`` are further windows that have a budget of their own; alerts follow ``period``.
    ``labels`` are those of its document. It is alerted by ``policies``, or else by its tiers, less
    those that are disabled.
    With fewer valid events than ``minimum_events`` there is no verdict, and with fewer bad ones
    than ``minimum_bad_events`` in its long window no burn rule fires. ``expected_events`` is how
    many a whole window is declared to have.
    """

    name: str
    service: str
    display_name: str
    description: str
    target: Decimal
    period: Period
    parts: tuple[Part, ...]
    combination: Combination = "weighted"
    is_composite: bool = False
    windows: tuple[Period, ...] = ()
    no_data: NoData = "exclude"
    minimum_events: int = 0
    minimum_bad_events: int = 0
    expected_events: int | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    disabled_tiers: frozenset[str] = frozenset()
    by: str | None = None

    @property
    def properties(self) -> dict[str, tuple[str, ...]]:
        """What a selector may ask for: the service and the labels, each with its values."""
        return {**self.labels, "service": (self.service,)}

    @property
    def counts_events(self) -> bool:
        """Whether its SLI is a ratio of events, which one query finds for many objectives."""
        counted = self.indicator.freshness is None
        return counted and len(self.parts) == 1 and self.budgeting.method == "Occurrences"

    @property
    def budget(self) -> Decimal:
        """The share of valid units that may be bad: 1 - target."""
        return 1 - self.target

    @property
    def window(self) -> timedelta:
        """The nominal length of its own window."""
        return self.period.nominal

    @property
    def indicator(self) -> Indicator:
        """What it counts; of a composite, what its first part counts."""
        return self.parts[0].indicator

    @property
    def budgeting(self) -> Budgeting:
        """How it counts; the parts of a composite share the method."""
        return self.parts[0].budgeting
