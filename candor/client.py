"""Ask a Candor server, from a program that is about to use what people gave.

::

    with CandorClient("https://candor.example.org", key) as candor:
        if candor.allows(Subject("email", address), "newsletter", "email"):
            send(address)

Whatever is not a clear yes is a no: an outage, a slow answer, a wrong key and a question that
cannot be meant are all denials, whose ``fault`` says what was wrong. Nothing that is asked is
remembered, for the next answer may be another. No identifier of a person is ever in an error, in a
log or in the ``repr`` of anything here.
"""

import json
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Literal, Self

import httpx

Stage = Literal["entry", "send"]
Fault = Literal[
    "unreachable",  # no connection, or it broke
    "timeout",  # no answer in time
    "unauthenticated",  # the key is missing, unknown, expired or revoked
    "forbidden",  # the key lacks the scope consent:check
    "invalid",  # the question cannot be meant, or is too large
    "unavailable",  # the server cannot decide or log now
    "unreadable",  # the answer is none of Candor
]
MOST_ITEMS = 1000
_CHECK = "/api/v1/consent/check"
_BATCH = "/api/v1/consent/check/batch"
_FAULTS: Mapping[int, Fault] = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    413: "invalid",
    415: "invalid",
    422: "invalid",
    429: "unavailable",
    500: "unavailable",
    502: "unavailable",
    503: "unavailable",
    504: "unavailable",
}
_OK = 200
_KEY = re.compile(r"[!-~]+")
_LOG = logging.getLogger("candor.client")


@dataclass(frozen=True, slots=True)
class Subject:
    """A person as the caller knows them: ``email``, ``phone``, ``user_id``, ..."""

    type: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """May this purpose use this person's data on this channel now?

    ``subject`` is none when nobody can tell who is meant, which is denied. Of several jurisdictions
    the strictest counts. ``gpc`` says that the person's browser sent the signal. A decision that
    was made at entry may be handed to the check at send, which says whether the answer changed.
    """

    subject: Subject | None
    purpose: str
    channel: str | None = None
    stage: Stage = "send"
    jurisdiction: str | Sequence[str] | None = None
    recipient: str | None = None
    gpc: bool = False
    entry_decision: str | None = None

    def document(self) -> dict[str, Any]:
        """Return it as the server reads it."""
        said = self.jurisdiction
        document: dict[str, Any] = {
            "subject": self.subject and {"type": self.subject.type, "value": self.subject.value},
            "purpose": self.purpose,
            "channel": self.channel,
            "stage": self.stage,
            "jurisdiction": said if said is None or isinstance(said, str) else list(said),
            "recipient": self.recipient,
            "gpc": self.gpc,
        }
        if self.entry_decision is not None:
            document["context"] = {"entry_decision": self.entry_decision}
        return document


