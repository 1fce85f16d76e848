"""``/consent/filter``: an audience of any size, a subject a line in, a decision a line out.

Lines are decided in blocks, each with one read and one append to the log. While the client does not
read, blocks go on being decided; what it has not read yet waits on the disk.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from msgspec import UNSET, UnsetType

from candor.kernel.errors import CandorError, MalformedError, TooLargeError, UnavailableError
from candor.kernel.overflow import Overflow
from candor.kernel.secrets import Secrets
from privacy.consent.checking import Answered, Asked, Checker, resolved
from privacy.consent.decision import STATE_UNAVAILABLE, Question, told_gap
from privacy.consent.questions import SubjectBody, decoded

_MOST_LINES = 1000
_MOST_LINE_BYTES = 4096
_ENCODER = msgspec.json.Encoder()


class Line(msgspec.Struct):
    """A line of an audience: the subject itself, or an object that holds it."""

    subject: SubjectBody


class Verdict(msgspec.Struct, gc=False):
    """A line of the answer; ``subject`` is the line as it came."""

    subject: msgspec.Raw
    allow: bool
    reason: str
    decision_id: str
    detail: str | UnsetType = UNSET


class LineFault(msgspec.Struct, gc=False):
    """A line that names nobody: denied, and told by its number from 1."""

    line: int
    detail: str
    subject: None = None
    allow: bool = False
    reason: str = "subject_unresolved"
    decision_id: None = None


_SUBJECT = msgspec.json.Decoder(SubjectBody)
_LINE = msgspec.json.Decoder(Line)


class Audience:
    """One request of the filter: splits it into lines, and answers each."""

    def __init__(self, checker: Checker, secrets: Secrets, question: Question, caller: str) -> None:
        self._checker = checker
        self._secrets = secrets
        self._question = question
        self._caller = caller
        self._line = 0

    async def filtered(self, chunks: AsyncIterator[bytes], directory: Path) -> AsyncIterator[bytes]:
        """Yield the answer as it is made; it is made at its own pace.

        Raises:
            UnavailableError: state cannot be read or the log not be written. The answer ends there:
                a line that is missing allows nothing.
            CandorError: the request cannot be read to its end.
        """
        with Overflow(directory) as pipe:
            more = asyncio.Event()
            work = asyncio.create_task(self._decide_all(chunks, pipe, more))
            try:
                while True:
                    more.clear()
                    if not pipe.is_empty:
                        yield pipe.read()
                    elif work.done():
                        break
                    else:
                        await more.wait()
                await work
            finally:
                work.cancel()

    async def _decide_all(
        self, chunks: AsyncIterator[bytes], pipe: Overflow, more: asyncio.Event
    ) -> None:
        try:
            async for block in _blocks(chunks):
                pipe.write(await self._decide(block))
                more.set()
                await asyncio.sleep(0)
        except OSError:
            raise UnavailableError(
                "The disk takes no more of the answer. Read it while you send."
            ) from None
        finally:
            more.set()

    async def _decide(self, lines: Sequence[bytes]) -> bytes:
        asked: list[Asked] = []
        told: list[bytes | LineFault] = []
        for line in lines:
            self._line += 1
            try:
                asked.append(Asked(self._key(line), self._question, self._caller))
                told.append(line)
            except MalformedError:
                told.append(LineFault(self._line, "The line is no JSON that can be read."))
            except CandorError as error:
                place = f"{error.path}: " if error.path else ""
                told.append(LineFault(self._line, place + error.detail))
        answers = iter(await self._checker.check(asked) if asked else [])
        return _ENCODER.encode_lines(
            [
                one if isinstance(one, LineFault) else self._verdict(one, next(answers))
                for one in told
            ]
        )

    def _key(self, line: bytes) -> str | None:
        try:
            subject = _SUBJECT.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            subject = decoded(_LINE, line).subject
        return resolved(self._secrets, subject.type, subject.value)

    def _verdict(self, line: bytes, answered: Answered) -> Verdict:
        decision = answered.decision
        if decision is STATE_UNAVAILABLE:
            raise UnavailableError("Consent cannot be decided now. Send the rest again.")
        verdict = Verdict(msgspec.Raw(line), decision.allow, decision.reason, answered.id)
        if decision.evidence is None and not decision.allow:
            verdict.detail = told_gap(decision.reason, self._question.purpose) or UNSET
        return verdict


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield lines that are not blank, in blocks."""
    rest = b""
    waiting: list[bytes] = []
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _MOST_LINE_BYTES:
            raise TooLargeError(f"A line is over {_MOST_LINE_BYTES} bytes.")
        waiting += [line for line in map(bytes.strip, lines) if line]
        while len(waiting) >= _MOST_LINES:
            yield waiting[:_MOST_LINES]
            del waiting[:_MOST_LINES]
    if rest.strip():
        waiting.append(rest.strip())
    if waiting:
        yield waiting
