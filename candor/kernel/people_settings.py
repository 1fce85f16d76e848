"""Settings of what people are told, who answers for their data, and how they are known."""

from datetime import timedelta

from pydantic import Field, field_validator

from candor.kernel.setting_group import Group


class ControllerSettings(Group):
    """Who is responsible: on pages for people and in their receipts. What is not set is left out.

    ``contact`` is an e-mail address, ``url`` the privacy policy.
    """

    name: str | None = Field(default=None, min_length=1, max_length=120)
    contact: str | None = Field(default=None, pattern=r"^[^@\s<>]+@[^@\s<>]+$", max_length=200)
    url: str | None = Field(default=None, pattern="^https?://", max_length=500)


class ConsentSettings(Group):
    """Where changes of consent may be told.

    Addresses of subscribers that are private, of this machine or of this network segment are
    refused unless ``private_subscribers`` allows them: a server asks more than its users may.
    """

    private_subscribers: bool = False


class LinkSettings(Group):
    """How long a link to somebody's preferences holds; links to unsubscribe hold for ever."""

    preferences: timedelta = Field(
        default=timedelta(days=7), ge=timedelta(minutes=1), le=timedelta(days=400)
    )


class IdentifierSettings(Group):
    """How identifiers are read: telephone numbers that name no country are of ``phone_region``.

    Every process of an installation must have the same: from it follows who is who.
    """

    phone_region: str | None = None

    @field_validator("phone_region")
    @classmethod
    def _region(cls, region: str | None) -> str | None:
        if region is None:
            return None
        import phonenumbers  # noqa: PLC0415 - only where a region is set

        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("use a country of ISO 3166-1 in two capital letters, such as AU")
        return region
