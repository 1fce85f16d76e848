"""Which consents are found invalid: by the notice, the source, who recorded them, or one by one."""

from dataclasses import astuple, dataclass

from candor.kernel.errors import InvalidInputError
from privacy.consent.act import YES, ConsentEvent


@dataclass(frozen=True, slots=True)
class Doubt:
    """What the doubtful consents have in common; all that is named must be so.

    ``actor`` is who acted or who recorded it. Only a yes can be doubted: a no is kept whatever its
    origin, so that leaving out what is doubtful never allows more.
    """

    notice: str | None = None
    source: str | None = None
    actor: str | None = None
    event: str | None = None

    def __post_init__(self) -> None:
        if not any(astuple(self)):
            raise InvalidInputError(
                "Say which consents are invalid: name a notice, a source, an actor or an event."
            )

    def covers(self, event: ConsentEvent) -> bool:
        """Whether this act is one of them."""
        act = event.act
        return (
            act.action in YES
            and self.notice in {None, act.notice}
            and self.source in {None, act.source}
            and self.actor in {None, act.actor, event.recorded_by}
            and self.event in {None, event.id}
        )
