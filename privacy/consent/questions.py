"""The bodies of checks, read and answered without a framework.

Words that may reach the log (purpose, channel, jurisdiction, recipient) must look like words: an
identifier that somebody put into the wrong field is refused and not repeated.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from candor.kernel.errors import InvalidInputError, MalformedError
from candor.kernel.input_faults import RULES, told_name
from candor.kernel.secrets import Secrets
from privacy.consent.checking import Answered, Asked, check_entry_decision, resolved
from privacy.consent.decision import Question, Stage, told_gap
from privacy.consent.standing import Standing

CORRELATION_ID = re.compile(r"[\w-]{1,36}", re.ASCII)
_PLACE = re.compile(r"at `\$\.?(?P<path>[a-z_.0-9\[\]]+)`$")
_FIELD = re.compile(r"(unknown|missing required) field `(?P<name>[^`]*)`")
MOST_VALUE = 320
_WORDS = {
    "subject.type": re.compile(r"[a-z][a-z0-9_]{0,39}"),
    "purpose": re.compile(r"[a-z0-9][a-z0-9._-]{0,62}"),
    "channel": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}"),
    "recipient": re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}"),
    "jurisdiction": re.compile(r"[A-Za-z]{2,12}(-[A-Za-z0-9]{1,8})?"),
}

_WORDY = "Write one word of letters, digits, dots, colons, dashes and underscores."
_FORMS = {
    "subject.type": "Write one lower-case word, such as email.",
    "purpose": "Write the key of a purpose: lower-case letters, digits, dots, dashes and"
    " underscores.",
    "channel": _WORDY,
    "recipient": _WORDY,
    "jurisdiction": "Write a country, or a part of one, such as AU or US-CA.",
}
_FAULTS = (
    ("unknown field", RULES["extra_forbidden"]),
    ("missing required field", RULES["missing"]),
    ("Invalid enum value", f"It is one of {' or '.join(map(repr, get_args(Stage)))}."),
    ("datetime", RULES["datetime_parsing"]),
    ("of length <=", "It is too long."),
    ("Expected `bool", RULES["bool_type"]),
    ("Expected `str", RULES["string_type"]),
    ("Expected `array", RULES["list_type"]),
    ("Expected `object", RULES["model_type"]),
)
"""What to write, by a part of the message of the library; the first counts."""


class SubjectBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A person as the caller knows them."""

    type: str
    value: Annotated[str, Meta(max_length=MOST_VALUE)]


class ContextBody(msgspec.Struct):
    """What the caller adds; only the entry decision is read."""

    entry_decision: Annotated[str, Meta(max_length=36)] | None = None


