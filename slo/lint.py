"""Promises that are valid and can hardly be meant: each warning names what would be better."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from candor.kernel.document import Value
from slo.alert_policy import AlertCondition
from slo.burn_rate import Tier, is_firable, max_burn, tiers_of
from slo.kinds import Goal, Promise, combined_target
from slo.objective import NoData
from slo.period import CalendarPeriod, Period
from slo.window import format_duration

RETENTION = timedelta(days=400)
"""How long telemetry is kept; see the telemetry migrations."""

_SHORT_PERIOD = timedelta(hours=1)


def lint_promise(promise: Promise) -> None:
    """Report what is doubtful about an SLO, at the field that would be changed."""
    _lint_window(promise)
    goals, terms = promise.goals, promise.terms
    for goal in goals:
        _lint_slices(promise, goal)
    targets = [(goal.target, goal) for goal in goals]
    if promise.is_composite:
        targets = [(combined_target(goals, terms.combination), goals[0])]
    for target, goal in targets:
        for condition in {one for policy in promise.policies for one in policy.conditions}:
            lint_condition(condition, target)
        if not promise.policies:
            tiers = tiers_of(promise.period.nominal)
            kept = [one for one in tiers if one.name not in terms.disabled_tiers]
            _lint_tiers(target, promise.period, kept, goal.target_place)
        if terms.expected_events is not None:
            lint_volume(target, terms.expected_events, goal, terms.no_data)


def lint_condition(condition: AlertCondition, target: Decimal) -> None:
    """Report a burn-rate threshold that nothing can reach, or that the budget survives."""
    limit = max_burn(target)
    if condition.operator in {"gt", "gte"} and condition.threshold >= limit:
        condition.place.warn(
            "unfirable-factor",
            f"Total failure burns at {float(limit):g}, so this never fires. Choose less.",
        )
    elif condition.threshold < 1:
        condition.place.warn(
            "factor-below-one",
            "Below a burn rate of 1 the budget outlasts its window. Choose 1 or more.",
        )


def lint_volume(target: Decimal, events: int, goal: Goal, no_data: NoData) -> None:
    """Report a budget of less than one event of the volume of a window, or of one slice.

    No more slices are measured than there are events; by its ratio a slice may be bad in part.
    """
    method = goal.budgeting.method
    if method == "RatioTimeslices" or no_data == "bad":
        return
    if events and (1 - target) * events < 1:
        units = "events" if method == "Occurrences" else "measured slices or fewer"
        goal.target_place.warn(
            "sub-event-budget",
            f"Of {events} {units} in a window not one may be bad. Lower the target, or take a"
            " longer window.",
        )


def _lint_window(promise: Promise) -> None:
    period = promise.period
    if isinstance(period, CalendarPeriod) and period.unit == "m":
        promise.period_place.warn(
            "minute-for-month", "m are minutes; a calendar month is written M, such as 1M."
        )
    elif period.nominal < _SHORT_PERIOD:
        promise.period_place.warn(
            "minute-for-month", "A window of minutes; if months are meant, write M, such as 1M."
        )
    for one in (period, *promise.terms.windows):
        if one.nominal > RETENTION:
            promise.period_place.warn(
                "window-over-retention",
                f"{one.text} is longer than telemetry is kept ({format_duration(RETENTION)}), so"
                " it can never be covered.",
            )


def _lint_slices(promise: Promise, goal: Goal) -> None:
    place, length = goal.slice_place, goal.budgeting.slice_length
    if place is None or goal.budgeting.method == "Occurrences":
        return
    interval = promise.terms.data_interval
    if interval is not None and length < interval:
        place.warn(
            "slice-below-interval",
            f"Data come every {format_duration(interval)}, so shorter slices are empty or judged"
            " by one value. Take slices at least as long.",
        )
    slices = promise.period.nominal // length
    if (1 - goal.target) * slices < 1:
        goal.target_place.warn(
            "sub-event-budget",
            f"Of {slices} slices in a window not one may be bad. Lower the target, or take shorter"
            " slices.",
        )


def _lint_tiers(target: Decimal, period: Period, tiers: Sequence[Tier], place: Value) -> None:
    computed = (
        f"(`candor slo tiers --target {target:f} --window {format_duration(period.nominal)}"
        " --shares 2,5,10,10` computes them from shares of the budget)"
    )
    unfirable = [
        tier.name for tier in tiers if tier.severity == "page" and not is_firable(tier, target)
    ]
    if unfirable:
        place.warn(
            "unfirable-factor",
            f"Total failure burns at {float(max_burn(target)):g}, so these pages can never"
            f" fire: {', '.join(unfirable)}. Name alertPolicies with thresholds below it"
            f" {computed}.",
        )
    early = [tier.name for tier in tiers if tier.factor < 1]
    if early:
        place.warn(
            "factor-below-one",
            f"For so short a window these alerts fire while the budget lasts: {', '.join(early)}."
            " Disable them (candor.dev/disabled-tiers), or name alertPolicies with thresholds of 1"
            f" and more {computed}.",
        )
