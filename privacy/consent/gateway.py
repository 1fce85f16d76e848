"""What a gateway asks before it lets a request through, and what it is told.

Purpose, channel and their like come from the gateway's own route; the person from headers that it
sets itself, from what it has verified. A gateway cannot mend a question, so that one which cannot
be meant is a denial as well, and never an error that somebody may have told it to overlook.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from candor.kernel.errors import InvalidInputError
from candor.kernel.secrets import Secrets
from privacy.consent.checking import Answered, Asked, resolved
from privacy.consent.decision import Question, Stage
from privacy.consent.questions import MOST_VALUE, CheckBody, SubjectBody

SCOPE = "consent:check"
SUBJECT_TYPE = "x-candor-subject-type"
SUBJECT = "x-candor-subject"
STAGE = "x-candor-stage"
JURISDICTION = "x-candor-jurisdiction"
RECIPIENT = "x-candor-recipient"
DECISION_ID = "x-candor-decision-id"
REASON = "x-candor-reason"
OBLIGATIONS = "x-candor-obligations"
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_STAGES: Mapping[str, Stage] = {"": "send", "send": "send", "entry": "entry"}
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class GatewayQuestion:
    """What a gateway said, as it said it; what is absent is the empty string.

    A subject is told by every value of its headers: of several, nobody knows which one the gateway
    set and which one its client.
    """

    purpose: str
    channel: str
    subject_types: Sequence[str]
    subjects: Sequence[str]
    stage: str = ""
    jurisdiction: str = ""
    recipient: str = ""

    def asked(self, secrets: Secrets, now: datetime, caller: str, *, gpc: bool) -> Asked:
        """Return the question; about no purpose when it cannot be meant."""
        subject, path = self._subject(), "stage"
        if self.stage in _STAGES:
            try:
                return self._check(subject).asked(secrets, now, caller, gpc=gpc)
            except InvalidInputError as fault:
                path = str(fault.path)
        key = None
        if subject is not None and path != "subject.type":
            key = resolved(secrets, subject.type, subject.value)
        return Asked(key, Question("", "", "send", gpc=gpc), caller)

    def _check(self, subject: SubjectBody | None) -> CheckBody:
        jurisdictions = [one.strip() for one in self.jurisdiction.split(",") if one.strip()]
        return CheckBody(
            subject,
            self.purpose,
            self.channel,
            _STAGES[self.stage],
            jurisdictions,
            self.recipient or None,
        )

    def _subject(self) -> SubjectBody | None:
        """Return who is meant; none when that is not one person.

        Several headers of one name may have come in one, with commas between them.
        """
        if len(self.subject_types) != 1 or len(self.subjects) != 1:
            return None
        value = self.subjects[0]
        if "," in value or _UNREADABLE in value or len(value) > MOST_VALUE:
            return None
        return SubjectBody(self.subject_types[0].strip(), value)


class GatewayAnswer(msgspec.Struct, gc=False):
    """A decision as the body of an answer tells it, which may reach whoever called the gateway."""

    decision_id: str
    allow: bool
    reason: str


def body_of(answered: Answered) -> bytes:
    """Return the body of an answer."""
    decision = answered.decision
    return _ENCODER.encode(GatewayAnswer(answered.id, decision.allow, decision.reason))


def headers_of(answered: Answered) -> dict[str, str]:
    """Return the headers that tell a decision.

    With a yes there is always one of obligations, so that it takes the place of what a client sent.
    """
    decision = answered.decision
    headers = {DECISION_ID: answered.id, REASON: decision.reason, "cache-control": "no-store"}
    if decision.allow:
        headers[OBLIGATIONS] = ", ".join(decision.obligations)
    if decision.reason == "state_unavailable":
        headers["retry-after"] = "1"
    return headers