class CheckBody(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A check; ``subject`` is null when the caller cannot tell who is meant."""

    subject: SubjectBody | None
    purpose: str
    channel: str | None = None
    stage: Stage = "send"
    jurisdiction: str | list[str] | None = None
    recipient: str | None = None
    context: ContextBody | None = None
    gpc: bool = False
    as_of: Annotated[datetime, Meta(tz=True)] | None = None
    correlation_id: str | None = None

    def asked(self, secrets: Secrets, now: datetime, caller: str, *, gpc: bool) -> Asked:
        """Return the question; ``gpc`` says that the request bore a live signal.

        Raises:
            InvalidInputError: a word, a moment or an entry decision is none.
        """
        said, subject, key = self.jurisdiction, self.subject, None
        jurisdictions = (said,) if isinstance(said, str) else tuple(said or ())
        question = _question(
            self.purpose,
            self.channel,
            self.stage,
            jurisdictions,
            self.recipient,
            self.gpc or gpc,
            subject.type if subject is not None else None,
        )
        if subject is not None:
            key = resolved(secrets, subject.type, subject.value)
        entry = self.context.entry_decision if self.context is not None else None
        if entry is not None:
            check_entry_decision(entry)
        if self.as_of is not None and self.as_of > now:
            raise InvalidInputError(
                "A past decision lies in the past: name an instant before now.", path="as_of"
            )
        return Asked(key, question, caller, entry if key is not None else None, self.as_of)


class Evidence(msgspec.Struct, gc=False):
    """The act that decided, as a check tells it."""

    consent_event: str
    notice: str | None
    at: datetime
    source: str


class EntryAnswer(msgspec.Struct, gc=False):
    """What was to be answered at entry, and whether that changed since."""

    decision_id: str
    allow: bool
    reason: str
    changed: bool


class CheckAnswer(msgspec.Struct, gc=False):
    """A decision as a check tells it."""

    decision_id: str
    allow: bool
    reason: str
    rule: str
    stage: str
    evidence: Evidence | None
    valid_until: datetime | None
    obligations: tuple[str, ...]
    checked_at: datetime
    detail: str | UnsetType = UNSET
    as_of: datetime | UnsetType = UNSET
    entry: EntryAnswer | UnsetType = UNSET


class FaultAnswer(msgspec.Struct, gc=False):
    """An item of a batch that could not be read: denied, and no other item with it."""

    detail: str
    path: str | None
    allow: bool = False
    decision_id: None = None
    reason: None = None


_CHECK = msgspec.json.Decoder(CheckBody)
_CHECKS = msgspec.json.Decoder(list[CheckBody])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_BATCH = msgspec.json.Decoder(dict[str, list[msgspec.Raw]])
_NAMED = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)


@lru_cache(maxsize=4096)
def _question(  # noqa: PLR0913, PLR0917 - the fields of a question
    purpose: str,
    channel: str | None,
    stage: Stage,
    jurisdictions: tuple[str, ...],
    recipient: str | None,
    gpc: bool,  # noqa: FBT001 - as above
    subject_type: str | None,
) -> Question:
    """Return a question whose words are words; the same few come again and again."""
    _check_word("purpose", purpose)
    told = (("channel", channel), ("recipient", recipient), ("subject.type", subject_type))
    for name, word in told:
        if word is not None:
            _check_word(name, word)
    for jurisdiction in jurisdictions:
        _check_word("jurisdiction", jurisdiction)
    return Question(purpose, channel or "", stage, jurisdictions, recipient, gpc)


def _check_word(name: str, word: str) -> None:
    if not _WORDS[name].fullmatch(word):
        raise InvalidInputError(_FORMS[name], path=name)


def read_check(body: bytes | msgspec.Raw) -> CheckBody:
    """Return a check.

    Raises:
        MalformedError: it is no JSON.
        InvalidInputError: it is of another shape; the place is named.
    """
    check: CheckBody = decoded(_CHECK, body)
    return check


def read_whole_batch(body: bytes) -> list[CheckBody] | None:
    """Return the checks of an array in which nothing is wrong; none when anything is."""
    try:
        return _CHECKS.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def read_batch(body: bytes) -> list[msgspec.Raw]:
    """Return the items of a batch: an array, or an object with one array (``items``).

    Raises:
        MalformedError: it is neither.
    """
    try:
        if body.lstrip()[:1] == b"[":
            return _ITEMS.decode(body)
        named = _BATCH.decode(body)
        if len(named) == 1:
            return next(iter(named.values()))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    raise MalformedError("A batch is an array of checks, or an object with one array: items.")


def correlation_id(item: msgspec.Raw) -> str | None:
    """Return the correlation id of an item, however wrong the rest of it is; none without one."""
    try:
        told = _NAMED.decode(item).get("correlation_id")
        name = _TEXT.decode(told) if told is not None else ""
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return name if CORRELATION_ID.fullmatch(name) else None


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Any:  # noqa: ANN401 - whatever the decoder makes
    """Return what a decoder reads; its errors are told without what was sent.

    Raises:
        MalformedError: it is no JSON.
        InvalidInputError: it is of another shape; the place is named.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _fault(str(error)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise MalformedError("The body is no JSON that can be read.") from None


def answer_of(answered: Answered, asked: Asked) -> CheckAnswer:
    """Return a decision in the shape of the interface."""
    decision, act = answered.decision, answered.decision.evidence
    answer = CheckAnswer(
        answered.id,
        decision.allow,
        decision.reason,
        decision.rule,
        asked.question.stage,
        _evidence(act) if act is not None else None,
        decision.valid_until,
        decision.obligations,
        answered.at,
    )
    if act is None and not decision.allow:
        answer.detail = told_gap(decision.reason, asked.question.purpose) or UNSET
    if asked.as_of is not None:
        answer.as_of = asked.as_of
    if answered.entry is not None:
        entry = answered.entry
        answer.entry = EntryAnswer(entry.decision_id, entry.allow, entry.reason, entry.changed)
    return answer


def _evidence(act: Standing) -> Evidence:
    return Evidence(act.event, act.notice or None, act.at, act.source)


def _fault(message: str) -> InvalidInputError:
    """Return a sentence for a message that may quote what was sent."""
    found, named = _PLACE.search(message), _FIELD.search(message)
    places = [found["path"]] if found else []
    if named is not None:
        places.append(told_name(named["name"]))
    told = next((sentence for part, sentence in _FAULTS if part in message), RULES["model_type"])
    return InvalidInputError(told, path=".".join(places) or None)
