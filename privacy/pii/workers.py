"""Processes that examine batches, for when one core is not enough.

A batch crosses as bytes, with the policy to go by and what contracts say of its fields: so no
process goes by another policy than the one that asks. Back come what was changed, the findings with
the shape of their values, and what is wanted of the vault, which stays with the one that asks; the
key of masks is the only key that a process is given.

A process that dies takes its batch with it. The batch is given once more to new processes; when
these die too, the door says that it cannot be examined now. It is never stored unexamined.
"""

import os
import signal as signals
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeVar

import msgspec

from candor.kernel.errors import UnavailableError
from candor.kernel.logging import log
from candor.kernel.pii_settings import NameModelSettings
from candor.kernel.ports import OtlpSignal, StorableEvent
from privacy.pii.detectors import DetectorPool
from privacy.pii.examination import TEXTS, FieldMarks, examine_events, texts_of
from privacy.pii.guard import Guard, make_guard
from privacy.pii.namemodel import open_model
from privacy.pii.otlp import redact_request
from privacy.pii.outcome import Outcome
from privacy.pii.policy import Policy
from privacy.pii.transform import Transformer, sample_of

_LOST = "Texts cannot be examined now: the processes that do it have died. Send the same again."
_FAILED = "Texts could not be examined. Send the same again."
Answer = TypeVar("Answer")
_Changed = list[tuple[int, tuple[str, ...], dict[str, bytes]]]
"""Position, texts and attributes of each event that was looked at."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What each process is given at its start."""

    key: bytes = field(repr=False)
    has_vault: bool
    cache_dir: Path | None
    recognizers: Path | None
    memory: int
    ner: NameModelSettings


class Workers:
    """An examiner that has ``count`` processes do the work. Safe to share between threads."""

    def __init__(self, count: int, equipment: Equipment, policy: Callable[[], Policy]) -> None:
        self._count = count
        self._equipment = equipment
        self._policy = policy
        self._pool: ProcessPoolExecutor | None = None
        self._guard = Lock()

    def prepare(self) -> None:
        """Start every process and wait until all are ready.

        Raises:
            UnavailableError: they cannot be started; what they log says why.
        """
        policy = self._policy()
        pool = self._open()
        try:
            for one in [pool.submit(_prepare, policy) for _ in range(self._count)]:
                one.result()
        except BrokenExecutor:
            raise UnavailableError(_LOST) from None

    def close(self) -> None:
        """Let the processes finish what they are at, and end them."""
        with self._guard:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)

    def examine_events(
        self, events: Sequence[StorableEvent], marks: FieldMarks, source: str
    ) -> Outcome:
        """Mask in place, and return what was found.

        Raises:
            UnavailableError: the policy is not known, or the processes cannot do it now.
        """
        policy = self._policy()
        batch = msgspec.json.encode(
            [(*texts_of(event), event.subject_key, event.attributes) for event in events]
        )
        changed, outcome = self._run(_examine_events, policy, batch, marks, source)
        for index, texts, attributes in changed:
            event = events[index]
            for name, text in zip(TEXTS, texts, strict=True):
                setattr(event, name, text)
            event.attributes = {key: msgspec.Raw(one) for key, one in attributes.items()}
        return outcome

    def examine_request(
        self, signal: OtlpSignal, body: bytes, source: str
    ) -> tuple[bytes, Outcome]:
        """Return an OTLP request as it may be stored, and what was found.

        Raises:
            UnavailableError: the policy is not known, or the processes cannot do it now.
        """
        content, outcome = self._run(_examine_request, self._policy(), signal, body, source)
        return body if content is None else content, outcome

    def _run(self, task: Callable[..., Answer | str], *given: Any) -> Answer:  # noqa: ANN401 - what the task takes
        for _ in range(2):
            pool = self._open()
            try:
                answer: Answer | str = _submit(pool, task, *given).result()
            except (BrokenExecutor, CancelledError):
                self._give_up(pool)
                continue
            if isinstance(answer, str):
                log().error("a batch could not be examined", reason=answer)
                raise UnavailableError(_FAILED)
            return answer
        raise UnavailableError(_LOST)

    def _open(self) -> ProcessPoolExecutor:
        with self._guard:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._count, get_context("spawn"), _equip, (self._equipment,)
                )
            return self._pool

    def _give_up(self, pool: ProcessPoolExecutor) -> None:
        """Let others begin with new processes; whoever comes first does it for all."""
        with self._guard:
            if self._pool is not pool:
                return
            self._pool = None
        log().error("a process that examines texts has died; new ones are started")
        pool.shutdown(wait=False)


