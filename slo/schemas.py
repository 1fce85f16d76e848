"""What the objective endpoints answer: plain documents, ratios in [0, 1], unknown is null."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from slo.breakdown import Breakdown, Contribution
from slo.burn_rate import Tier, TierState, is_firable, max_burn, warnings_about
from slo.evaluation import BudgetReading
from slo.objective import Objective
from slo.parts import PartReading
from slo.register import Difference, Registered, Revision
from slo.timeline import TimelinePoint
from slo.window import Window, format_duration


def objective_document(registered: Registered) -> dict[str, Any]:
    """Return an objective and its revision."""
    objective = registered.objective
    budgeting = objective.budgeting
    slices = None
    if budgeting.method != "Occurrences":
        target = budgeting.slice_target
        slices = {
            "length": format_duration(budgeting.slice_length),
            "target": None if target is None else float(target),
        }
    return {
        "name": objective.name,
        "service": objective.service,
        "display_name": objective.display_name,
        "description": objective.description,
        "target": float(objective.target),
        "window": objective.period.text,
        "windows": [one.text for one in objective.windows],
        "method": budgeting.method,
        "slices": slices,
        "parts": [
            {"name": part.name, "weight": float(part.weight)}
            for part in objective.parts
            if objective.is_composite
        ],
        "no_data": objective.no_data,
        "minimum_events": objective.minimum_events,
        "minimum_bad_events": objective.minimum_bad_events,
        "alert_policies": [policy.name for policy in objective.policies],
        "revision": registered.revision,
        "applied_at": registered.applied_at.isoformat(),
    }


def revision_document(revision: Revision) -> dict[str, Any]:
    """Return who applied a revision, when, and what it promised; a removal promises nothing."""
    objective = revision.objective
    return {
        "revision": revision.number,
        "applied_at": revision.applied_at.isoformat(),
        "author": revision.author,
        "removed": objective is None,
        "target": None if objective is None else float(objective.target),
        "window": None if objective is None else objective.period.text,
        "method": None if objective is None else objective.budgeting.method,
    }


def difference_document(
    difference: Difference, findings: Sequence[dict[str, object]], *, dry_run: bool
) -> dict[str, Any]:
    """Return what applying changed: objectives by name, documents with the lines that differ."""
    return {
        "created": difference.created,
        "changed": difference.changed,
        "unchanged": difference.unchanged,
        "removed": difference.removed,
        "findings": list(findings),
        "dry_run": dry_run,
        "documents": [
            {"kind": one.kind, "name": one.name, "change": one.change, "diff": list(one.diff)}
            for one in difference.documents
        ],
    }


def budget_document(objective: Objective, reading: BudgetReading) -> dict[str, Any]:
    """Return a budget; before there are valid events all that depends on them is null.

    ``good``, ``valid`` and ``bad`` are events, of Timeslices slices.
    """
    budget, method = reading.budget, objective.budgeting.method
    slices = method == "Timeslices"
    good, valid = _slices(reading) if slices else (reading.events.good, reading.events.valid)
    left = None
    if method == "Occurrences" and not objective.is_composite and budget.sli is not None:
        left = budget.bad_events_left(reading.events)
    return {
        "name": objective.name,
        "target": float(objective.target),
        "window": _window(budget.window) | {"kind": reading.kind},
        "method": method,
        "unit": "slices" if slices else "events",
        "good": good,
        "valid": valid,
        "bad": valid - good,
        "sli": _float(budget.sli),
        "budget": float(objective.budget),
        "consumed": _float(budget.consumed),
        "remaining": _float(budget.remaining),
        "bad_events_left": _float(left),
        "seconds_left": _float(budget.seconds_left),
        "coverage": reading.coverage,
        "exhausted_at": reading.exhausted_at.isoformat() if reading.exhausted_at else None,
        "corrected_seconds": int(reading.corrected.total_seconds()),
        "held_back_by": reading.held_back_by,
        "frozen_at": reading.frozen_at.isoformat() if reading.frozen_at else None,
        "parts": [_part(one) for one in reading.parts if objective.is_composite],
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
                "burn": point.burn,
            }
            for point in points
        ],
    }


def contribution_document(objective: Objective, by: str, breakdown: Breakdown) -> dict[str, Any]:
    """Return where the bad events of a window came from, the greatest contribution first.

    An absent field is null, as is the value of ``others``.
    """
    others = breakdown.others
    return {
        "name": objective.name,
        "by": by,
        "window": _window(breakdown.window),
        "good": breakdown.total.good,
        "valid": breakdown.total.valid,
        "bad": breakdown.total.bad,
        "values": [_contribution(one) for one in breakdown.contributions],
        "others": None if others is None else _contribution(others),
        "other_values": breakdown.other_values,
    }


def values_document(
    objective: Objective, by: str, values: Sequence[tuple[str, BudgetReading]], more: int
) -> dict[str, Any]:
    """Return the budget of each value of a field; ``other_values`` is how many are not told."""
    kept = ("good", "valid", "bad", "sli", "consumed", "remaining", "coverage", "held_back_by")
    documents = [(value, budget_document(objective, reading)) for value, reading in values]
    return {
        "by": by,
        "values": [
            {"value": value or None} | {name: document[name] for name in kept}
            for value, document in documents
        ],
        "other_values": more,
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


def _contribution(one: Contribution) -> dict[str, Any]:
    return {
        "value": one.value or None,
        "good": one.counts.good,
        "valid": one.counts.valid,
        "bad": one.counts.bad,
        "share_of_bad": _float(one.share_of_bad),
        "consumed": _float(one.consumed),
    }


def _window(window: Window) -> dict[str, Any]:
    return {"since": window.since.isoformat(), "until": window.until.isoformat()}


def _float(value: Fraction | None) -> float | None:
    return None if value is None else float(value)


def _slices(reading: BudgetReading) -> tuple[int, int]:
    units = [one.units for one in reading.parts]
    return sum(one.good for one in units), sum(one.valid for one in units)


def _part(reading: PartReading) -> dict[str, Any]:
    bad = reading.measure.bad_ratio
    return {
        "name": reading.part.name,
        "weight": float(reading.part.weight),
        "good": reading.events.good,
        "valid": reading.events.valid,
        "sli": _float(None if bad is None else 1 - bad),
        "coverage": reading.coverage,
        "delayed": float(reading.measure.delayed),
    }
