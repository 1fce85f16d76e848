"""What the consent endpoints take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from candor.kernel.errors import InvalidInputError
from candor.kernel.secrets import Secrets
from privacy.consent.act import Act, ConsentEvent, MissingElementError, Source
from privacy.consent.decision import Decision
from privacy.consent.ledger import ImportReport, Recorded
from privacy.consent.link import Link
from privacy.consent.notice import Notice
from privacy.consent.overview import CurrentConsent
from privacy.consent.purpose import Mechanism, Purpose, parse_period
from privacy.consent.receipt import Receipt
from privacy.consent.register import Change

Word = Annotated[str, Field(min_length=1, max_length=120)]
Words = Annotated[list[Word], Field(max_length=200)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
_PURPOSE = r"^(\*|[a-z0-9][a-z0-9._-]{0,62})$"
_WORD = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$"


class PurposeBody(BaseModel):
    """A purpose to put."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    mechanism: Mechanism
    legal_basis: Annotated[dict[Word, str], Field(min_length=1, max_length=100)]
    channels: Words = []
    recipients: Words = []
    data_categories: Words = []
    validity: Annotated[str, Field(max_length=12)] | None = None
    honours_gpc: bool = True
    retired_at: AwareDatetime | None = None
    obligations: Words = []

    def purpose(self, key: str) -> Purpose:
        """Return the purpose that it describes.

        Raises:
            InvalidInputError: a key, word, basis or period is none.
        """
        return Purpose(
            key,
            self.name,
            self.mechanism,
            self.legal_basis,
            tuple(self.channels),
            tuple(self.recipients),
            tuple(self.data_categories),
            parse_period(self.validity),
            self.honours_gpc,
            self.retired_at,
            tuple(self.obligations),
        )


class NoticeBody(BaseModel):
    """A version of a notice to put."""

    model_config = ConfigDict(extra="forbid")

    purposes: Annotated[Words, Field(min_length=1)]
    texts: Annotated[dict[Word, str], Field(min_length=1, max_length=100)]
    recipients: Words | None = None
    effective_from: AwareDatetime | None = None

    def notice(self, key: str, version: str) -> Notice:
        """Return the notice that it describes.

        Raises:
            InvalidInputError: a key, version, word, language or text is none.
        """
        return Notice(
            key,
            version,
            tuple(self.purposes),
            self.texts,
            None if self.recipients is None else tuple(self.recipients),
            self.effective_from,
        )


