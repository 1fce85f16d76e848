"""Checks: read what is the latest, decide, log, and only then answer.

What cannot be read or logged is denied as ``state_unavailable``: an answer that nobody can prove
later is none.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Engine

from candor.kernel.clock import Clock
from candor.kernel.database import session_of
from candor.kernel.decision_ports import DecisionRecord
from candor.kernel.errors import InvalidInputError, UnavailableError
from candor.kernel.ids import made_at, new_ids
from candor.kernel.logging import log
from candor.kernel.metrics import Metrics
from candor.kernel.secrets import Secrets
from privacy.consent.decision import (
    STATE_DAMAGED,
    STATE_UNAVAILABLE,
    SUBJECT_UNRESOLVED,
    Decision,
    Question,
    decide,
)
from privacy.consent.log import GroupedLog
from privacy.consent.reading import Reader
from privacy.consent.register import PolicyRegister
from privacy.consent.replay import decision_at

_ENCODER = msgspec.json.Encoder()
_STAGE_AND_REASON = attrgetter("stage", "reason")


class Asked(msgspec.Struct, frozen=True, gc=False):
    """A question about a person, who is ``None`` when nobody can tell who is meant.

    ``caller`` is the name of the key. ``entry_decision`` is what was answered at entry, as the
    caller says; it is never trusted. ``as_of`` asks what was to be answered at that instant.
    """

    subject_key: str | None
    question: Question
    caller: str
    entry_decision: str | None = None
    as_of: datetime | None = None


class Entry(msgspec.Struct, frozen=True):
    """What was to be answered at entry, and whether the answer changed since."""

    decision_id: str
    allow: bool
    reason: str
    changed: bool


class Answered(msgspec.Struct, frozen=True, gc=False):
    """A decision that is in the log, with its id and the instant at which it was made."""

    id: str
    decision: Decision
    at: datetime
    entry: Entry | None = None


class Checker:
    """Answers questions. Safe to share between threads and event loops."""

    def __init__(  # noqa: PLR0913 - all that a decision depends on
        self,
        *,
        engine: Engine,
        reader: Reader,
        policies: PolicyRegister,
        log: GroupedLog,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._policies = policies
        self._log = log
        self._clock = clock
        self._decisions = metrics.consent.decisions
        self._groups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Group] = WeakKeyDictionary()
        self._answering: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = (
            WeakKeyDictionary()
        )

    async def check_one(self, asked: Asked) -> Answered:
        """Return one answer as ``check`` does, at the price of a part of it.

        What comes while one group is read and logged is the next: it could not be logged sooner,
        and is read once. A question about the past holds up nobody.
        """
        if asked.as_of is not None or asked.entry_decision is not None:
            (answered,) = await self.check([asked])
            return answered
        loop = asyncio.get_running_loop()
        group = self._groups.get(loop)
        if group is None:
            group = self._groups[loop] = []
            self._answering[loop] = loop.create_task(self._answer(group, loop))
        answer: asyncio.Future[Answered] = loop.create_future()
        group.append((asked, answer))
        return await answer

    async def check(self, asked: Sequence[Asked]) -> list[Answered]:
        """Return the answers, in order, when all of them are in the log.

        When state cannot be read or the log not be written, every answer is a denial; when that of
        one person is damaged, the answers about them.
        """
        try:
            snapshot = await self._reader.read_soon(_keys(asked))
            policy = self._policies.policy(snapshot.policy_turn)
            now = self._clock()
            past = [one for one in asked if one.as_of or one.entry_decision]
            before = await asyncio.to_thread(self._past, past) if past else {}
        except UnavailableError as error:
            return self.unavailable(asked, error)
        if snapshot.damaged:
            log().error("what stands of people cannot be read", people=len(snapshot.damaged))
        ids = new_ids(now, len(asked))
        answers, records = [], []
        for identifier, one in zip(ids, asked, strict=True):
            key, question = one.subject_key, one.question
            people = snapshot.of(key)
            entry: Entry | None = None
            if key is None:
                decision = SUBJECT_UNRESOLVED
            elif one.as_of is not None:
                decision, _ = before[id(one)]
            elif key in snapshot.damaged:
                decision = STATE_DAMAGED
            else:
                decision = decide(policy, people.values(), question, now)
                if one.entry_decision is not None:
                    entry = _entry(one.entry_decision, before[id(one)][0], decision)
            answers.append(Answered(identifier, decision, now, entry))
            records.append(_record(identifier, one, people, decision, (now, snapshot.turn)))
        try:
            await self._log.append(_ENCODER.encode_lines(records), len(records))
        except UnavailableError as error:
            return self.unavailable(asked, error)
        self._count(records)
        return answers

    def unavailable(self, asked: Sequence[Asked], error: UnavailableError) -> list[Answered]:
        """Return denials, in order, because something that a decision needs cannot be had."""
        log().warning("consent cannot be decided", reason=error.detail, questions=len(asked))
        now = self._clock()
        for one in asked:
            self._decisions.labels(one.question.stage, STATE_UNAVAILABLE.reason).inc()
        return [Answered(one, STATE_UNAVAILABLE, now) for one in new_ids(now, len(asked))]

    async def _answer(self, group: "_Group", loop: asyncio.AbstractEventLoop) -> None:
        """Answer a group, and then what came meanwhile, until nobody waits."""
        try:
            while group:
                waiting, group[:] = list(group), []
                await self._answer_all(waiting)
        finally:
            del self._groups[loop], self._answering[loop]

    async def _answer_all(self, group: "_Group") -> None:
        """Answer a group; what nobody foresaw is told to each who asked, and ends nothing else."""
        try:
            answers = await self.check([asked for asked, _ in group])
        except BaseException as error:
            for _, answer in group:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for (_, answer), answered in zip(group, answers, strict=True):
            if not answer.done():  # whoever asked has gone
                answer.set_result(answered)

    def _past(self, asked: Sequence[Asked]) -> dict[int, tuple[Decision, tuple[str, ...]]]:
        """Return, by the identity of each question, what was to be answered at its moment."""
        found = {}
        with session_of(self._engine) as session:
            for one in asked:
                moment = one.as_of or made_at(one.entry_decision or "")
                found[id(one)] = decision_at(
                    session, self._policies, one.subject_key or "", one.question, moment
                )
        return found

    def _count(self, records: Sequence[DecisionRecord]) -> None:
        for (stage, reason), count in Counter(map(_STAGE_AND_REASON, records)).items():
            self._decisions.labels(stage, reason).inc(count)


_Group = list[tuple[Asked, "asyncio.Future[Answered]"]]


def check_entry_decision(identifier: str | None) -> None:
    """Return when an entry decision's id could be one.

    Raises:
        InvalidInputError: it could not.
    """
    if identifier is None:
        return
    try:
        made_at(identifier)
    except ValueError:
        raise InvalidInputError(
            "This is the id of no decision.", path="context.entry_decision"
        ) from None


def resolved(secrets: Secrets, subject_type: str, value: str) -> str | None:
    """Return the subject key of an identifier; none when it can be nobody's."""
    if not value.strip():
        return None
    try:
        return secrets.subject_key(subject_type, value)
    except InvalidInputError:
        return None


def _keys(asked: Sequence[Asked]) -> list[str]:
    keys = dict.fromkeys([one.subject_key for one in asked])
    return [key for key in keys if key is not None]


def _entry(identifier: str, then: Decision, now: Decision) -> Entry:
    return Entry(identifier, then.allow, then.reason, then.allow != now.allow)


def _record(
    identifier: str,
    asked: Asked,
    people: Mapping[str, object],
    decision: Decision,
    made: tuple[datetime, int],
) -> DecisionRecord:
    now, turn = made
    question, evidence = asked.question, decision.evidence
    others: tuple[str, ...] = ()
    if people and (len(people) > 1 or asked.subject_key not in people):
        others = tuple(key for key in people if key != asked.subject_key)
    return DecisionRecord(
        identifier,
        now,
        asked.subject_key or "",
        others,
        question.purpose,
        question.channel,
        question.stage,
        question.jurisdictions,
        question.recipient or "",
        question.gpc,
        decision.allow,
        decision.reason,
        decision.rule,
        evidence.event if evidence is not None else "",
        evidence.notice if evidence is not None else "",
        decision.valid_until,
        decision.obligations,
        turn,
        asked.as_of,
        asked.entry_decision or "",
        asked.caller,
    )
