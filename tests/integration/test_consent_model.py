"""Random histories of consent: at every instant the decision is what a naive oracle says.

Grants, withdrawals, objections, imports, suppressions, changes of purposes and notices, links, and
moves of the clock come in any order, acts with times of the past and of the future. Every answer is
asked again at the end as of its moment, from the ledger alone, and must be the same.
"""

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from candor.kernel.database import session_of
from candor.kernel.errors import InvalidInputError
from candor.kernel.ports import Identifier, Provenance
from privacy.consent import store
from privacy.consent.act import Act, ConsentEvent
from privacy.consent.decision import Decision, Question, decide
from privacy.consent.ledger import MOST_AHEAD, ImportReport, ImportRow, Ledger, rebuilt_standings
from privacy.consent.notice import Notice
from privacy.consent.purpose import Purpose
from privacy.consent.reading import Reader, open_reader
from privacy.consent.register import PolicyRegister, put_all
from privacy.consent.replay import decision_at
from privacy.subjects.index import StoredSubjectIndex
from tests.support.consent_oracle import NO, Answer, Asking, Oracle, Said
from tests.support.stores import NOON, FixedClock

RUNS = count()
CHANNELS = ["", "email", "sms"]
WHO = ["anna-mail", "anna-phone"]
ACTIONS = ["grant", "grant", "grant", "withdraw", "object", "refuse", "expire", "import"]
SECONDS = st.one_of(st.integers(-300, 60), st.just(0), st.integers(240, 360))
ACTS = st.fixed_dictionaries(
    {
        "step": st.just("act"),
        "who": st.sampled_from(WHO),
        "purpose": st.sampled_from(["p", "p", "p", "q", "*"]),
        "channel": st.sampled_from(CHANNELS),
        "action": st.sampled_from(ACTIONS),
        "seconds": SECONDS,
        "bulk": st.booleans(),
    }
)
BARS = st.fixed_dictionaries(
    {
        "step": st.just("bar"),
        "who": st.sampled_from(WHO),
        "action": st.sampled_from(["suppress", "release", "restrict", "lift"]),
    }
)
PURPOSES = st.fixed_dictionaries(
    {
        "step": st.just("purpose"),
        "purpose": st.sampled_from(["p", "q"]),
        "mechanism": st.sampled_from(["opt_in", "opt_in", "opt_out", "notice_only"]),
        "default": st.sampled_from(["consent", "consent", "legitimate_interests", "contract"]),
        "channels": st.sampled_from([[], ["email"], ["email", "sms"]]),
        "recipients": st.sampled_from([["esp"], ["esp", "cdp"]]),
        "data": st.sampled_from([["contact"], ["contact", "place"]]),
        "days": st.sampled_from([None, 1, 2]),
        "gpc": st.booleans(),
        "obligations": st.sampled_from([[], ["no_profiling"]]),
    }
)
NOTICES = st.fixed_dictionaries(
    {
        "step": st.just("notice"),
        "purposes": st.sampled_from([["p"], ["p", "q"], ["q"]]),
        "recipients": st.sampled_from([None, ["esp"], []]),
        "seconds": st.sampled_from([None, None, -30, 40]),
    }
)
CLOCK = st.fixed_dictionaries(
    {"step": st.just("clock"), "seconds": st.sampled_from([1, 30, 3600, 86_400])}
)
LINKS = st.just({"step": "link"})
CHECKS = st.fixed_dictionaries(
    {
        "step": st.just("check"),
        "who": st.sampled_from(WHO),
        "purpose": st.sampled_from(["p", "p", "q", "r"]),
        "channel": st.sampled_from(CHANNELS),
        "jurisdiction": st.sampled_from(["AU", "DE"]),
        "recipient": st.sampled_from([None, None, "esp", "cdp", "who"]),
        "gpc": st.booleans(),
    }
)
STEPS = st.lists(
    st.one_of(ACTS, ACTS, ACTS, BARS, PURPOSES, NOTICES, NOTICES, CLOCK, LINKS, CHECKS, CHECKS),
    max_size=25,
)


