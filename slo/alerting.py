"""When an error budget is in such danger that someone must know, and when that is over.

Source: SRE Workbook, chapter 5, "Alerting on SLOs", for burn rules and their short windows.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from slo.budget import EventCounts, burn_rate
from slo.burn_rate import Severity, tiers_of
from slo.burn_rule import BurnRule, Policy

Kind = Literal["burn", "budget_remaining", "budget_drop", "exhaustion", "no_data"]
State = Literal["pending", "firing", "acknowledged", "resolved"]
Transition = Literal["fired", "resolved"]
_FORECAST_LOOKBACK = timedelta(hours=6)
_FOR_EVER = Fraction(365_000 * 86_400)
_NOTHING = EventCounts(0, 0)
_SILENT = "No valid events arrive."
_GRAVITY: tuple[Severity, ...] = ("page", "ticket")

Counts = Mapping[timedelta, EventCounts]
"""The counts of the windows that end now, by their lengths."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What alerts of an objective listen to; what is none is switched off.

    A burn rule stays silent below ``traffic_floor`` valid or ``minimum_bad`` bad events in its
    longest window; what looks at the budget does so below that floor in the budget's window, or for
    its fall in the window of that. Shares are of the period's budget. An alert fires once its
    condition has held for ``pending_for``, and resolves once it has not held for ``keep_firing``,
    so that an incident that flickers is one alert.
    """

    burn: tuple[BurnRule, ...]
    policies: tuple[Policy, ...] = ()
    traffic_floor: int = 0
    minimum_bad: int = 1
    remaining_below: Fraction | None = None
    drop_share: Fraction | None = None
    drop_within: timedelta = timedelta(hours=24)
    exhausted_within: timedelta | None = None
    no_data_for: timedelta | None = None
    pending_for: timedelta = timedelta(0)
    keep_firing: timedelta = timedelta(minutes=5)

    @property
    def asks_for_whole(self) -> bool:
        """Whether a rule looks at the whole window of the budget."""
        asking = (self.remaining_below, self.exhausted_within, self.no_data_for)
        silences = (policy.no_data_within for policy in self.policies)
        return any(one is not None for one in (*asking, *silences))

    def lookbacks(self, period: timedelta) -> set[timedelta]:
        """Return the lengths of the windows whose counts decide."""
        rules = [*self.burn, *(rule for policy in self.policies for rule in policy.rules)]
        lengths = {one.lookback for rule in rules for one in rule.conditions}
        lengths |= {one.no_data_within for one in self.policies if one.no_data_within is not None}
        if self.asks_for_whole:
            lengths.add(period)
        if self.exhausted_within is not None:
            lengths.add(_FORECAST_LOOKBACK)
        if self.drop_share is not None:
            lengths.add(self.drop_within)
        if self.no_data_for is not None:
            lengths.add(self.no_data_for)
        return lengths


@dataclass(frozen=True, slots=True)
class Signal:
    """Whether one kind of danger is there now, at what severity, and in words why.

    ``tier`` names the burn rule that holds; of several, the first. ``policy`` names the alert
    policy that asked, which may have its own ``pending_for``.
    """

    kind: Kind
    severity: Severity
    active: bool
    tier: str = ""
    summary: str = ""
    policy: str = ""
    pending_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """One incident of one objective, kind and severity, from its first sign to its end.

    ``tier`` is the burn rule that began it and never changes: it is part of the alert's identity
    wherever it was delivered.
    """

    id: str
    objective: str
    service: str
    kind: Kind
    severity: Severity
    tier: str
    state: State
    summary: str
    pending_since: datetime
    last_active_at: datetime
    evaluated_at: datetime
    fired_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    resolved_at: datetime | None = None
    policy: str = ""

    @property
    def slot(self) -> str:
        """What it is about; of everything, there is one alert at a time."""
        if self.policy:
            return f"{self.objective}/{self.kind}:{self.policy}"
        return f"{self.objective}/{self.kind}/{self.severity}"

    @property
    def is_open(self) -> bool:
        """Whether it has fired and is not over."""
        return self.state in {"firing", "acknowledged"}


@lru_cache(maxsize=256)
def default_rules(period: timedelta) -> Rules:
    """Return the four tiers for a period, and nothing else."""
    return Rules(tuple(BurnRule.of_tier(tier) for tier in tiers_of(period)))


def signals_of(  # noqa: PLR0913 - each is a fact about the same instant
    rules: Rules,
    target: Decimal,
    period: timedelta,
    counts: Counts,
    whole: EventCounts | None = None,
    *,
    interrupted: Collection[timedelta] = (),
) -> list[Signal]:
    """Return every danger that the rules know, active or not, from counts alone.

    ``counts`` has every length of ``rules.lookbacks``; ``whole`` are the counts of the budget's own
    window where that is no length that ends now. ``interrupted`` are the lengths whose windows
    corrections cut into: silence begins anew after what is left out, so it is not told from them.
    """
    if whole is None:
        whole = counts.get(period, _NOTHING)
    signals = [_burn_signal(rules, severity, target, counts) for severity in _severities(rules)]
    for policy in rules.policies:
        signals += _policy_signals(policy, rules, target, counts)
        signals += _policy_silence(policy, counts, whole, interrupted)
    judged = whole if whole.valid >= rules.traffic_floor else _NOTHING
    if rules.remaining_below is not None:
        signals.append(_remaining(rules.remaining_below, target, judged))
    if rules.drop_share is not None:
        signals.append(_drop(rules, rules.drop_share, target, period, counts))
    if rules.exhausted_within is not None:
        recent = counts[_FORECAST_LOOKBACK]
        left = time_to_exhaustion(target, period, judged, recent)
        signals.append(_exhaustion(rules.exhausted_within, left))
    if rules.no_data_for is not None:
        silent = _is_silent(rules.no_data_for, counts, whole, interrupted)
        signals.append(Signal("no_data", "ticket", silent, summary=_SILENT))
    return signals


def advance(
    alert: Alert, signal: Signal, rules: Rules, at: datetime
) -> tuple[Alert | None, Transition | None]:
    """Return the alert one evaluation later, and what has to be told, if anything.

    None takes the place of an alert that was pending and came to nothing.
    """
    alert = replace(alert, evaluated_at=at)
    if signal.active:
        alert = replace(alert, last_active_at=at, summary=signal.summary)
    if alert.state == "pending":
        if not signal.active:
            return None, None
        wait = rules.pending_for if signal.pending_for is None else signal.pending_for
        if at - alert.pending_since >= wait:
            return replace(alert, state="firing", fired_at=at), "fired"
    elif not signal.active and at - alert.last_active_at >= rules.keep_firing:
        return replace(alert, state="resolved", resolved_at=at), "resolved"
    return alert, None


def _severities(rules: Rules) -> list[Severity]:
    return [one for one in _GRAVITY if any(rule.severity == one for rule in rules.burn)]


def _burn_signal(rules: Rules, severity: Severity, target: Decimal, counts: Counts) -> Signal:
    of_severity = [rule for rule in rules.burn if rule.severity == severity]
    held = _first_that_holds(of_severity, rules, target, counts)
    if held is None:
        return Signal("burn", severity, active=False)
    return Signal(
        "burn",
        severity,
        active=True,
        tier=held.name,
        summary=_burns(held, target, counts),
    )


def _policy_signals(policy: Policy, rules: Rules, target: Decimal, counts: Counts) -> list[Signal]:
    if not policy.rules:
        return []
    held = _first_that_holds(policy.rules, rules, target, counts)
    summary = "" if held is None else _burns(held, target, counts)
    name, active = policy.name, held is not None
    return [Signal("burn", policy.severity, active, name, summary, name, policy.pending_for)]


def _policy_silence(
    policy: Policy, counts: Counts, whole: EventCounts, interrupted: Collection[timedelta]
) -> list[Signal]:
    if policy.no_data_within is None:
        return []
    silent = _is_silent(policy.no_data_within, counts, whole, interrupted)
    return [Signal("no_data", policy.severity, silent, "", _SILENT, policy.name, timedelta(0))]


def _first_that_holds(
    candidates: Sequence[BurnRule], rules: Rules, target: Decimal, counts: Counts
) -> BurnRule | None:
    return next((one for one in candidates if _holds(one, rules, target, counts)), None)


def _burns(rule: BurnRule, target: Decimal, counts: Counts) -> str:
    burn = float(burn_rate(counts[rule.longest], target) or 0)
    return f"The error budget burns {burn:.3g} times as fast as it may."


def _holds(rule: BurnRule, rules: Rules, target: Decimal, counts: Counts) -> bool:
    longest = counts[rule.longest]
    if longest.valid < rules.traffic_floor or longest.bad < rules.minimum_bad:
        return False
    burns = ((burn_rate(counts[one.lookback], target), one) for one in rule.conditions)
    return all(burn is not None and one.holds_at(burn) for burn, one in burns)


def _is_silent(
    length: timedelta, counts: Counts, whole: EventCounts, interrupted: Collection[timedelta]
) -> bool:
    return length not in interrupted and not counts[length].valid and whole.valid > 0


def _remaining(share: Fraction, target: Decimal, whole: EventCounts) -> Signal:
    spent = burn_rate(whole, target)
    low = spent is not None and 1 - spent < share
    return Signal(
        "budget_remaining",
        "ticket",
        low,
        summary=f"Less than {float(share):.3g} of the error budget remains.",
    )


def _drop(
    rules: Rules, share: Fraction, target: Decimal, period: timedelta, counts: Counts
) -> Signal:
    recent = counts[rules.drop_within]
    burn = burn_rate(recent, target) if recent.valid >= rules.traffic_floor else None
    lost = burn is not None and burn * _parts(rules.drop_within, period) >= share
    return Signal(
        "budget_drop",
        "ticket",
        lost,
        summary=f"{float(share):.3g} of the error budget was lost within {rules.drop_within}.",
    )


def _exhaustion(within: timedelta, left: timedelta | None) -> Signal:
    near = left is not None and left <= within
    return Signal(
        "exhaustion", "ticket", near, summary=f"The error budget will be spent within {within}."
    )


def time_to_exhaustion(
    target: Decimal, period: timedelta, whole: EventCounts, recent: EventCounts
) -> timedelta | None:
    """Return when the rest of the budget is gone if it burns on as it did recently.

    period x remaining / burn, at most a thousand years; zero when it is spent, none when nothing
    burns or is measured.

    Source: SRE Workbook, chapter 5.
    """
    spent, burn = burn_rate(whole, target), burn_rate(recent, target)
    if spent is None or not burn:
        return None
    seconds = max(Fraction(0), 1 - spent) / burn * _seconds(period)
    return timedelta(seconds=float(min(seconds, _FOR_EVER)))


def _parts(part: timedelta, whole: timedelta) -> Fraction:
    return _seconds(part) / _seconds(whole)


def _seconds(length: timedelta) -> Fraction:
    return Fraction(length // timedelta(microseconds=1), 1_000_000)
