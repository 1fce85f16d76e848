"""Ordered funnels: how far each person or journey instance got, and how long each step took.

Semantics: the window runs from the first step and includes its end; an event counts for one step
only; events of the same instant convert in either order; a unit that enters several times counts
with its deepest attempt, and of equally deep ones with the earliest.

Source: PostHog's funnels, which this follows.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from statistics import fmean, median
from typing import Literal

from slo.indicator import Filter

Unit = Literal["subject", "instance"]
DEFAULT_WINDOW = timedelta(days=14)
ANY_EVENT = "*"
_MILLISECONDS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: events of a name (``*`` is any) that match the conditions."""

    event: str
    where: Filter


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of a unit: when, which steps it matches (a bit each), and its breakdown value."""

    at_milliseconds: int
    steps: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How far a unit got: the instant of each step that it reached."""

    times: tuple[int, ...]
    group: str

    @property
    def depth(self) -> int:
        """How many steps were reached."""
        return len(self.times)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one step. ``seconds`` run from the previous step, one for each unit."""

    count: int
    from_previous: float | None
    from_first: float | None
    mean_seconds: float | None
    median_seconds: float | None


@dataclass(slots=True)
class Tally:
    """Attempts, counted by step."""

    steps: int
    counts: list[int] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * self.steps
        self.seconds = [[] for _ in range(self.steps)]

    def add(self, attempt: Attempt) -> None:
        """Count one unit's attempt."""
        for step, at in enumerate(attempt.times):
            self.counts[step] += 1
            if step:
                self.seconds[step].append((at - attempt.times[step - 1]) / 1000)

    def results(self) -> list[StepResult]:
        """Return each step; a ratio over nobody is none."""
        return [self._result(step) for step in range(self.steps)]

    def _result(self, step: int) -> StepResult:
        count, seconds = self.counts[step], self.seconds[step]
        return StepResult(
            count,
            _ratio(count, self.counts[step - 1]) if step else None,
            _ratio(count, self.counts[0]),
            fmean(seconds) if seconds else None,
            median(seconds) if seconds else None,
        )


def deepest_attempt(moments: Sequence[Moment], steps: int, window: timedelta) -> Attempt | None:
    """Return the deepest attempt of one unit; none when it never entered.

    ``moments`` are in order of time. Cost: entries x moments in the worst case; a complete attempt
    ends the search.
    """
    most = window // _MILLISECONDS
    best: Attempt | None = None
    for position, moment in enumerate(moments):
        if not moment.steps & 1:
            continue
        attempt = _attempt_from(moments, position, steps, most)
        if best is None or attempt.depth > best.depth:
            best = attempt
        if best.depth == steps:
            break
    return best


def tally(
    units: Iterable[Sequence[Moment]], steps: int, window: timedelta
) -> tuple[Tally, dict[str, Tally]]:
    """Return all units counted by step, and the same for each breakdown value.

    A unit belongs to the breakdown value of the event with which its attempt began.
    """
    total = Tally(steps)
    groups: dict[str, Tally] = {}
    for moments in units:
        attempt = deepest_attempt(moments, steps, window)
        if attempt is not None:
            total.add(attempt)
            groups.setdefault(attempt.group, Tally(steps)).add(attempt)
    return total, groups


def _attempt_from(moments: Sequence[Moment], start: int, steps: int, most: int) -> Attempt:
    """Take as many steps as each instant allows, which reaches as far as any way."""
    entered = moments[start].at_milliseconds
    first = start
    while first and moments[first - 1].at_milliseconds == entered:
        first -= 1
    rest = (moments[n] for n in range(first, len(moments)) if n != start)
    times = [entered]
    for at, instant in groupby(rest, key=lambda moment: moment.at_milliseconds):
        if at - entered > most or len(times) == steps:
            break
        times += [at] * _steps_taken([moment.steps for moment in instant], len(times), steps)
    return Attempt(tuple(times), moments[start].group)


def _steps_taken(events: Sequence[int], step: int, steps: int) -> int:
    """Return how many steps from ``step`` on the events of one instant take, one event a step.

    Events of one instant have no order, so this is a matching: a later step may claim an event
    that an earlier one can do without.
    """
    taken: dict[int, int] = {}

    def claim(wanted: int, seen: set[int]) -> bool:
        for event, bits in enumerate(events):
            if bits >> wanted & 1 and event not in seen:
                seen.add(event)
                if event not in taken or claim(taken[event], seen):
                    taken[event] = wanted
                    return True
        return False

    reached = step
    while reached < steps and claim(reached, set()):
        reached += 1
    return reached - step


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
