"""Error budgets from counts: exact, weighted by events, never clamped, never a number for nothing.

Ratios are computed as fractions of integers and turned into floats once, at the end.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from slo.window import Window


@dataclass(frozen=True, slots=True)
class EventCounts:
    """Valid events of a window, and the good ones among them."""

    good: int
    valid: int

    @property
    def bad(self) -> int:
        """Valid events that are not good."""
        return self.valid - self.good

    @property
    def sli(self) -> Fraction | None:
        """Good / valid; none when nothing was valid: unmeasured is neither good nor bad."""
        return Fraction(self.good, self.valid) if self.valid else None

    @property
    def error_ratio(self) -> Fraction | None:
        """1 - SLI; none when nothing was valid."""
        return Fraction(self.bad, self.valid) if self.valid else None


@dataclass(frozen=True, slots=True)
class JudgedCounts(EventCounts):
    """Events whose SLI is not their ratio: that of slices, or of a composite's parts."""

    judged: Fraction | None

    @property
    def sli(self) -> Fraction | None:
        """The SLI that was given; none when nothing was measured."""
        return self.judged

    @property
    def error_ratio(self) -> Fraction | None:
        """1 - the SLI that was given; none when nothing was measured."""
        return None if self.judged is None else 1 - self.judged


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What an objective still allows in one window, given its SLI by whatever budgeting method.

    ``corrected`` is how much of the window so far corrections leave out.
    """

    target: Decimal
    window: Window
    sli: Fraction | None
    corrected: timedelta = timedelta(0)

    @property
    def allowed(self) -> Fraction:
        """The share that may be bad: 1 - target."""
        return 1 - Fraction(self.target)

    @property
    def consumed(self) -> Fraction | None:
        """Error ratio / (1 - target); above 1 when overspent, none when nothing was measured.

        Source: SRE Workbook, chapter 5.
        """
        return None if self.sli is None else (1 - self.sli) / self.allowed

    @property
    def remaining(self) -> Fraction | None:
        """1 - consumed, in (-inf, 1]."""
        return None if self.consumed is None else 1 - self.consumed

    @property
    def seconds_left(self) -> Fraction | None:
        """The remaining budget as time of total failure: time x (SLI - target), in seconds.

        The time is that of the window that counts: what is corrected can neither fail nor be good.
        """
        if self.sli is None:
            return None
        seconds = Fraction((self.window.length - self.corrected).total_seconds())
        return seconds * (self.sli - Fraction(self.target))

    def bad_events_left(self, counts: EventCounts) -> Fraction | None:
        """How many more events of this volume may be bad; negative when overspent."""
        return self.allowed * counts.valid - counts.bad if counts.valid else None


def burn_rate(counts: EventCounts, target: Decimal) -> Fraction | None:
    """Return error ratio / (1 - target): 1 spends the budget exactly in its window.

    None when nothing was measured.

    Source: SRE Workbook, chapter 5.
    """
    error_ratio = counts.error_ratio
    return None if error_ratio is None else error_ratio / _allowed(target)


@lru_cache(maxsize=1024)
def _allowed(target: Decimal) -> Fraction:
    return 1 - Fraction(target)
