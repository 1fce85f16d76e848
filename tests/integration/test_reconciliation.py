"""ESPs and CDPs held against the ledger, over real sockets: a no on either side is a no on both."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, InvalidInputError, MalformedError
from candor.kernel.ports import Original
from privacy.audit.store import contents
from privacy.consent.act import Act, Action
from privacy.consent.ledger import Ledger
from privacy.consent.notice import Notice
from privacy.consent.purpose import Purpose
from privacy.consent.register import PolicyRegister, put_all
from privacy.consent.store import read_events
from privacy.reconciliation.remote import open_remote
from privacy.reconciliation.run import Records, Report, kept_identifiers, reconcile
from privacy.reconciliation.schemas import read_connector, report_document
from privacy.subjects.index import StoredSubjectIndex
from tests.support import esp as esps
from tests.support.esp import Answer, Asked, Esp, esp
from tests.support.stores import NOON, SECRETS, FixedClock

EXAMPLES = Path(__file__).parents[2] / "examples" / "connectors"
SYSTEMS: dict[str, tuple[Callable[[Esp, Asked], Answer], Any, Any, Any]] = {
    "braze": (esps.braze, "Subscribed", "Unsubscribed", "Unknown"),
    "iterable": (esps.iterable, [7], [7, 42], None),
    "salesforce": (esps.salesforce, False, True, None),
    "segment": (esps.segment, "SUBSCRIBED", "UNSUBSCRIBED", "DID_NOT_SUBSCRIBE"),
}


def environment(name: str, url: str) -> dict[str, str]:
    upper = name.upper()
    keys = {f"{upper}_API_KEY": "a key", f"{upper}_TOKEN": "a key", f"{upper}_URL": url}
    return keys | {"BRAZE_GROUP": "g-1", "ITERABLE_CHANNEL": "42", "SEGMENT_SPACE": "a-space"}


class Ours:
    """A ledger with one purpose, and people by the identifier that the other system knows."""

    def __init__(self, engine: Engine, clock: FixedClock, subject: str) -> None:
        self.engine = engine
        self.subject = subject
        self.ledger = Ledger(PolicyRegister(engine))
        self.records = Records(engine, self.ledger, StoredSubjectIndex(engine), SECRETS, clock)
        purpose = Purpose(
            "newsletter", "N", "opt_in", {"default": "consent"}, ("email",), ("esp-1",)
        )
        with session_of(engine) as session:
            notice = Notice("n", "1", ("newsletter",), {"en": "May we?"})
            put_all(session, [purpose, notice], NOON, "test")

    def key(self, who: str) -> str:
        return SECRETS.subject_key(self.subject, who)

    def say(self, who: str, action: Action) -> None:
        notice = "n/1" if action == "grant" else None
        at = NOON - timedelta(days=1)
        act = Act(
            self.key(who), self.subject, "newsletter", action, at, "agent", "email", notice=notice
        )
        with session_of(self.engine) as session:
            self.ledger.record(session, act, NOON, "test")

    def acts(self, who: str) -> list[Act]:
        with session_of(self.engine) as session:
            return [event.act for event in read_events(session, [self.key(who)])]


def people(name: str) -> dict[str, str]:
    """Five people by what is on record here, with identifiers that need to be escaped."""
    at = "@example.org" if name in {"iterable", "segment"} else ""
    return {one: f"{one}/~{{}} +ü{at}" for one in ("yes", "no", "never", "other_no", "gone")}


@pytest.fixture(params=sorted(SYSTEMS))
def system(request: pytest.FixtureRequest) -> Iterator[tuple[str, Esp]]:
    with esp(SYSTEMS[request.param][0]) as running:
        yield request.param, running


def run(ours: Ours, name: str, there: Esp, audience: list[str], **fields: Any) -> Report:  # noqa: ANN401 - as reconcile
    document = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_bytes())
    document.pop("rate")
    document |= fields.pop("document", {})
    text = yaml.safe_dump(document).encode()
    connector = read_connector(text, environment(name, there.url))
    sleeps: list[float] = fields.pop("sleeps", [])
    with open_remote(connector, sleeps.append) as remote:
        return reconcile(ours.records, connector, remote, audience, by="test", **fields)


def test_each_example_repairs_drift_the_stricter_way(
    system: tuple[str, Esp], sqlite: Engine, clock: FixedClock
) -> None:
    name, there = system
    _, allowed, denied, unknown = SYSTEMS[name]
    ours = Ours(sqlite, clock, "email" if name in {"iterable", "segment"} else "user_id")
    who = people(name)
    ours.say(who["yes"], "grant")
    ours.say(who["no"], "withdraw")
    ours.say(who["other_no"], "grant")
    there.people = {
        who[one]: state
        for one, state in {
            "yes": allowed,
            "no": allowed,
            "never": allowed,
            "other_no": denied,
            "gone": unknown,
        }.items()
        if state is not None
    }
    audience = list(who.values())
    trial = run(ours, name, there, audience, dry_run=True)
    assert trial.done == {"would_withdraw_there": 2, "would_record_here": 1}
    assert there.people[who["no"]] == allowed
    assert not trial.is_clean
    report = run(ours, name, there, audience)
    assert report.faults == {}
    assert report.findings == {
        "agree": 1,
        "absent": 1,
        "denied_here_only": 1,
        "unproven_there": 1,
        "denied_there_only": 1,
    }
    assert report.done == {"withdrawn_there": 2, "recorded_here": 1}
    assert report.is_clean
    assert there.people[who["yes"]] == allowed
    assert there.people[who["no"]] == there.people[who["never"]] == denied
    assert ours.acts(who["never"]) == []
    granted, found = ours.acts(who["other_no"])
    assert (granted.action, found.action, found.at) == ("grant", "withdraw", NOON)
    assert (found.source, found.method, found.actor) == ("import", "reconciliation", name)
    assert found.evidence is not None
    assert "sha256:" in found.evidence
    again = run(ours, name, there, audience)
    assert again.done == {}
    assert again.findings == {"agree": 4, "absent": 1}
    told = json.dumps(report_document(report))
    assert not any(one in told for one in audience)
    with session_of(sqlite) as session:
        kinds = [json.loads(content)["kind"] for _, content in contents(session)]
    assert kinds.count("consent_reconciliation") == 3


@pytest.fixture
def there() -> Iterator[Esp]:
    with esp(esps.braze) as running:
        yield running


@pytest.fixture
def ours(sqlite: Engine, clock: FixedClock) -> Ours:
    return Ours(sqlite, clock, "user_id")


def test_a_yes_over_there_alone_may_be_reported_only(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Subscribed"}
    report = run(ours, "braze", there, ["a"], document={"unproven": "report"})
    assert report.done == {"reported": 1}
    assert not report.is_clean
    assert there.people == {"a": "Subscribed"}
    assert ours.acts("a") == []


def test_a_no_of_somebody_never_asked_is_kept_once(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Unsubscribed"}
    assert run(ours, "braze", there, ["a"]).done == {"recorded_here": 1}
    assert run(ours, "braze", there, ["a"]).done == {}


def test_a_no_that_candor_wrote_is_not_taken_for_the_persons(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Subscribed"}
    assert run(ours, "braze", there, ["a"]).done == {"withdrawn_there": 1}
    assert run(ours, "braze", there, ["a"]).findings == {"agree": 1}
    ours.say("a", "grant")
    later = run(ours, "braze", there, ["a"])
    assert (later.findings, later.done) == ({"denied_by_repair": 1}, {"reported": 1})
    assert [act.action for act in ours.acts("a")] == ["grant"]


def test_a_no_of_the_person_after_a_repair_is_seen(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Subscribed"}
    run(ours, "braze", there, ["a"])
    ours.say("a", "grant")
    there.people = {"a": "Subscribed"}
    assert run(ours, "braze", there, ["a"]).findings == {"agree": 1}
    there.people = {"a": "Unsubscribed"}
    assert run(ours, "braze", there, ["a"]).done == {"recorded_here": 1}


def test_a_no_that_changed_since_a_repair_is_seen_where_the_system_tells_the_time(
    sqlite: Engine, clock: FixedClock
) -> None:
    ours, times = Ours(sqlite, clock, "email"), iter(["1", "2", "2", "3"])

    def dated(kept: Esp, asked: Asked) -> Answer:
        status, told = esps.segment(kept, asked)
        if asked.method == "POST":
            told["data"]["successes"][0]["updatedAt"] = next(times)
        return status, told

    with esp(dated) as there:
        there.people = {"a": "SUBSCRIBED"}
        assert run(ours, "segment", there, ["a"]).done == {"withdrawn_there": 1}
        ours.say("a", "grant")
        assert run(ours, "segment", there, ["a"]).done == {"reported": 1}
        assert run(ours, "segment", there, ["a"]).done == {"recorded_here": 1}


def test_what_is_limited_or_away_for_a_moment_is_tried_again(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Subscribed"}
    there.faults = [429, 503]
    sleeps: list[float] = []
    report = run(ours, "braze", there, ["a"], sleeps=sleeps)
    assert report.done == {"withdrawn_there": 1}
    assert [one for one in sleeps if one >= 1] == [7, 1]


def test_one_who_cannot_be_read_keeps_nobody_else_from_it(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Paused", "b": "Subscribed"}
    report = run(ours, "braze", there, ["a", "b"])
    assert report.faults == {"The state is a value that the description does not name.": 1}
    assert report.done == {"withdrawn_there": 1}
    assert not report.is_clean
    there.faults = [500]
    assert run(ours, "braze", there, ["b"]).faults == {"It answers with status 500.": 1}
    away = run(ours, "braze", Esp("http://127.0.0.1:9"), ["b"])
    assert away.faults == {"It does not answer (ConnectError).": 1}


def refuses_to_write(kept: Esp, asked: Asked) -> Answer:
    if asked.path[-1] == "set":
        return kept.people["status"], None
    return esps.braze(kept, asked)


@pytest.mark.parametrize(
    ("status", "done", "faults"),
    [(400, {}, {"It answers with status 400.": 1}), (201, {"unconfirmed": 1}, {})],
)
def test_a_withdrawal_counts_when_it_was_read_back(
    ours: Ours, status: int, done: dict[str, int], faults: dict[str, int]
) -> None:
    with esp(refuses_to_write) as there:
        there.people = {"a": "Subscribed", "status": status}
        report = run(ours, "braze", there, ["a"])
    assert (report.done, report.faults) == (done, faults)
    assert not report.is_clean


def unreadable_after_writing(kept: Esp, asked: Asked) -> Answer:
    if any(one.path[-1] == "set" for one in kept.asked[:-1]):
        return 500, None
    return esps.braze(kept, asked)


def test_a_withdrawal_that_cannot_be_read_back_is_unconfirmed(ours: Ours) -> None:
    with esp(unreadable_after_writing) as there:
        there.people = {"a": "Subscribed"}
        assert run(ours, "braze", there, ["a"]).done == {"unconfirmed": 1}


@pytest.mark.parametrize(
    ("answer", "document", "fault"),
    [
        ((200, None), {}, "something else than JSON"),
        ((200, {"list": 7}), {"state": "/list", "contains": "1"}, "no list"),
        ((200, {"list": []}), {"state": "/list/name", "states": {"x": "allows"}}, "does not name"),
    ],
)
def test_an_answer_of_another_shape_is_never_guessed(
    ours: Ours, answer: Answer, document: dict[str, Any], fault: str
) -> None:
    read = {"request": {"path": "/x"}, "state": "/s", "states": {"x": "allows"}} | document
    if "contains" in document:
        read["states"] = {"listed": "denies", "unlisted": "allows"}
    with esp(lambda _, __: answer) as there:
        report = run(ours, "braze", there, ["a"], document={"read": read})
    assert [fault in one for one in report.faults] == [True]


def test_a_description_that_would_deny_everybody_changes_nothing(ours: Ours, there: Esp) -> None:
    there.people = {"a": "Subscribed"}
    with pytest.raises(ConflictError, match="No purpose"):
        run(ours, "braze", there, ["a"], document={"purpose": "newsleter"})
    wrong = run(ours, "braze", there, ["a"], document={"recipient": "esp-2"})
    assert [("recipient_not_covered" in one) for one in wrong.faults] == [True]
    assert there.people == {"a": "Subscribed"}


def test_requests_keep_the_pace_that_is_described(ours: Ours, there: Esp) -> None:
    sleeps: list[float] = []
    rate = {"rate": {"requests": 2, "per": "1m"}}
    run(ours, "braze", there, ["a", "b", "c"], document=rate, sleeps=sleeps)
    assert len(sleeps) == 2
    assert 29 < sleeps[0] <= 30
    assert 59 < sleeps[1] <= 60


class Kept:
    def originals(self, subject_keys: Any) -> dict[str, Original]:  # noqa: ANN401 - a sequence
        return {
            key: Original("user_id", one)
            for one in ("a", "b")
            if (key := SECRETS.subject_key("user_id", one)) in subject_keys
        }


def test_everybody_whose_original_is_kept_can_be_compared(ours: Ours, there: Esp) -> None:
    for who in ("a", "b", "erased"):
        ours.say(who, "withdraw")
    there.people = {"a": "Subscribed", "b": "Unsubscribed"}
    text = (EXAMPLES / "braze.yaml").read_bytes()
    connector = read_connector(text, environment("braze", there.url))
    found = list(kept_identifiers(ours.engine, Kept(), connector))
    assert sorted(found) == ["a", "b"]
    assert run(ours, "braze", there, found).done == {"withdrawn_there": 1}


BRAZE = yaml.safe_load((EXAMPLES / "braze.yaml").read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"base": "ftp://x"},
        {"rate": {"requests": 0}},
        {"headers": {"x": "{{subject}}"}},
        {"headers": {"x": "{{nobody}}"}},
        {"write": {"request": {"path": "/{{nobody}}"}}},
        {"read": BRAZE["read"] | {"states": {"x": "maybe"}}},
        {"read": BRAZE["read"] | {"contains": "x"}},
        {"read": BRAZE["read"] | {"state": "status"}},
        {"variables": {"key": {"env": "NOT_SET"}, "group": "g"}},
        {"secret": "x"},
    ],
)
def test_a_description_that_means_nothing_is_refused(change: dict[str, Any]) -> None:
    text = yaml.safe_dump(BRAZE | change).encode()
    with pytest.raises(InvalidInputError):
        read_connector(text, environment("braze", "http://127.0.0.1:9"))


def test_what_is_no_yaml_is_refused() -> None:
    with pytest.raises(MalformedError):
        read_connector(b"a: [", {})


RUNNER = CliRunner()


def command(*arguments: str, code: int) -> str:
    done = RUNNER.invoke(app, ["consent", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


def test_the_command_compares_an_audience(
    there: Esp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment("braze", there.url).items():
        monkeypatch.setenv(name, value)
    policy = {
        "purposes": {
            "newsletter": {
                "name": "N",
                "mechanism": "opt_in",
                "legal_basis": {"default": "consent"},
                "channels": ["email"],
                "recipients": ["esp-1"],
            }
        }
    }
    (tmp_path / "policy.yaml").write_text(json.dumps(policy), encoding="utf-8")
    lines = ['{"type": "user_id", "value": "a"}', "", '{"type": "user_id", "value": "b"}']
    (tmp_path / "people").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "wrong").write_text('{"type": "email", "value": "a"}', encoding="utf-8")
    there.people = {"a": "Subscribed", "b": "Unsubscribed"}
    asked = ("reconcile", str(EXAMPLES / "braze.yaml"), "--audience", "people")
    command(*asked, code=1)
    command("apply", "policy.yaml", code=0)
    shown = command(*asked, "--dry-run", code=1)
    assert "braze: 2 persons compared" in shown
    assert "never_asked here, Subscribed there, would_withdraw_there" in shown
    done = json.loads(command(*asked, "--json", code=0))
    assert done["done"] == {"withdrawn_there": 1, "recorded_here": 1}
    assert there.people["a"] == "Unsubscribed"
    command("reconcile", str(EXAMPLES / "braze.yaml"), "--audience", "wrong", code=2)
    command("reconcile", str(EXAMPLES / "braze.yaml"), "--audience", "absent", code=2)
    command("reconcile", "absent.yaml", "--audience", "people", code=2)
