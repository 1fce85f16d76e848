"""Changes of consent on their way to subscribers, on real stores and over real sockets."""

import base64
import hmac
import json
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from candor.kernel.database import session_of
from candor.kernel.errors import NotFoundError, UnavailableError
from candor.kernel.people_settings import ConsentSettings
from candor.kernel.ports import Identifier, Original, Provenance
from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from privacy.consent.act import Act, Action
from privacy.consent.ledger import Ledger
from privacy.consent.purpose import Purpose
from privacy.consent.register import PolicyRegister, put_all
from privacy.propagation import register, store
from privacy.propagation.jobs import Propagation, propagate
from privacy.propagation.position import BEGINNING, Position, position_of
from privacy.propagation.register import Wanted
from privacy.propagation.sealing import USE
from privacy.propagation.serving import Server
from privacy.subjects.originals import StoredOriginals, keep_originals
from tests.support.loopback import Received
from tests.support.receiver import Receiver, receiver
from tests.support.stores import FixedClock, services_on

SECRET = "a secret of the receiver"


class Installation:
    """A ledger with one purpose, and a subscriber that is a webhook."""

    def __init__(self, services: Services, target: Receiver) -> None:
        self.services = services
        self.target = target
        self.key = services.secrets.sealing_key(USE)
        self._ledger = Ledger(PolicyRegister(services.engine))
        with session_of(services.engine) as session:
            purposes = [Purpose(key, key, "opt_in", {"default": "consent"}) for key in ("m", "n")]
            put_all(session, purposes, self.now, "test")

    @property
    def now(self) -> Any:  # noqa: ANN401 - an instant
        return self.services.clock()

    def subscribe(self, name: str = "crm", **fields: Any) -> None:  # noqa: ANN401 - any field
        nothing: dict[str, Any] = {
            "purposes": [],
            "channels": [],
            "identifiers": [],
            "paused": False,
        }
        start = fields.pop("start", "now")
        definition = nothing | {"webhook": {"url": f"{self.target.url}/hook"}} | fields
        with session_of(self.services.engine) as session:
            wanted = [Wanted(name, definition, SECRET, None, start)]
            register.put_all(session, self.key, wanted, self.now, "test")

    def act(self, who: str, action: Action = "withdraw", purpose: str = "m") -> str:
        with session_of(self.services.engine) as session:
            act = Act(who, "email", purpose, action, self.now, "api")
            return self._ledger.record(session, act, self.now, "test").event.id

    def propagate(self, **time: float) -> None:
        clock = self.services.clock
        assert isinstance(clock, FixedClock)
        clock.pass_by(timedelta(**time))
        propagate(self.services)

    def told(self) -> list[str]:
        return [one.json()["id"] for one in self.target.requests]

    def stands(self, name: str = "crm") -> tuple[int, int]:
        with session_of(self.services.engine) as session:
            return store.counts(session, name)

    def metric(self, outcome: str) -> float:
        propagated = self.services.metrics.consent.propagated
        return float(propagated.labels("crm", outcome)._value.get())


@pytest.fixture
def installed(
    tmp_path: Path, state: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Installation]:
    with receiver() as target:
        yield Installation(services_on(tmp_path, state, embedded_telemetry, clock), target)