@dataclass
class World:
    """The real thing and the oracle, side by side."""

    engine: Engine
    reader: Reader
    run: int
    clock: FixedClock = field(default_factory=FixedClock)
    oracle: Oracle = field(default_factory=Oracle)
    notices: list[str] = field(default_factory=list)
    answers: list[tuple[datetime, str, Asking, Answer]] = field(default_factory=list)
    is_linked: bool = False

    def __post_init__(self) -> None:
        self.policies = PolicyRegister(self.engine)
        self.ledger = Ledger(self.policies)

    def name(self, short: str) -> str:
        return short if short == "*" else f"{short}-{self.run}"

    def take(self, step: dict[str, Any]) -> None:
        self.clock.pass_by(timedelta(seconds=1))
        getattr(self, f"take_{step['step']}")(step)

    def take_clock(self, step: dict[str, Any]) -> None:
        self.clock.pass_by(timedelta(seconds=step["seconds"]))

    def take_link(self, _: dict[str, Any]) -> None:
        keys = [Identifier("user_id", self.name(one)) for one in WHO]
        now = self.clock()
        StoredSubjectIndex(self.engine).link(keys, Provenance("test", "api", "link", now, now))
        self.is_linked = True

    def take_purpose(self, step: dict[str, Any]) -> None:
        bases = {"default": step["default"], "DE": "consent"}
        purpose = Purpose(
            self.name(step["purpose"]),
            "A purpose",
            step["mechanism"],
            bases,
            tuple(step["channels"]),
            tuple(step["recipients"]),
            tuple(step["data"]),
            None if step["days"] is None else timedelta(days=step["days"]),
            step["gpc"],
            None,
            tuple(step["obligations"]),
        )
        with session_of(self.engine) as session:
            put_all(session, [purpose], self.clock(), "test")
        told = dict(step) | {"legal_basis": bases, "honours_gpc": step["gpc"]}
        self.oracle.purposes[purpose.key] = told

    def take_notice(self, step: dict[str, Any]) -> None:
        names = [self.name(one) for one in step["purposes"]]
        purposes = tuple(one for one in names if one in self.oracle.purposes)
        if not purposes:
            return
        seconds = step["seconds"]
        starts = None if seconds is None else self.clock() + timedelta(seconds=seconds)
        notice = Notice(
            self.name("n"), str(len(self.notices) + 1), purposes, {"en": "May we?"},
            None if step["recipients"] is None else tuple(step["recipients"]), starts,
        )  # fmt: skip
        with session_of(self.engine) as session:
            put_all(session, [notice], self.clock(), "test")
        self.notices.append(notice.reference)
        for key in purposes:
            told = dict(self.oracle.purposes[key]) | {"starts": starts}
            if step["recipients"] is not None:
                told["recipients"] = step["recipients"]
            self.oracle.shown[f"{notice.reference} {key}"] = told

    def take_act(self, step: dict[str, Any]) -> None:
        now = self.clock()
        is_yes = step["action"] in {"grant", "import"}
        act = Act(
            self.name(step["who"]), "user_id", self.name(step["purpose"]), step["action"],
            now + timedelta(seconds=step["seconds"]), "api", step["channel"],
            self.notices[-1] if is_yes and self.notices else None, evidence="form",
        )  # fmt: skip
        try:
            with session_of(self.engine) as session:
                if step["bulk"]:
                    report = ImportReport()
                    rows = [ImportRow(0, act), ImportRow(1, act)]
                    self.ledger.bring_in(session, rows, report, at=now, by="test")
                    if report.refused:
                        return
                else:
                    self.ledger.record(session, act, now, "test")
        except InvalidInputError:
            return
        with session_of(self.engine) as session:
            events = store.read_events(session, [act.subject_key])
        self.believe(events)
        assert not is_yes or act.at <= now + MOST_AHEAD
        if step["action"] in NO and act.at >= now:
            assert self.oracle.undone(act.subject_key, act.purpose, act.channel)

    def take_bar(self, step: dict[str, Any]) -> None:
        who = {self.name(step["who"]): "user_id"}
        with session_of(self.engine) as session:
            self.believe(
                self.ledger.bar(session, who, step["action"], "test", self.clock(), "test")
            )

    def believe(self, events: list[ConsentEvent]) -> None:
        """Tell the oracle what is on record and new to it; it works the rest out by itself."""
        known = {one.event for one in self.oracle.acts}
        for event in events:
            if event.id in known:
                continue
            act = event.act
            told = f"{act.notice} {act.purpose}" if act.notice else None
            begins = self.oracle.shown[told]["starts"] if told else None
            starts = act.at if begins is None else max(act.at, begins)
            self.oracle.acts.append(
                Said(
                    len(self.oracle.acts),
                    event.id,
                    act.subject_key,
                    act.purpose,
                    act.channel,
                    act.action,
                    act.at,
                    starts,
                    told,
                )
            )

    def take_check(self, step: dict[str, Any]) -> None:
        asking = Asking(
            self.name(step["purpose"]),
            step["channel"],
            step["jurisdiction"],
            step["recipient"],
            step["gpc"],
        )
        who, now = self.name(step["who"]), self.clock()
        snapshot = self.reader.read([who])
        policy = self.policies.policy(snapshot.policy_turn)
        told = decide(policy, list(snapshot.of(who).values()), question(asking), now)
        people = [self.name(one) for one in WHO] if self.is_linked else [who]
        expected = self.oracle.answer(people, asking, now)
        assert answer(told) == expected
        self.answers.append((now, who, asking, expected))

    def look_back(self) -> None:
        """Ask everything again as of its moment."""
        with session_of(self.engine) as session:
            for moment, who, asking, expected in self.answers:
                told, _ = decision_at(session, self.policies, who, question(asking), moment)
                assert answer(told) == expected