@dataclass(frozen=True, slots=True)
class Evidence:
    """The act of the person that decided."""

    consent_event: str
    at: datetime
    source: str
    notice: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer; true exactly when the use is allowed.

    ``decision_id`` is the one in the server's log, by which the decision can be explained later. A
    decision with a ``fault`` was not made by the server, and is a denial. ``detail`` says what is
    not configured there, and what to do about it, where that is the reason.
    """

    allow: bool
    reason: str | None = None
    decision_id: str | None = None
    rule: str | None = None
    evidence: Evidence | None = None
    valid_until: datetime | None = None
    obligations: tuple[str, ...] = ()
    changed_since_entry: bool | None = None
    fault: Fault | None = None
    detail: str | None = None

    def __bool__(self) -> bool:
        return self.allow


class CandorClient:
    """One server, asked over connections that are kept. Safe to share between threads.

    ``timeout`` is the patience, in seconds, for the connection, for sending and for each piece of
    the answer. A question that broke off on the way is asked once more, for a check changes
    nothing; one that took too long is not.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float = 1.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("The address of a server begins with https:// or http://.")
        if not _KEY.fullmatch(key):
            raise ValueError("A key is one word, such as `candor keys create` prints.")
        self._http = httpx.Client(
            base_url=url,
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
            timeout=timeout,
            transport=transport,
        )
        self._fault: Fault | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; the client cannot be used any more."""
        self._http.close()

    def allows(  # noqa: PLR0913 - the fields of a check, so that one line asks
        self,
        subject: Subject | None,
        purpose: str,
        channel: str | None = None,
        *,
        stage: Stage = "send",
        jurisdiction: str | Sequence[str] | None = None,
        recipient: str | None = None,
        gpc: bool = False,
        fulfils: Collection[str] = (),
    ) -> bool:
        """Return whether the use is allowed now; false whenever that cannot be told.

        A use that is allowed under obligations is allowed to whoever fulfils them all: name those
        that this use does in ``fulfils``, such as ``exclude:location``.
        """
        check = Check(subject, purpose, channel, stage, jurisdiction, recipient, gpc)
        decision = self.check(check)
        return decision.allow and set(decision.obligations) <= set(fulfils)

    def check(
        self,
        check: Check | Subject | None,
        purpose: str | None = None,
        channel: str | None = None,
        **more: Any,  # noqa: ANN401 - the fields of a check
    ) -> Decision:
        """Return the decision on a check, or on the fields of one as ``allows`` takes them.

        Raises:
            TypeError: a subject comes without a purpose, or a field is none of a check.
        """
        if not isinstance(check, Check):
            if purpose is None:
                raise TypeError("Name a purpose: check(subject, purpose, channel).")
            check = Check(check, purpose, channel, **more)
        told = self._ask(_CHECK, check.document())
        return self._noted([told if isinstance(told, Decision) else _decision(told)])[0]

    def check_all(self, checks: Iterable[Check]) -> Iterator[Decision]:
        """Yield the decisions on many checks, in order, a thousand to a request.

        A check that cannot be meant is denied alone. Cost: memory for one request at a time.
        """
        stream = iter(checks)
        while some := list(islice(stream, MOST_ITEMS)):
            documents = [check.document() for check in some]
            items = [
                {**document, "correlation_id": str(number)}
                for number, document in enumerate(documents)
                if _is_text(document)
            ]
            told = self._ask(_BATCH, items) if items else {}
            sent = {item["correlation_id"] for item in items}
            yield from self._noted(
                [
                    _denied("invalid")
                    if str(number) not in sent
                    else told
                    if isinstance(told, Decision)
                    else _decision(told.get(str(number)))
                    for number in range(len(some))
                ]
            )

    def _ask(self, path: str, document: object) -> dict[str, Any] | Decision:
        """Return the object that the server answers, or the denial that takes its place."""
        body = json.dumps(document).encode()
        try:
            answer = self._sent(path, body)
            if answer.status_code != _OK:
                return _denied(_FAULTS.get(answer.status_code, "unreadable"))
            told = answer.json()
        except httpx.TimeoutException:
            return _denied("timeout")
        except httpx.TransportError:
            return _denied("unreachable")
        except (httpx.DecodingError, ValueError, RecursionError):
            return _denied("unreadable")
        return told if isinstance(told, dict) else _denied("unreadable")

    def _sent(self, path: str, body: bytes) -> httpx.Response:
        try:
            return self._http.post(path, content=body)
        except httpx.TimeoutException:
            raise
        except httpx.TransportError:  # such as a kept connection that the server closed meanwhile
            return self._http.post(path, content=body)

    def _noted(self, decisions: list[Decision]) -> list[Decision]:
        """Return decisions; the log tells when faults begin, change and end."""
        fault = next((one.fault for one in decisions if one.fault is not None), None)
        if fault != self._fault:
            self._fault = fault
            if fault is None:
                _LOG.info("checks are answered again")
            else:
                _LOG.warning("checks are denied without a decision: %s", fault)
        return decisions


def _is_text(document: object) -> bool:
    """Whether all of it can be sent: half of a surrogate pair is no character of any text."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def _denied(fault: Fault) -> Decision:
    return Decision(allow=False, reason="state_unavailable", fault=fault)


def _decision(told: object) -> Decision:
    """Return the decision that an answer tells; what is no decision is a denial."""
    if not isinstance(told, dict):
        return _denied("unreadable")
    allow, reason, identifier = told.get("allow"), told.get("reason"), told.get("decision_id")
    if allow is False and identifier is None:
        return _denied("invalid")
    if not (isinstance(allow, bool) and isinstance(reason, str) and isinstance(identifier, str)):
        return _denied("unreadable")
    try:
        entry, evidence = told.get("entry"), told.get("evidence")
        return Decision(
            allow=allow,
            reason=reason,
            decision_id=identifier,
            rule=told.get("rule"),
            evidence=None if evidence is None else _evidence(evidence),
            valid_until=_instant(told.get("valid_until")),
            obligations=tuple(told.get("obligations") or ()),
            changed_since_entry=None if entry is None else bool(entry["changed"]),
            detail=told.get("detail"),
        )
    except (KeyError, TypeError, ValueError):
        return _denied("unreadable")


def _evidence(told: Mapping[str, Any]) -> Evidence:
    at = datetime.fromisoformat(told["at"])
    return Evidence(told["consent_event"], at, told["source"], told.get("notice"))


def _instant(told: str | None) -> datetime | None:
    return None if told is None else datetime.fromisoformat(told)