class SubjectBody(BaseModel):
    """A person as the caller knows them."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40, examples=["email"])]
    value: Annotated[str, Field(pattern=r"\S", max_length=320, examples=["customer-1@example.org"])]


class ActBody(BaseModel):
    """An act of consent with its provenance. What only restricts needs no time: it counts now."""

    model_config = ConfigDict(extra="forbid")

    subject: SubjectBody
    purpose: Annotated[str, Field(pattern=_PURPOSE)] | None = None
    channel: Annotated[str, Field(pattern=_WORD)] | None = None
    action: Literal["grant", "withdraw", "object", "refuse", "expire", "import"]
    at: AwareDatetime | None = None
    source: Source
    notice: Annotated[str, Field(max_length=95)] | None = None
    method: Text | None = None
    actor: Text | None = None
    evidence: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    locale: Annotated[str, Field(max_length=40)] | None = None
    jurisdiction: Annotated[str, Field(pattern=_WORD, max_length=20)] | None = None
    ip_prefix: Annotated[str, Field(max_length=50)] | None = None
    user_agent_hash: Annotated[str, Field(max_length=150)] | None = None
    origin: Annotated[str, Field(max_length=300)] | None = None

    def act(self, secrets: Secrets, now: datetime) -> Act:
        """Return the act.

        Raises:
            InvalidInputError: it names no purpose or, where consent is given, no time.
        """
        gives = self.action in {"grant", "import"}
        if self.purpose is None and (gives or self.action == "expire"):
            raise MissingElementError("Consent is specific: name one purpose.", path="purpose")
        if self.at is None and gives:
            raise MissingElementError("Consent is an act: say when it was given, in at.", path="at")
        said = self.model_dump(exclude={"subject", "at", "purpose", "channel"})
        return Act(
            subject_key=secrets.subject_key(self.subject.type, self.subject.value),
            subject_type=self.subject.type,
            purpose=self.purpose or "*",
            channel=self.channel or "",
            at=self.at or now,
            **said,
        )


class OptOutBody(BaseModel):
    """What a person told somebody of the staff, on the telephone, by letter or in the shop.

    Whoever takes it must say who they are (``agent``, a staff number rather than a name) and where
    it can be looked up (``reference``, of the call or case). Nothing is asked of the person:
    without a purpose it is about every one, without a channel about all.
    """

    model_config = ConfigDict(extra="forbid")

    subject: SubjectBody
    purpose: Annotated[str, Field(pattern=_PURPOSE)] | None = None
    channel: Annotated[str, Field(pattern=_WORD)] | None = None
    action: Literal["withdraw", "object", "refuse"] = "withdraw"
    agent: Text
    reference: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)
    ]
    said: Literal["spoken", "written", "in_person"] = "spoken"
    at: AwareDatetime | None = None
    locale: Annotated[str, Field(max_length=40)] | None = None
    jurisdiction: Annotated[str, Field(pattern=_WORD, max_length=20)] | None = None

    def act(self, secrets: Secrets, now: datetime) -> Act:
        """Return the act.

        Raises:
            InvalidInputError: the identifier can be nobody's.
        """
        return Act(
            subject_key=secrets.subject_key(self.subject.type, self.subject.value),
            subject_type=self.subject.type,
            purpose=self.purpose or "*",
            channel=self.channel or "",
            action=self.action,
            at=self.at or now,
            source="agent",
            method=self.said,
            actor=self.agent,
            evidence=self.reference,
            locale=self.locale,
            jurisdiction=self.jurisdiction,
        )


class LinksBody(BaseModel):
    """For whom to make links, and about what the one for unsubscribing is."""

    model_config = ConfigDict(extra="forbid")

    subject: SubjectBody
    purpose: Annotated[str, Field(pattern=_PURPOSE)] | None = None
    channel: Annotated[str, Field(pattern=_WORD)] | None = None
    jurisdiction: Annotated[str, Field(pattern=_WORD, max_length=20)] | None = None

    def link(self, secrets: Secrets) -> Link:
        """Return the link; it is about every purpose and channel where none is named."""
        return Link(
            secrets.subject_key(self.subject.type, self.subject.value),
            self.subject.type,
            self.purpose or "*",
            self.channel or "",
            self.jurisdiction or "",
        )


class ApplyBody(BaseModel):
    """Purposes by key and notices by key/version, as a file holds them."""

    model_config = ConfigDict(extra="forbid")

    purposes: dict[str, PurposeBody] = {}
    notices: dict[str, NoticeBody] = {}

    def subjects(self) -> list[Purpose | Notice]:
        """Return the purposes, then the notices.

        Raises:
            InvalidInputError: one of them is none; its place is named.
        """
        found: list[Purpose | Notice] = []
        for key, purpose in self.purposes.items():
            with_place = _Place(f"purposes.{key}")
            found.append(with_place.of(lambda key=key, one=purpose: one.purpose(key)))
        for reference, notice in self.notices.items():
            key, _, version = reference.partition("/")
            with_place = _Place(f"notices.{reference}")
            found.append(
                with_place.of(lambda key=key, version=version, one=notice: one.notice(key, version))
            )
        return found


class _Place:
    """Puts the place in a file before that in one of its entries."""

    def __init__(self, path: str) -> None:
        self._path = path

    def of(self, make: Any) -> Any:  # noqa: ANN401 - makes either kind
        try:
            return make()
        except InvalidInputError as error:
            path = f"{self._path}.{error.path}" if error.path else self._path
            raise InvalidInputError(error.detail, path=path) from None


def purpose_document(purpose: Purpose) -> dict[str, Any]:
    """Return a purpose as it is told."""
    return {"key": purpose.key, **purpose.definition()}


def notice_document(notice: Notice) -> dict[str, Any]:
    """Return a notice as it is told, with the digest of each text."""
    return {
        "key": notice.key,
        "version": notice.version,
        "reference": notice.reference,
        **notice.definition(),
        "digests": {locale: notice.digest(locale) for locale in notice.texts},
    }


def change_document(change: Change) -> dict[str, Any]:
    """Return what putting something changed."""
    word = "created" if change.is_new else "changed" if change.is_any else "unchanged"
    return {
        "kind": change.kind,
        "name": change.name,
        "change": word,
        "fields": {
            name: {"before": before, "after": after}
            for name, (before, after) in change.fields.items()
        },
        "stale_for": list(change.stale),
    }


def event_document(event: ConsentEvent) -> dict[str, Any]:
    """Return an act as it is on record: the person is a pseudonym."""
    act = event.act
    return {
        "id": event.id,
        "subject_key": act.subject_key,
        "subject_type": act.subject_type,
        "purpose": act.purpose,
        "channel": act.channel or None,
        "action": act.action,
        "at": act.at.isoformat(),
        "starts_at": event.starts_at.isoformat(),
        "recorded_at": event.recorded_at.isoformat(),
        "recorded_by": event.recorded_by,
        "source": act.source,
        "notice": act.notice,
        "notice_digest": event.notice_digest,
        **{name: getattr(act, name) for name in _TOLD},
    }


_TOLD = (
    *("method", "actor", "evidence", "locale"),
    *("jurisdiction", "ip_prefix", "user_agent_hash", "origin"),
)


def recorded_document(recorded: Recorded, receipt: Receipt) -> dict[str, Any]:
    """Return an act as it is on record, with its signed receipt."""
    return event_document(recorded.event) | {"receipt": receipt}


def consent_document(one: CurrentConsent) -> dict[str, Any]:
    """Return the state of one scope."""
    act = one.event.act
    return {
        "purpose": one.purpose,
        "channel": one.channel or None,
        "state": one.state,
        "since": act.at.isoformat(),
        "source": act.source,
        "notice": act.notice,
        "evidence": act.evidence,
        "consent_event": one.event.id,
    }


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return a decision as a replay tells it."""
    act = decision.evidence
    return {
        "allow": decision.allow,
        "reason": decision.reason,
        "rule": decision.rule,
        "evidence": act.event if act is not None else None,
        "valid_until": decision.valid_until.isoformat() if decision.valid_until else None,
        "obligations": list(decision.obligations),
    }


def report_document(report: ImportReport, *, dry_run: bool) -> dict[str, Any]:
    """Return what became of an import, row by row of what was refused."""
    return {
        "dry_run": dry_run,
        "recorded": report.recorded,
        "repeated": report.repeated,
        "refused": [
            {"row": one.row, "code": one.code, "path": one.path, "message": one.message}
            for one in sorted(report.refused, key=lambda one: one.row)
        ],
    }
