"""Batches that other processes examine: the same answers, kept in order, and none lost unseen."""

import copy
import os
import random
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from candor.kernel.errors import UnavailableError
from candor.kernel.pii_settings import NameModelSettings
from collector.event import Event
from privacy.pii.examination import LocalExaminer
from privacy.pii.guard import make_guard
from privacy.pii.outcome import Outcome
from privacy.pii.policy import Mark, Policy, Rule
from privacy.pii.transform import Transformer, filled, sample_of
from privacy.pii.workers import Equipment, Workers
from tests.support.otlp import log_request
from tests.support.pii import KEY, pool
from tests.support.stores import NOON
from tests.support.telemetry_corpus import clean_event, personal_value

MAIL = "jane@example.org"
EQUIPMENT = Equipment(
    KEY,
    has_vault=True,
    cache_dir=None,
    recognizers=None,
    memory=1000,
    ner=NameModelSettings(),
)
RULES = (
    Rule("quarantine", frozenset({"US_SSN"})),
    Rule("tokenise", frozenset({"IBAN_CODE"}), scope="support"),
    Rule("drop", frozenset({"CREDIT_CARD"})),
    Rule("allow", frozenset({"IP_ADDRESS"})),
)
MARKS = {"": {}, "shop/1-0-0": {"attributes.who": Mark("personal", "PERSON")}}
KINDS = ("EMAIL_ADDRESS", "US_SSN", "IBAN_CODE", "CREDIT_CARD", "IP_ADDRESS", "PHONE_NUMBER")


@dataclass
class Crew:
    """Two processes, and the policy that they are told to go by."""

    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        self.workers = Workers(2, EQUIPMENT, lambda: self.policy)

    @property
    def pids(self) -> list[int]:
        executor: Any = self.workers._pool
        return list(executor._processes)


@pytest.fixture(scope="module")
def started() -> Iterator[Crew]:
    made = Crew()
    made.workers.prepare()
    yield made
    made.workers.close()


@pytest.fixture
def crew(started: Crew) -> Crew:
    """Give the processes with the policy that every test begins with."""
    started.policy = Policy()
    return started


@pytest.fixture
def twin(crew: Crew) -> LocalExaminer:
    """Give an examiner of this process that goes by the same rules."""
    crew.policy = Policy(version=1, rules=RULES)
    transformer = Transformer(KEY, defers=True)
    return LocalExaminer(
        lambda: make_guard(crew.policy, pool(), transformer, model=None, memory=1000)
    )


def event(number: int, **attributes: Any) -> Event:  # noqa: ANN401 - any JSON
    raw = {key: msgspec.Raw(msgspec.json.encode(one)) for key, one in attributes.items()}
    return Event(f"e-{number}", "native", "paid", "", NOON, NOON, attributes=raw)


