"""One evaluation of every objective: what began, what is over, and who is to be told."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy.orm import Session

from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError
from candor.kernel.ids import new_id
from candor.kernel.logging import log
from candor.kernel.metrics import ObjectiveMetrics
from candor.kernel.objective_settings import AlertSettings
from candor.kernel.services import Services
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
from slo.budget import EventCounts, burn_rate
from slo.burn_rule import Policy
from slo.correction import Correction, clipped, corrected
from slo.evaluation import reach, read_judged
from slo.governance.store import corrections_by_objective
from slo.lookback import read_lookbacks
from slo.objective import Objective
from slo.period import RollingPeriod
from slo.register import all_objectives
from slo.restraint import restraint_of
from slo.window import Window, format_duration, rolling, whole_minute

_SILENCE = timedelta(hours=1)
Turn = tuple[Alert, Transition]
"""An alert that has just fired or been resolved."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An objective, what its alerts listen to, the counts of those windows, and of its own.

    ``interrupted`` are the lengths of the windows that corrections cut into.
    """

    objective: Objective
    rules: Rules
    counts: Counts
    whole: EventCounts | None
    interrupted: frozenset[timedelta]


def evaluate(services: Services) -> list[Turn]:
    """Evaluate every objective at the last whole minute, and return what has begun or ended.

    Alerts and the messages about them are written in one transaction, so that a crash neither
    forgets to tell nor tells twice. Doing it again for the same minute begins and ends nothing.
    Silences hold by the instant, not by the minute: what one that is over kept back is told now.

    Cost: a few queries for all objectives that count events and are no composite, whatever their
    number; one more for each part of any other.
    """
    at = whole_minute(services.clock())
    with session_of(services.engine) as session:
        objectives = [one.objective for one in all_objectives(session)]
        corrections = corrections_by_objective(session, objectives)
    gaps = {
        one.name: _left_out(corrections[one.name], _lookback(services, one, at))
        for one in objectives
        if corrections[one.name]
    }
    readings = _readings(services, objectives, gaps, at)
    with session_of(services.engine) as session:
        turns = _turns(session, readings, at)
        now = services.clock()
        silences = store.silences(session, ends_after=now)
        policies = {
            (one.name, policy.name): policy for one in objectives for policy in one.policies
        }
        for alert, transition in turns:
            policy = policies.get((alert.objective, alert.policy))
            targets = told(transition, policy, target_names(services.settings))
            silenced = set(targets) if _covers(silences, alert, now) else set()
            if transition == "resolved":  # who did not hear of it need not hear that it is over
                silenced |= store.kept_from(session, alert.id)
            _tell(services, session, (alert, transition), targets, at, silenced=silenced)
        for delivery, alert in store.kept_back(session):
            if not _covers(silences, alert, now):
                store.tell_now(session, delivery, at)
        opened = [one for one in store.open_alerts(session) if one.is_open]
    _show(services.metrics.objectives, readings, opened)
    return turns


def rules_of(objective: Objective, settings: AlertSettings) -> Rules:
    """Return the rules of an objective: its policies or its tiers, and what the settings switch on.

    Where silence is to alert, an hour of it does unless the settings say how long.
    """
    restraint = restraint_of(objective, settings)
    tiers = () if objective.policies else default_rules(objective.window).burn
    return Rules(
        burn=tuple(rule for rule in tiers if rule.name not in restraint.disabled),
        policies=objective.policies,
        traffic_floor=restraint.minimum_events,
        minimum_bad=restraint.minimum_bad,
        remaining_below=_share(settings.remaining_below),
        drop_share=_share(settings.drop_share),
        drop_within=settings.drop_within,
        exhausted_within=settings.exhausted_within,
        no_data_for=settings.no_data_for or (_SILENCE if objective.no_data == "alert" else None),
        pending_for=settings.pending_for,
        keep_firing=settings.keep_firing,
    )


def told(transition: Transition, policy: Policy | None, everybody: Sequence[str]) -> list[str]:
    """Return who hears of a turn: whom the alert's policy names, or everybody.

    A policy that names nobody who is set up here tells everybody: better too many than none.
    """
    if policy is None:
        return list(everybody)
    if transition == "resolved" and not policy.tells_end:
        return []
    return [one for one in everybody if one in policy.targets] or list(everybody)


def _readings(
    services: Services,
    objectives: Sequence[Objective],
    gaps: Mapping[str, Sequence[Window]],
    at: datetime,
) -> list[_Reading]:
    """Return the counts of every window that decides, without what is corrected."""
    rules = [rules_of(one, services.settings.alerts) for one in objectives]
    lengths = [
        listened.lookbacks(one.window) | _own_lookback(one)
        for one, listened in zip(objectives, rules, strict=True)
    ]
    counts = read_lookbacks(services.telemetry, objectives, at, lengths, gaps)
    wholes = _wholes(services, objectives, gaps, at)
    return [
        _Reading(
            one,
            listened,
            own,
            wholes.get(one.name),
            frozenset(
                length for length in own if clipped(gaps.get(one.name, ()), rolling(length, at))
            ),
        )
        for one, listened, own in zip(objectives, rules, counts, strict=True)
    ]


def _own_lookback(objective: Objective) -> set[timedelta]:
    """Return the length of the budget's own window if that ends now, as a calendar's does not."""
    return {objective.window} if isinstance(objective.period, RollingPeriod) else set()


def _wholes(
    services: Services,
    objectives: Sequence[Objective],
    gaps: Mapping[str, Sequence[Window]],
    at: datetime,
) -> dict[str, EventCounts]:
    """Return what the windows of calendars hold, by objective; other windows simply end now."""
    own = [one for one in objectives if not isinstance(one.period, RollingPeriod)]
    counts = read_judged(services.telemetry, own, at, gaps)
    return {one.name: counted for one, counted in zip(own, counts, strict=True)}


def _lookback(services: Services, objective: Objective, at: datetime) -> Window:
    """Return the time that the alerts of an objective are counted from."""
    own = reach(objective, at)
    lengths = rules_of(objective, services.settings.alerts).lookbacks(objective.window)
    return Window(min(own.since, at - max(lengths, default=timedelta(0))), at)


def _left_out(corrections: Sequence[Correction], window: Window) -> list[Window]:
    """Return what corrections leave out; without the one that cannot be counted, if there is one.

    The alerts of all objectives must not end with it.
    """
    try:
        return corrected(corrections, window)
    except InvalidInputError:
        kept = [one for one in corrections if _is_countable(one, window)]
        log().warning("a correction recurs too often to be counted", left=len(kept))
        return corrected(kept, window)


def _is_countable(correction: Correction, window: Window) -> bool:
    try:
        corrected([correction], window)
    except InvalidInputError:
        return False
    return True


def _turns(session: Session, readings: Sequence[_Reading], at: datetime) -> list[Turn]:
    known = {one.slot: one for one in store.open_alerts(session)}
    turns: list[Turn] = []
    for reading in readings:
        objective = reading.objective
        for signal in signals_of(
            reading.rules,
            objective.target,
            objective.window,
            reading.counts,
            reading.whole,
            interrupted=reading.interrupted,
        ):
            begun = _begun(objective, signal, at)
            alert = known.pop(begun.slot, None)
            if alert is None and signal.active:
                alert = begun
                store.keep_alert(session, alert)
            elif alert is None or alert.evaluated_at >= at:
                continue
            turns += _turn(session, alert, signal, reading.rules, at)
    for orphan in known.values():  # its objective or its rule is gone
        over = Signal(orphan.kind, orphan.severity, active=False)
        turns += _turn(session, orphan, over, Rules((), keep_firing=timedelta(0)), at)
    return turns


def _show(board: ObjectiveMetrics, readings: Sequence[_Reading], opened: Sequence[Alert]) -> None:
    """Put how objectives stand on ``/metrics``; what was not measured is not shown."""
    judged = [one for one in readings if _has_verdict(one)]
    spent = {
        one.objective.name: burn_rate(_budget_counts(one), one.objective.target) for one in judged
    }
    slis = {one.objective.name: _budget_counts(one).sli for one in judged}
    board.target.show({(one.objective.name,): float(one.objective.target) for one in readings})
    board.sli.show({(name,): float(sli) for name, sli in slis.items() if sli is not None})
    board.remaining.show(
        {(name,): float(1 - burn) for name, burn in spent.items() if burn is not None}
    )
    board.burn.show(
        {
            (one.objective.name, format_duration(length)): float(burn)
            for one in readings
            for length, counts in one.counts.items()
            if (burn := burn_rate(counts, one.objective.target)) is not None
        }
    )
    board.alerts.show(Counter((one.objective, one.kind, one.severity) for one in opened))


def _budget_counts(reading: _Reading) -> EventCounts:
    whole = reading.whole
    return reading.counts[reading.objective.window] if whole is None else whole


def _has_verdict(reading: _Reading) -> bool:
    """Whether there are as many events as the objective asks for before its budget is told."""
    return _budget_counts(reading).valid >= reading.objective.minimum_events


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
        policy=signal.policy,
    )


def _turn(session: Session, alert: Alert, signal: Signal, rules: Rules, at: datetime) -> list[Turn]:
    after, transition = advance(alert, signal, rules, at)
    if after is None:
        store.drop_alert(session, alert)
        return []
    store.keep_alert(session, after)
    return [(after, transition)] if transition is not None else []


def _covers(silences: Sequence[Silence], alert: Alert, at: datetime) -> bool:
    return any(silence.covers(alert, at) for silence in silences)


def _tell(  # noqa: PLR0913 - one message to each
    services: Services,
    session: Session,
    turn: Turn,
    targets: Sequence[str],
    at: datetime,
    *,
    silenced: Collection[str],
) -> None:
    alert, transition = turn
    for target in targets:
        delivery = Delivery(
            id=new_id(at),
            alert_id=alert.id,
            transition=transition,
            target=target,
            state="silenced" if target in silenced else "waiting",
            attempts=0,
            created_at=at,
            next_at=at,
            outcome="",
            payload=facts_of(alert, transition, services.settings.public_url),
        )
        store.add_delivery(session, delivery)


def _share(ratio: float | None) -> Fraction | None:
    return None if ratio is None else Fraction(str(ratio))
