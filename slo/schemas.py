"""What the objective endpoints answer: plain documents, ratios in [0, 1], unknown is null."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from slo.burn_rate import Tier, TierState, is_firable, max_burn, warnings_about
from slo.evaluation import BudgetReading, TimelinePoint
from slo.objective import Objective
from slo.register import Registered
from slo.window import Window, format_duration


def objective_document(registered: Registered) -> dict[str, Any]:
    """Return an objective and its revision."""
    objective = registered.objective
    return {
        "name": objective.name,
        "service": objective.service,
        "display_name": objective.display_name,
        "description": objective.description,
        "target": float(objective.target),
        "window": format_duration(objective.window),
        "method": "Occurrences",
        "revision": registered.revision,
        "applied_at": registered.applied_at.isoformat(),
    }


def budget_document(objective: Objective, reading: BudgetReading) -> dict[str, Any]:
    """Return a budget; before there are valid events all that depends on them is null."""
    budget = reading.budget
    counts = budget.counts
    return {
        "name": objective.name,
        "target": float(objective.target),
        "window": _window(budget.window) | {"kind": "rolling"},
        "method": "Occurrences",
        "good": counts.good,
        "valid": counts.valid,
        "bad": counts.bad,
        "sli": _float(counts.sli),
        "budget": float(objective.budget),
        "consumed": _float(budget.consumed),
        "remaining": _float(budget.remaining),
        "bad_events_left": _float(budget.bad_events_left),
        "seconds_left": _float(budget.seconds_left),
        "coverage": reading.coverage,
        "exhausted_at": reading.exhausted_at.isoformat() if reading.exhausted_at else None,
        "corrected_seconds": int(reading.corrected.total_seconds()),
    }


def burn_document(objective: Objective, states: Sequence[TierState]) -> dict[str, Any]:
    """Return how each tier stands."""
    return {
        "max_burn": float(max_burn(objective.target)),
        "tiers": [
            {
                "tier": state.tier.name,
                "severity": state.tier.severity,
                "long": format_duration(state.tier.long),
                "short": format_duration(state.tier.short),
                "factor": float(state.tier.factor),
                "long_burn": _float(state.long_burn),
                "short_burn": _float(state.short_burn),
                "valid_events": state.valid_events,
                "firing": state.firing,
                "held_back_by": state.held_back_by,
            }
            for state in states
        ],
    }


def timeline_document(objective: Objective, points: Sequence[TimelinePoint]) -> dict[str, Any]:
    """Return the parts of a window, oldest first."""
    return {
        "name": objective.name,
        "target": float(objective.target),
        "points": [
            _window(point.window)
            | {
                "good": point.counts.good,
                "valid": point.counts.valid,
                "sli": _float(point.counts.sli),
                "remaining": point.remaining,
            }
            for point in points
        ],
    }


def tiers_document(target: Decimal, tiers: Sequence[Tier]) -> dict[str, Any]:
    """Return the tiers of a target and period, and what is wrong with them."""
    return {
        "max_burn": float(max_burn(target)),
        "tiers": [
            {
                "tier": tier.name,
                "severity": tier.severity,
                "long": format_duration(tier.long),
                "short": format_duration(tier.short),
                "budget_share": float(tier.budget_share),
                "factor": float(tier.factor),
                "firable": is_firable(tier, target),
            }
            for tier in tiers
        ],
        "warnings": warnings_about(tiers, target),
    }


def _window(window: Window) -> dict[str, Any]:
    return {"since": window.since.isoformat(), "until": window.until.isoformat()}


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)