def mixed_events(count: int) -> list[Event]:
    """Return events of which every third holds something; one is of a contract."""
    source = random.Random("mixed")
    made = [event(n, **clean_event(source)) for n in range(count)]
    for n in range(0, count, 3):
        kind = KINDS[n // 3 % len(KINDS)]
        value = personal_value(kind, source)
        made[n].attributes["seen"] = msgspec.Raw(msgspec.json.encode({"of": [f"so {value}"]}))
    made[1] = event(1, who="J. M.", **{MAIL: "x"})
    made[1].schema, made[1].instance, made[1].service = "shop/1-0-0", MAIL, "ü"
    return made


def told(outcome: Outcome) -> tuple[object, ...]:
    """Return what an outcome says of a batch, whoever examined it."""
    shapes = [(located, sample_of(value)) for located, value in outcome.sightings]
    wanted = [value for _, value in outcome.errands._wanted]
    return shapes, outcome.refusals, outcome.failures, wanted, outcome.policy


def as_stored(events: Sequence[Event], outcome: Outcome) -> bytes:
    """Return events as they are once the vault has answered."""
    answers = {f"{outcome.errands._mark}{n}.": f"tok_{n}" for n in range(1000)}
    return filled(msgspec.json.encode(events).decode(), answers).encode()


def test_the_answers_of_other_processes_are_those_of_this_one(
    crew: Crew, twin: LocalExaminer
) -> None:
    here = mixed_events(120)
    there = copy.deepcopy(here)
    before = msgspec.json.encode(here)
    mine = twin.examine_events(here, MARKS, "shop")
    theirs = crew.workers.examine_events(there, MARKS, "shop")
    assert told(theirs) == told(mine)
    assert as_stored(there, theirs) == as_stored(here, mine) != before
    assert len(mine.refusals) == 7
    assert len(mine.errands._wanted) > 0


def test_what_comes_back_of_a_finding_is_the_shape_of_its_value(crew: Crew) -> None:
    outcome = crew.workers.examine_events([event(1, mail=MAIL)], {"": {}}, "shop")
    assert [value for _, value in outcome.sightings] == ["xxxx@xxxxxxx.xxx"]


def test_requests_of_otlp_cross_as_bytes(crew: Crew, twin: LocalExaminer) -> None:
    body = log_request("clean", f"to {MAIL}", "ssn 536-22-1234").SerializeToString()
    mine, found_here = twin.examine_request("logs", body, "shop")
    theirs, found_there = crew.workers.examine_request("logs", body, "shop")
    assert theirs == mine != body
    assert told(found_there) == told(found_here)
    assert list(found_there.refusals) == [2]
    clean = log_request("clean").SerializeToString()
    assert crew.workers.examine_request("logs", clean, "shop")[0] is clean


def test_each_batch_goes_by_the_policy_of_its_moment(crew: Crew) -> None:
    for action, made in (("mask", '"[EMAIL_ADDRESS]"'), ("allow", f'"{MAIL}"')) * 2:
        crew.policy = Policy(version=7, rules=(Rule(action),))  # type: ignore[arg-type]  # they are actions
        sent = [event(1, mail=MAIL)]
        outcome = crew.workers.examine_events(sent, {"": {}}, "")
        assert bytes(sent[0].attributes["mail"]).decode() == made
        assert outcome.policy == crew.policy


def test_many_threads_get_their_own_batches_back(crew: Crew) -> None:

    def examined(number: int) -> bool:
        events = [event(n, mine=f"{number}-{n}", mail=MAIL) for n in range(20)]
        crew.workers.examine_events(events, {"": {}}, "")
        seen = [msgspec.json.decode(one.attributes["mine"]) for one in events]
        masked = {bytes(one.attributes["mail"]) for one in events}
        return seen == [f"{number}-{n}" for n in range(20)] and masked == {b'"[EMAIL_ADDRESS]"'}

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(examined, range(60)))


def test_a_batch_whose_process_dies_is_examined_by_another(crew: Crew) -> None:
    crew.workers.prepare()
    before = crew.pids
    stopped = [event(n, mail=MAIL) for n in range(50)]
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    batch = threading.Thread(target=crew.workers.examine_events, args=(stopped, {"": {}}, ""))
    batch.start()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    batch.join()
    assert {bytes(one.attributes["mail"]) for one in stopped} == {b'"[EMAIL_ADDRESS]"'}
    assert set(crew.pids).isdisjoint(before)


def test_a_batch_that_kills_its_process_twice_is_not_stored(crew: Crew) -> None:
    with pytest.raises(UnavailableError, match="have died"):
        crew.workers._run(os._exit, 1)
    sent = [event(1, mail=MAIL)]
    crew.workers.examine_events(sent, {"": {}}, "")
    assert bytes(sent[0].attributes["mail"]) == b'"[EMAIL_ADDRESS]"'


def test_an_error_there_is_told_by_its_kind_alone(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    crew.policy = Policy(entities=("EMAIL_ADDRESS",))
    with pytest.raises(UnavailableError) as caught:
        crew.workers.examine_request("logs", b"no request of " + MAIL.encode(), "")
    assert MAIL not in caught.value.detail + caplog.text


def test_processes_that_cannot_start_are_no_silent_loss(tmp_path: Path) -> None:
    broken = replace(EQUIPMENT, ner=NameModelSettings(engine="spacy", model=tmp_path))
    workers = Workers(1, broken, Policy)
    with pytest.raises(UnavailableError, match="have died"):
        workers.prepare()
    with pytest.raises(UnavailableError, match="have died"):
        workers.examine_events([event(1, mail=MAIL)], {"": {}}, "")
    workers.close()


def test_what_a_process_is_given_is_not_told_of_it() -> None:
    assert KEY.hex() not in repr(EQUIPMENT)
    assert repr(KEY) not in repr(EQUIPMENT)


def test_closing_ends_every_process() -> None:
    made = Crew()
    made.workers.close()
    made.workers.prepare()
    pids = made.pids
    assert len(pids) == 2
    made.workers.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