@pytest.fixture
def small(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> Iterator[Installation]:
    """As ``installed``, on SQLite alone."""
    with receiver() as target:
        yield Installation(services_on(tmp_path, sqlite, embedded_telemetry, clock), target)


def refusing(*people: str, status: int = 422) -> Callable[[Received], int]:
    return lambda received: status if received.json()["subject"] in people else 200


def test_each_change_is_told_once_signed_and_in_order(installed: Installation) -> None:
    installed.act("a")
    installed.subscribe()
    ids = [installed.act("a", action) for action in ("object", "withdraw", "refuse")]
    installed.propagate()
    installed.propagate(seconds=5)
    assert installed.told() == ids
    first = installed.target.requests[0]
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["webhook-id"] == ids[0]
    signed = f"{ids[0]}.{first.headers['webhook-timestamp']}.".encode() + first.body
    digest = base64.b64encode(hmac.digest(SECRET.encode(), signed, "sha256")).decode()
    assert first.headers["webhook-signature"] == f"v1,{digest}"
    told = first.json()
    assert (told["specversion"], told["type"]) == ("1.0", "dev.candor.consent.object")
    assert (told["data"]["subject_key"], told["data"]["purpose"]) == ("a", "m")
    assert installed.metric("delivered") == 3


def test_a_new_subscriber_may_be_told_of_everything(installed: Installation) -> None:
    ids = [installed.act(who) for who in "abab"]
    installed.subscribe(start="beginning")
    installed.propagate()
    assert sorted(installed.told()) == sorted(ids)


def test_a_person_who_is_refused_holds_up_nobody_else(installed: Installation) -> None:
    installed.subscribe()
    installed.target.judge = refusing("a")
    first, other = installed.act("a"), installed.act("b")
    installed.propagate()
    second, third = installed.act("a", "object"), installed.act("b", "object")
    installed.propagate(seconds=5)
    assert installed.stands() == (1, 0)
    assert sorted(installed.told()) == sorted([first, other, third])
    assert second not in installed.told()
    installed.target.judge = None
    installed.propagate(seconds=30)
    assert installed.told()[-2:] == [first, second]
    assert installed.stands() == (0, 0)
    installed.act("a", "refuse")
    installed.propagate(seconds=5)
    assert len(installed.told()) == 6


def test_what_is_refused_ten_times_is_given_up_and_can_be_tried_again(
    installed: Installation,
) -> None:
    installed.subscribe()
    bad, good = installed.act("a"), installed.act("a", "object")
    installed.target.judge = lambda received: 422 if received.json()["id"] == bad else 200
    for _ in range(9):
        installed.propagate(hours=1)
    assert installed.stands() == (1, 0)
    installed.propagate(hours=1)
    installed.propagate(seconds=1)
    assert installed.stands() == (0, 1)
    assert installed.told() == [bad] * 10 + [good]
    assert (installed.metric("failed"), installed.metric("dead")) == (10, 1)
    engine = installed.services.engine
    with session_of(engine) as session:
        (dead,) = store.dead_letters(session, "crm", BEGINNING, 10)
    assert (dead.event, dead.attempts, dead.outcome) == (bad, 10, "status 422")
    installed.target.judge = None
    with session_of(engine) as session:
        assert register.revive(session, "crm", installed.now, "test") == 1
    installed.propagate(seconds=1)
    assert installed.told()[-2:] == [bad, good]
    assert installed.stands() == (0, 0)


def test_an_outage_gives_up_nothing_and_is_not_hammered(installed: Installation) -> None:
    installed.subscribe()
    installed.target.judge = lambda _: 503
    ids = [installed.act(f"p{number}") for number in range(205)]
    for _ in range(3):
        installed.propagate()
    tried = len(installed.target.requests)
    installed.propagate(seconds=20)
    assert len(installed.target.requests) == tried
    for _ in range(12):
        installed.propagate(minutes=5)
    assert installed.stands()[1] == 0
    installed.target.judge = None
    installed.target.requests.clear()
    for _ in range(6):
        installed.propagate(hours=1)
    assert sorted(installed.told()) == sorted(ids)
    assert installed.stands() == (0, 0)


def test_a_private_address_is_sent_nothing_unless_that_is_allowed(small: Installation) -> None:
    address = small.target.url.replace("127.0.0.1", "localhost")
    small.subscribe(webhook={"url": address})
    small.act("a")
    allowed = small.services
    settings = allowed.settings.model_copy(update={"consent": ConsentSettings()})
    small.services = replace(allowed, settings=settings)
    small.propagate()
    assert small.told() == []
    with session_of(allowed.engine) as session:
        waiting = store.due(session, "crm", small.now + timedelta(hours=1), 9)
    assert [one.outcome for one in waiting] == ["PrivateAddressError"]
    small.services = allowed
    small.propagate(minutes=1)
    assert len(small.told()) == 1


def test_a_receiver_that_is_away_blames_nobody(small: Installation) -> None:
    small.subscribe(webhook={"url": "http://127.0.0.1:9/none"})
    small.act("a")
    for _ in range(20):
        small.propagate(hours=1)
    assert small.stands() == (1, 0)


def test_a_subscriber_is_told_again_from_a_position_on(installed: Installation) -> None:
    installed.subscribe()
    ids = [installed.act(who) for who in "abc"]
    installed.target.judge = refusing("b")
    installed.propagate()
    told = {one.json()["id"]: one.json()["data"] for one in installed.target.requests}
    place = position_of(told[ids[1]]["position"])
    installed.target.requests.clear()
    installed.target.judge = None
    with session_of(installed.services.engine) as session:
        register.replay(session, "crm", place, installed.now, "test")
    assert installed.stands() == (0, 0)
    installed.propagate()
    assert sorted(installed.told()) == sorted(ids[1:])
    with session_of(installed.services.engine) as session:
        register.replay(session, "crm", BEGINNING, installed.now, "test")
    installed.target.requests.clear()
    installed.propagate()
    assert sorted(installed.told()) == sorted(ids)


def test_a_subscriber_is_told_of_what_it_asked_for_alone(small: Installation) -> None:
    small.subscribe(purposes=["n"])
    small.act("a", purpose="m")
    wanted = [small.act("a", purpose="n"), small.act("a", purpose="*")]
    small.propagate()
    assert small.told() == wanted
    assert small.stands() == (0, 0)


def test_one_that_is_paused_is_told_later(small: Installation) -> None:
    small.subscribe(paused=True)
    ids = [small.act("a")]
    small.propagate()
    assert small.told() == []
    small.subscribe(paused=False)
    small.propagate()
    assert small.told() == ids


class Kept:
    """Originals of two identifiers of one person."""

    def originals(self, subject_keys: Sequence[str]) -> Mapping[str, Original]:
        kept = {"a": Original("email", "anna@example.org"), "b": Original("phone", "+61400000000")}
        return {key: kept[key] for key in subject_keys if key in kept}


def test_identifiers_go_only_to_who_needs_them_and_only_where_they_are_kept(
    small: Installation,
) -> None:
    small.services = replace(small.services, originals=Kept())
    now = small.now
    pair = [Identifier("email", "a"), Identifier("phone", "b")]
    small.services.subjects.link(pair, Provenance("t", "api", "link", now, now, decided=True))
    small.subscribe("plain")
    small.subscribe("crm", identifiers=["phone"])
    small.act("a")
    small.act("c")
    small.propagate()
    told = [one.json()["data"].get("identifiers") for one in small.target.requests]
    assert sorted(map(str, told)) == sorted(
        ["None"] * 3 + [str([{"type": "phone", "value": "+61400000000"}])]
    )


def test_identifiers_are_looked_up_once_for_everything_that_is_sent_together(
    installed: Installation,
) -> None:
    services = installed.services
    originals = StoredOriginals(services.engine, services.secrets)
    installed.services = replace(services, originals=originals)
    people = [f"p{number}@example.org" for number in range(3)]
    with session_of(services.engine) as session:
        said = [("email", one) for one in people]
        keep_originals(session, services.secrets, said, installed.now)
    installed.subscribe(identifiers=["email"])
    for one in people * 20:
        installed.act(services.secrets.subject_key("email", one))
    statements: list[str] = []
    event.listen(services.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    installed.propagate()
    told = [one.json()["data"]["identifiers"] for one in installed.target.requests]
    assert sorted(one["value"] for (one,) in told) == sorted(people * 20)
    assert sum("FROM identifiers" in one for one in statements) == 1
    assert sum("FROM subjects" in one for one in statements) == len(people)


def test_who_dies_between_sending_and_writing_sends_again(small: Installation) -> None:
    small.subscribe()
    ids = [small.act("a"), small.act("b")]

    def move(_: Received) -> int:
        with session_of(small.services.engine) as session:
            store.move(session, "crm", Position(1, 0), small.now)
        small.target.judge = None
        return 200

    small.target.judge = move  # as a crash: what was sent is not written down
    small.propagate()
    assert set(small.told()) == set(ids)
    assert len(small.told()) > 2


@pytest.mark.parametrize("status", [200, 422])
def test_what_is_tried_again_while_something_is_told_is_not_lost(
    installed: Installation, status: int
) -> None:
    installed.subscribe()
    bad = installed.act("a")
    installed.target.judge = lambda _: 422
    for _ in range(10):
        installed.propagate(hours=1)
    assert installed.stands() == (1, 1)
    later = installed.act("a", "object")
    installed.propagate(hours=1)

    def revive(received: Received) -> int:
        assert received.json()["id"] == later
        with session_of(installed.services.engine) as session:
            register.revive(session, "crm", installed.now, "test")
        installed.target.judge = None
        return status

    installed.target.judge = revive
    installed.propagate(hours=1)
    installed.propagate(hours=1)
    assert installed.told()[-2:] == [bad, later]
    assert installed.stands() == (0, 0)


def test_many_acts_of_one_person_go_in_parts(small: Installation) -> None:
    small.subscribe()
    small.target.judge = lambda _: 422
    ids = [small.act("a", "object")]
    small.propagate()
    ids += [small.act("a") for _ in range(250)]
    small.target.judge = None
    small.propagate(seconds=30)
    small.propagate(seconds=30)
    assert small.told()[1:] == ids


def test_the_lag_is_the_age_of_the_oldest_change_that_was_not_told(small: Installation) -> None:
    small.subscribe()
    small.propagate()
    lag = small.services.metrics.consent.lag
    assert lag._samples == {("crm",): 0.0}
    small.target.judge = refusing("a")
    small.act("a")
    small.act("b")
    small.propagate(seconds=10)
    assert lag._samples == {("crm",): 10.0}


@contextmanager
def unsealed(engine: Engine) -> Iterator[None]:
    with session_of(engine) as session:
        session.execute(text("UPDATE consent_subscribers SET sealed = :some"), {"some": b"x" * 40})
    yield


def test_one_that_cannot_be_served_keeps_no_other_from_it(small: Installation) -> None:
    small.subscribe("bad")
    with unsealed(small.services.engine):
        small.subscribe("crm")
    ids = [small.act("a")]
    with pytest.raises(UnavailableError, match="bad"):
        small.propagate()
    assert small.told() == ids


def test_one_that_is_slow_keeps_no_other_waiting(small: Installation) -> None:
    go_on = threading.Event()

    def judge(received: Received) -> int:
        if received.path == "/slow":
            go_on.wait(60)
        return 200

    small.target.judge = judge
    small.subscribe("slow", webhook={"url": f"{small.target.url}/slow"})
    small.subscribe("crm")
    runs = Propagation(patience_seconds=0.5)
    ids = [small.act("a")]
    try:
        for _ in range(100):
            runs.run(small.services)
            if len(small.target.requests) == 2:
                break
        ids.append(small.act("b"))
        for _ in range(100):
            runs.run(small.services)
            if len(small.target.requests) == 3:
                break
    finally:
        go_on.set()
    slow: list[str] = []
    others: list[str] = []
    for one in small.target.requests:
        (slow if one.path == "/slow" else others).append(one.json()["id"])
    assert (slow, others) == (ids[:1], ids)
    for _ in range(100):
        runs.run(small.services)
        if len(small.target.requests) == 4:
            break
    assert small.target.requests[-1].path == "/slow"
    propagate(small.services)
    assert small.stands("slow") == (0, 0)


def test_secrets_are_stored_sealed(small: Installation, tmp_path: Path) -> None:
    small.subscribe()
    small.services.engine.dispose()
    stored = b"".join(one.read_bytes() for one in tmp_path.glob("state.db*"))
    assert SECRET.encode() not in stored
    assert b"/hook" in stored


def test_nobody_is_served_without_a_name(small: Installation) -> None:
    with Server(small.services, "none") as server:
        assert not server.serve_some()
    with session_of(small.services.engine) as session, pytest.raises(NotFoundError):
        register.remove(session, "none", small.now, "test")


@pytest.mark.parametrize("seed", range(8))
def test_whatever_fails_each_person_is_told_everything_in_order(
    small: Installation, seed: int
) -> None:
    """Acts, faults of every kind and lost writings at random; then all is well for long enough."""
    chance = random.Random(seed)
    small.subscribe()
    taken: dict[str, list[str]] = defaultdict(list)
    acts: dict[str, list[str]] = defaultdict(list)
    bad = 0.4

    def judge(received: Received) -> int:
        told = received.json()
        if chance.random() < bad:
            return chance.choice([422, 500, 503, 429])
        taken[told["subject"]].append(told["id"])
        return 200

    small.target.judge = judge
    for _ in range(25):
        for _ in range(chance.randrange(6)):
            who = chance.choice("abcde")
            acts[who].append(small.act(who, chance.choice(["withdraw", "object"])))
        if chance.random() < 0.2:
            with session_of(small.services.engine) as session:
                place = Position(chance.randrange(2, 10), 0)
                store.move(session, "crm", place, small.now)
        small.propagate(minutes=chance.choice([0, 1, 10]))
    bad = 0.0
    for _ in range(4):
        small.propagate(hours=2)
    assert small.stands() == (0, 0)
    for who, ids in acts.items():
        assert list(dict.fromkeys(taken[who])) == ids
        for before, after in zip(taken[who], taken[who][1:], strict=False):
            assert ids.index(after) <= ids.index(before) + 1, json.dumps(taken[who])