def _submit(pool: ProcessPoolExecutor, task: Callable[..., Any], *given: Any) -> "Future[Any]":  # noqa: ANN401 - what the task takes
    """Return the fate of a task; one that comes too late for its processes is cancelled."""
    try:
        return pool.submit(task, *given)
    except BrokenExecutor:
        raise
    except RuntimeError:  # the executor's word for "shut down", which it is when others gave it up
        raise CancelledError from None


class _Sent(msgspec.Struct, array_like=True, gc=False):
    """An event as it crosses, in the order of ``TEXTS``."""

    id: str
    name: str
    schema: str
    journey: str
    instance: str
    step: str
    channel: str
    service: str
    error_code: str
    experiment: str
    variant: str
    currency: str
    subject_key: str
    attributes: dict[str, msgspec.Raw]


class _Desk:
    """What one process works with: the only state that lives as long as the process does."""

    def __init__(self, equipment: Equipment) -> None:
        self._pool = DetectorPool(equipment.cache_dir, equipment.recognizers, equipment.memory)
        self._transformer = Transformer(equipment.key, defers=equipment.has_vault)
        self._model = open_model(equipment.ner)
        self._memory = equipment.memory
        self._made: Guard | None = None

    def guard(self, policy: Policy) -> Guard:
        if self._made is None or self._made.policy != policy:
            self._made = make_guard(
                policy, self._pool, self._transformer, model=self._model, memory=self._memory
            )
        return self._made


_decoder = msgspec.json.Decoder(list[_Sent])
_desks: list[_Desk] = []


def _equip(equipment: Equipment) -> None:
    """Begin a process: it ends when told to, or with the one that started it, and never before."""
    for one in (signals.SIGINT, signals.SIGTERM):
        signals.signal(one, signals.SIG_IGN)
    Thread(target=_leave_with_parent, daemon=True).start()
    _desks.append(_Desk(equipment))


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare(policy: Policy) -> None:
    _desks[0].guard(policy)


def _examine_events(
    policy: Policy, batch: bytes, marks: FieldMarks, source: str
) -> tuple[_Changed, Outcome] | str:
    """Return what was changed and found; or the kind of an error, whose text may repeat a value."""
    try:
        events = _decoder.decode(batch)
        touched, outcome = examine_events(_desks[0].guard(policy), events, marks, source)
    except Exception as error:  # noqa: BLE001 - told to the one who asked, who refuses the batch
        return type(error).__name__
    changed = [(n, texts_of(events[n]), _attributes_of(events[n])) for n in touched]
    return changed, _without_values(outcome)


def _examine_request(
    policy: Policy, signal: OtlpSignal, body: bytes, source: str
) -> tuple[bytes | None, Outcome] | str:
    """Return a request as it may be stored, none when nothing is changed; or as above."""
    try:
        content, outcome = redact_request(signal, body, _desks[0].guard(policy), source)
    except Exception as error:  # noqa: BLE001 - as above
        return type(error).__name__
    return None if content is body else content, _without_values(outcome)


def _attributes_of(event: StorableEvent) -> dict[str, bytes]:
    return {key: bytes(raw) for key, raw in event.attributes.items()}


def _without_values(outcome: Outcome) -> Outcome:
    """Return an outcome with the shapes of values in their place; a shape is its own shape."""
    outcome.sightings = [(located, sample_of(value)) for located, value in outcome.sightings]
    return outcome
