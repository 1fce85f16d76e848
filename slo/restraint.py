"""What keeps the burn alerts of an objective back, by its own terms and by the settings."""

from candor.kernel.objective_settings import AlertSettings
from slo.burn_rate import Restraint
from slo.objective import Objective


def restraint_of(objective: Objective, settings: AlertSettings) -> Restraint:
    """Return what holds for an objective: the stricter of its terms and of the settings.

    Where silence is bad, bad events need not have happened, unless the objective asks for some.
    """
    minimum_bad = objective.minimum_bad_events
    if objective.no_data != "bad":
        minimum_bad = max(settings.minimum_bad_events, minimum_bad)
    return Restraint(
        minimum_events=max(settings.traffic_floor, objective.minimum_events),
        minimum_bad=minimum_bad,
        disabled=settings.disabled_tiers | objective.disabled_tiers,
    )
