"""A promise: of the valid events of a window, at least this share is good."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from slo.indicator import Indicator


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective. ``target`` is a ratio in (0, 1); ``window`` rolls."""

    name: str
    service: str
    display_name: str
    description: str
    target: Decimal
    window: timedelta
    indicator: Indicator

    @property
    def properties(self) -> dict[str, str]:
        """What a selector may ask for."""
        return {"service": self.service}

    @property
    def budget(self) -> Decimal:
        """The share of valid events that may be bad: 1 - target."""
        return 1 - self.target
