"""What investigations take and answer; persons are pseudonyms."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from candor.kernel.errors import InvalidInputError
from privacy.consent.schemas import decision_document
from privacy.investigation.blast_radius import BlastRadius, Tally
from privacy.investigation.doubt import Doubt
from privacy.investigation.drift import Drift
from privacy.investigation.store import Span

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class SpanBody(BaseModel):
    """The half-open span of decisions; all there are up to now when it is not said."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = None
    until: AwareDatetime | None = None

    def span(self, now: datetime) -> Span:
        """Return the span.

        Raises:
            InvalidInputError: it ends before it begins, or no log reaches there.
        """
        span = Span(self.since or _EARLIEST, self.until or now)
        if not _EARLIEST <= span.since <= span.until <= _LATEST:
            raise InvalidInputError("A span ends after it begins, from 1970 to 2199.", path="until")
        return span


class DoubtBody(SpanBody):
    """Which consents are found invalid, and which decisions are looked at."""

    notice: Annotated[str, Field(min_length=1, max_length=95)] | None = None
    source: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    actor: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    event: Annotated[str, Field(min_length=1, max_length=36)] | None = None

    def doubt(self) -> Doubt:
        """Return what the invalid consents have in common.

        Raises:
            InvalidInputError: nothing is named.
        """
        return Doubt(self.notice, self.source, self.actor, self.event)


class PersonsBody(DoubtBody):
    """As ``DoubtBody``; ``after`` is the last pseudonym of the page before, ``limit`` its size."""

    after: Annotated[str, Field(max_length=64)] = ""
    limit: Annotated[int, Field(ge=1)] | None = None


def radius_document(radius: BlastRadius, body: DoubtBody, span: Span) -> dict[str, Any]:
    """Return how far invalid consent reached."""
    named = body.model_dump(include={"notice", "source", "actor", "event"}, exclude_none=True)
    return {
        "invalid": named,
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "consents": radius.consents,
        "persons": radius.persons,
        "persons_affected": radius.affected,
        **tally_document(radius.tally),
    }


def person_document(subject_key: str, tally: Tally) -> dict[str, Any]:
    """Return what was done with the data of one person."""
    return {"subject_key": subject_key, **tally_document(tally)}


def tally_document(tally: Tally) -> dict[str, Any]:
    """Return what uses add up to; the empty word stands for no channel and no recipient."""
    by = {f"by_{name}": dict(tally.by.get(name, {})) for name in _COUNTED}
    return {
        "uses": tally.uses,
        "first_use": tally.first_use.isoformat() if tally.first_use else None,
        "last_use": tally.last_use.isoformat() if tally.last_use else None,
        "otherwise_allowed": tally.otherwise_allowed,
        "otherwise": dict(tally.otherwise),
        **by,
    }


_COUNTED = ("purpose", "channel", "stage", "recipient")


def drift_document(drift: Drift, span: Span) -> dict[str, Any]:
    """Return what a replay found; ``differences`` names the first thousand."""
    return {
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "replayed": drift.replayed,
        "skipped": drift.skipped,
        "differing": drift.differing,
        "differences": [
            {
                "decision_id": record.id,
                "at": record.at.isoformat(),
                "subject_key": record.subject_key,
                "purpose": record.purpose,
                "channel": record.channel or None,
                "logged": {"allow": record.allow, "reason": record.reason, "rule": record.rule},
                "replay": decision_document(decision),
            }
            for record, decision in drift.named
        ],
    }
