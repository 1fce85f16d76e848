"""The register of objectives: applied as a whole, read by name."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from slo.errors import ObjectiveNotFoundError
from slo.indicator import Condition, Filter, Indicator, Threshold
from slo.objective import Objective
from slo.tables import ObjectiveRow


@dataclass(frozen=True, slots=True)
class Registered:
    """An objective and when its present revision was applied."""

    objective: Objective
    revision: int
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """What applying a set of objectives changed, by name, in the order given."""

    created: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def apply_objectives(session: Session, objectives: Sequence[Objective], at: datetime) -> Difference:
    """Store objectives by name; applying the same again changes nothing. Removes none."""
    created, changed, unchanged = [], [], []
    for objective in objectives:
        definition = _definition(objective)
        row = session.get(ObjectiveRow, objective.name)
        if row is None:
            created.append(objective.name)
            session.add(
                ObjectiveRow(
                    name=objective.name,
                    service=objective.service,
                    definition=definition,
                    revision=1,
                    applied_at=at,
                )
            )
        elif row.definition == definition:
            unchanged.append(objective.name)
        else:
            changed.append(objective.name)
            row.service, row.definition = objective.service, definition
            row.revision, row.applied_at = row.revision + 1, at
    return Difference(tuple(created), tuple(changed), tuple(unchanged))


def find_objective(session: Session, name: str) -> Registered:
    """Return one objective.

    Raises:
        ObjectiveNotFoundError: none bears that name.
    """
    row = session.get(ObjectiveRow, name)
    if row is None:
        raise ObjectiveNotFoundError
    return _registered(row)


def all_objectives(session: Session) -> list[Registered]:
    """Return every objective, by name."""
    rows = session.scalars(select(ObjectiveRow).order_by(ObjectiveRow.name))
    return [_registered(row) for row in rows]


def _definition(objective: Objective) -> dict[str, Any]:
    document = asdict(objective)
    document["target"] = str(objective.target)
    document["window"] = objective.window.total_seconds()
    for conditions in ("valid", "good"):
        document["indicator"][conditions] = [
            condition | {"values": list(condition["values"])}
            for condition in document["indicator"][conditions]
        ]
    return document


def _registered(row: ObjectiveRow) -> Registered:
    document: Mapping[str, Any] = row.definition
    indicator = document["indicator"]
    threshold = indicator["threshold"]
    objective = Objective(
        name=document["name"],
        service=document["service"],
        display_name=document["display_name"],
        description=document["description"],
        target=Decimal(document["target"]),
        window=timedelta(seconds=document["window"]),
        indicator=Indicator(
            valid=_filter(indicator["valid"]),
            good=_filter(indicator["good"]),
            inverted=indicator["inverted"],
            threshold=Threshold(**threshold) if threshold is not None else None,
            signal=indicator.get("signal", "events"),
        ),
    )
    return Registered(objective, row.revision, row.applied_at)


def _filter(conditions: Sequence[Mapping[str, Any]]) -> Filter:
    return tuple(
        Condition(one["field"], one["operator"], tuple(one["values"])) for one in conditions
    )
