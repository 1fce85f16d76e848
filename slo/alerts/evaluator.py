"""One evaluation of every objective: what began, what is over, and who is to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.ids import new_id
from candor.kernel.services import Services
from candor.kernel.settings import AlertSettings
from slo.alerting import (
    Alert,
    Counts,
    Rules,
    Signal,
    Transition,
    advance,
    default_rules,
    signals_of,
)
from slo.alerts import store
from slo.alerts.delivery import Delivery, Silence
from slo.alerts.messages import facts_of
from slo.alerts.targets import target_names
from slo.budget import EventCounts, JudgedCounts
from slo.correction import corrected
from slo.evaluation import reach, read_budget, read_lookbacks
from slo.governance.store import corrections_by_objective
from slo.objective import Objective
from slo.period import RollingPeriod
from slo.register import all_objectives
from slo.window import Window, whole_minute

_SILENCE = timedelta(hours=1)
Turn = tuple[Alert, Transition]
"""An alert that has just fired or been resolved."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An objective, what its alerts listen to, the counts of those windows, and of its own."""

    objective: Objective
    rules: Rules
    counts: Counts
    whole: EventCounts | None


def evaluate(services: Services) -> list[Turn]:
    """Evaluate every objective at the last whole minute, and return what has begun or ended.

    Alerts and the messages about them are written in one transaction, so that a crash neither
    forgets to tell nor tells twice. Doing it again for the same minute changes nothing.

    Cost: a few queries for all objectives that count events and are no composite, whatever their
    number; one more for each part of any other.
    """
    at = whole_minute(services.clock())
    with session_of(services.engine) as session:
        objectives = [one.objective for one in all_objectives(session)]
        corrections = corrections_by_objective(session, objectives)
    gaps = {
        one.name: corrected(corrections[one.name], _lookback(services, one, at))
        for one in objectives
        if corrections[one.name]
    }
    readings = _readings(services, objectives, gaps, at)
    with session_of(services.engine) as session:
        turns = _turns(session, readings, at)
        silences = store.silences(session, ends_after=at)
        for turn in turns:
            _tell(services, session, turn, silences, at)
    return turns


def rules_of(objective: Objective, settings: AlertSettings) -> Rules:
    """Return the rules of an objective: its tiers, and what the settings switch on.

    Its own minimum of events is a floor too. Where silence is bad, bad events need not have
    happened; where it is to alert, an hour of it does unless the settings say how long.
    """
    tiers = default_rules(objective.window).burn
    return Rules(
        burn=tuple(rule for rule in tiers if rule.name not in settings.disabled_tiers),
        traffic_floor=max(settings.traffic_floor, objective.minimum_events),
        minimum_bad=0 if objective.no_data == "bad" else settings.minimum_bad_events,
        remaining_below=_share(settings.remaining_below),
        drop_share=_share(settings.drop_share),
        drop_within=settings.drop_within,
        exhausted_within=settings.exhausted_within,
        no_data_for=settings.no_data_for or (_SILENCE if objective.no_data == "alert" else None),
        pending_for=settings.pending_for,
        keep_firing=settings.keep_firing,
    )


def _readings(
    services: Services,
    objectives: Sequence[Objective],
    gaps: Mapping[str, Sequence[Window]],
    at: datetime,
) -> list[_Reading]:
    """Return the counts of every window that decides, without what is corrected."""
    rules = [rules_of(one, services.settings.alerts) for one in objectives]
    lengths = [
        listened.lookbacks(one.window) for one, listened in zip(objectives, rules, strict=True)
    ]
    counts = read_lookbacks(services.telemetry, objectives, at, lengths, gaps)
    return [
        _Reading(one, listened, own, _whole(services, one, listened, gaps.get(one.name, ()), at))
        for one, listened, own in zip(objectives, rules, counts, strict=True)
    ]


def _whole(
    services: Services, objective: Objective, rules: Rules, gaps: Sequence[Window], at: datetime
) -> EventCounts | None:
    """Return what a calendar's window holds, if a rule asks; other windows simply end now."""
    if not rules.asks_for_whole or isinstance(objective.period, RollingPeriod):
        return None
    reading = read_budget(services.telemetry, objective, at, gaps=gaps)
    return JudgedCounts(reading.events.good, reading.events.valid, reading.budget.sli)


def _lookback(services: Services, objective: Objective, at: datetime) -> Window:
    """Return the time that the alerts of an objective are counted from."""
    own = reach(objective, at)
    lengths = rules_of(objective, services.settings.alerts).lookbacks(objective.window)
    return Window(min(own.since, at - max(lengths, default=timedelta(0))), at)


def _turns(session: Session, readings: Sequence[_Reading], at: datetime) -> list[Turn]:
    known = {(one.objective, one.kind, one.severity): one for one in store.open_alerts(session)}
    turns: list[Turn] = []
    for reading in readings:
        objective = reading.objective
        for signal in signals_of(
            reading.rules, objective.target, objective.window, reading.counts, reading.whole
        ):
            alert = known.pop((objective.name, signal.kind, signal.severity), None)
            if alert is None and signal.active:
                alert = _begun(objective, signal, at)
                store.keep_alert(session, alert)
            elif alert is None or alert.evaluated_at >= at:
                continue
            turns += _turn(session, alert, signal, reading.rules, at)
    for orphan in known.values():  # its objective or its rule is gone
        over = Signal(orphan.kind, orphan.severity, active=False)
        turns += _turn(session, orphan, over, Rules((), keep_firing=timedelta(0)), at)
    return turns


def _begun(objective: Objective, signal: Signal, at: datetime) -> Alert:
    return Alert(
        id=new_id(at),
        objective=objective.name,
        service=objective.service,
        kind=signal.kind,
        severity=signal.severity,
        tier=signal.tier,
        state="pending",
        summary=signal.summary,
        pending_since=at,
        last_active_at=at,
        evaluated_at=at,
    )


def _turn(session: Session, alert: Alert, signal: Signal, rules: Rules, at: datetime) -> list[Turn]:
    after, transition = advance(alert, signal, rules, at)
    if after is None:
        store.drop_alert(session, alert)
        return []
    store.keep_alert(session, after)
    return [(after, transition)] if transition is not None else []


def _tell(
    services: Services, session: Session, turn: Turn, silences: Sequence[Silence], at: datetime
) -> None:
    alert, transition = turn
    silenced = any(silence.covers(alert, at) for silence in silences)
    for target in target_names(services.settings):
        delivery = Delivery(
            id=new_id(at),
            alert_id=alert.id,
            transition=transition,
            target=target,
            state="silenced" if silenced else "waiting",
            attempts=0,
            created_at=at,
            next_at=at,
            outcome="",
            payload=facts_of(alert, transition, services.settings.public_url),
        )
        store.add_delivery(session, delivery)


def _share(ratio: float | None) -> Fraction | None:
    return None if ratio is None else Fraction(str(ratio))
