"""Several measured parts as one: by weight, or as the steps of a journey, late ones included.

- weighted: the bad ratio is the weighted sum of the parts' bad ratios, the weights adding up to 1.
- journey: a journey is good when every step is, so its good ratio is the product of the steps'.

A part without valid events takes no part, and the weights of the others grow. A part is delayed
where no valid event came for longer than it may; what that time counts as is for the objective to
say. An objective with one indicator is a composite of one part.

Source: OpenSLO v1, ``compositeWeight``; Nobl9's composites for delay.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import accumulate
from typing import Literal

from slo.budgeting import Share, left_out
from slo.window import Window

WhenDelayed = Literal["CountAsGood", "CountAsBad", "Ignore"]
Combination = Literal["weighted", "journey"]
_UNIT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a part may be silent, and what longer silence counts as."""

    longest: timedelta
    when_delayed: WhenDelayed = "Ignore"


@dataclass(frozen=True, slots=True)
class Measure:
    """One part in one window: its shares in order, and how much of the window was too silent."""

    weight: Fraction
    ends: tuple[datetime, ...]
    bad: tuple[int, ...]
    valid: int
    delayed: Fraction = Fraction(0)
    delayed_is_bad: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to judge it by."""
        return self.valid > 0 or self.delayed > 0

    @property
    def bad_ratio(self) -> Fraction | None:
        """The part's bad ratio over the whole window; none when it was not measured."""
        return self.bad_until(None) if self.is_measured else None

    def bad_until(self, at: datetime | None) -> Fraction:
        """Return how much of the whole window's ratio was bad by an instant, or by its end.

        Delay is known at the end only.
        """
        number = len(self.ends) if at is None else bisect_right(self.ends, at)
        bad = Fraction(self.bad[number - 1], self.valid) if number and self.valid else Fraction(0)
        late = self.delayed if at is None and self.delayed_is_bad else Fraction(0)
        return (1 - self.delayed) * bad + late if self.valid else Fraction(int(late > 0))


def measure(
    shares: Sequence[Share],
    weight: Fraction,
    span: Window,
    delay: Delay | None = None,
    gaps: Sequence[Window] = (),
) -> Measure:
    """Return a part's measure of a span, given its shares in the order of their ends."""
    late = Fraction(0)
    if delay is not None and delay.when_delayed != "Ignore":
        late = silent_share(shares, span, delay.longest, gaps)
    return Measure(
        weight,
        tuple(share.end for share in shares),
        tuple(accumulate(share.bad for share in shares)),
        sum(share.valid for share in shares),
        late,
        delay is not None and delay.when_delayed == "CountAsBad",
    )


def silent_share(
    shares: Sequence[Share], span: Window, longest: timedelta, gaps: Sequence[Window] = ()
) -> Fraction:
    """Return the share of a span that lies in a silence, beyond the longest one allowed.

    In the ``gaps`` that corrections leave nobody listens: a silence begins anew after each.
    """
    late, heard = timedelta(0), span.since
    edges = [(share.start, share.end) for share in shares if share.measured]
    if gaps:
        edges = sorted([*edges, *((gap.since, gap.until) for gap in gaps)])
    for start, end in [*edges, (span.until, span.until)]:
        late += max(timedelta(0), start - heard - longest)
        heard = max(heard, end)
    length = (span.length - left_out(gaps)) // _UNIT
    return Fraction(late // _UNIT, length) if length > 0 else Fraction(0)


def bad_ratio(
    parts: Sequence[Measure], combination: Combination, at: datetime | None = None
) -> Fraction | None:
    """Return the bad ratio of all parts together, or what of it was bad by ``at``.

    None when no part was measured. It never falls with ``at``.
    """
    measured = [part for part in parts if part.is_measured]
    if not measured:
        return None
    if combination == "journey":
        good = Fraction(1)
        for part in measured:
            good *= 1 - part.bad_until(at)
        return 1 - good
    weights = sum((part.weight for part in measured), Fraction(0))
    return sum((part.weight * part.bad_until(at) for part in measured), Fraction(0)) / weights


def spent_at(
    parts: Sequence[Measure], combination: Combination, allowed: Fraction
) -> datetime | None:
    """Return the first instant by which a budget of the whole window was spent, or none.

    Cost: O(n) to order the instants, O(log n) exact ratios.
    """
    whole = bad_ratio(parts, combination)
    if whole is None or whole == 0 or whole < allowed:
        return None
    instants = sorted({end for part in parts for end in part.ends})
    low, high = 0, len(instants)
    while low < high:
        middle = (low + high) // 2
        spent = bad_ratio(parts, combination, instants[middle]) or Fraction(0)
        if spent > 0 and spent >= allowed:
            high = middle
        else:
            low = middle + 1
    return instants[low] if low < len(instants) else None
