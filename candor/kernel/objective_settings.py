"""The settings of objectives: what wakes people, who is told, and where else they are read from."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr

from candor.kernel.setting_group import Group


class AlertSettings(Group):
    """What wakes people, beside the tiers that follow from each objective; none switches it off.

    Shares are of an objective's whole budget. A burn tier stays silent below ``traffic_floor``
    valid or ``minimum_bad_events`` bad events in its long window.
    """

    disabled_tiers: frozenset[Literal["fast", "medium", "slow", "long"]] = frozenset()
    traffic_floor: int = Field(default=0, ge=0)
    minimum_bad_events: int = Field(default=1, ge=0)
    remaining_below: float | None = Field(default=None, gt=0, le=1)
    drop_share: float | None = Field(default=None, gt=0, le=1)
    drop_within: timedelta = Field(default=timedelta(hours=24), ge=timedelta(minutes=1))
    exhausted_within: timedelta | None = Field(default=None, gt=timedelta(0))
    no_data_for: timedelta | None = Field(default=None, ge=timedelta(minutes=1))
    pending_for: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    keep_firing: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(0))


class AlertmanagerSettings(Group):
    """Every replica of the Alertmanager that is told of alerts, not a balancer before them."""

    urls: tuple[str, ...] = ()


class PrometheusSettings(Group):
    """The Prometheus that objectives of ``type: prometheus`` are read from.

    ``sources`` are addresses by the names of OpenSLO data sources; ``url`` is that of all others.
    Addresses stand here and not in documents, because they may hold passwords, and because what is
    asked from inside a network is for its operator to say. A minute is read ``delay`` after its end
    and again for ten minutes, since scrapes and remote writes come late.
    """

    url: SecretStr | None = None
    sources: dict[str, SecretStr] = Field(default_factory=dict)
    delay: timedelta = Field(default=timedelta(minutes=1), ge=timedelta(0))
    timeout_seconds: float = Field(default=30, gt=0)


class WebhookSettings(Group):
    """An address that is told of alerts, and the secret that signs what it gets."""

    url: str = Field(pattern="^https?://")
    secret: SecretStr = Field(min_length=16)


class NotifySettings(Group):
    """Chats, pagers and mailboxes by their Apprise addresses, and what they are told.

    ``title`` and ``body`` may name $objective, $service, $severity, $tier, $kind, $transition,
    $summary, $since, $until, $link and $id.
    """

    urls: tuple[SecretStr, ...] = ()
    title: str = "[$severity] $objective $transition"
    body: str = "$summary\nService: $service\nSince: $since\n$link"