def question(asking: Asking) -> Question:
    return Question(
        asking.purpose, asking.channel, "send", (asking.jurisdiction,), asking.recipient, asking.gpc
    )


def answer(told: Decision) -> Answer:
    return Answer(told.allow, told.reason, told.valid_until, told.obligations)


def test_every_decision_is_the_oracles_and_the_same_when_asked_again_as_of_then(
    state: Engine,
) -> None:
    clock = FixedClock()
    with closing(open_reader(state)) as reader:

        @settings(max_examples=100, suppress_health_check=list(HealthCheck))
        @given(steps=STEPS)
        def check(steps: list[dict[str, Any]]) -> None:
            world = World(state, reader, next(RUNS), clock)
            world.take({"step": "purpose", **FIRST})
            world.take({"step": "notice", "purposes": ["p"], "recipients": None, "seconds": None})
            for step in steps:
                world.take(step)
            for channel in CHANNELS:
                world.take({**LAST, "channel": channel})
            world.look_back()

        check()
    with session_of(state) as session:
        assert rebuilt_standings(session) == store.all_standings(session)


FIRST: dict[str, Any] = {
    "purpose": "p",
    "mechanism": "opt_in",
    "default": "consent",
    "channels": ["email", "sms"],
    "recipients": ["esp"],
    "data": ["contact"],
    "days": None,
    "gpc": True,
    "obligations": [],
}
LAST: dict[str, Any] = {
    "step": "check",
    "who": "anna-mail",
    "purpose": "p",
    "jurisdiction": "AU",
    "recipient": "esp",
    "gpc": False,
}


def test_the_readers_two_ways_see_the_same(state: Engine) -> None:
    with closing(open_reader(state)) as reader:
        world = World(state, reader, next(RUNS), FixedClock(NOON))
        world.take({"step": "purpose", **FIRST})
        world.take({"step": "notice", "purposes": ["p"], "recipients": None, "seconds": None})
        act = {"purpose": "p", "channel": "email", "action": "grant", "seconds": 0, "bulk": False}
        for who in WHO:
            world.take({"step": "act", "who": who, **act})
        world.take({"step": "link"})
        both = [world.name(one) for one in WHO]

        async def ask() -> None:
            for keys in (both[:1], both, ["stranger"], [*both, 'odd "\\key']):
                soon, now = await reader.read_soon(keys), reader.read(keys)
                assert (soon.turn, soon.policy_turn) == (now.turn, now.policy_turn)
                for key in keys:
                    assert soon.of(key) == now.of(key)
            assert set((await reader.read_soon(both[:1])).of(both[0])) == set(both)

        asyncio.run(ask())
