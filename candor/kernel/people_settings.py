"""Settings of what people are told: who answers for their data, and how long their links hold."""

from datetime import timedelta

from pydantic import Field

from candor.kernel.setting_group import Group


class ControllerSettings(Group):
    """Who is responsible: on pages for people and in their receipts. What is not set is left out.

    ``contact`` is an e-mail address, ``url`` the privacy policy.
    """

    name: str | None = Field(default=None, min_length=1, max_length=120)
    contact: str | None = Field(default=None, pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=200)
    url: str | None = Field(default=None, pattern="^https?://", max_length=500)


class LinkSettings(Group):
    """How long a link to somebody's preferences holds; links to unsubscribe hold for ever."""

    preferences: timedelta = Field(
        default=timedelta(days=7), ge=timedelta(minutes=1), le=timedelta(days=400)
    )
