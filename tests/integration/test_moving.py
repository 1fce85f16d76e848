"""A ledger moves from SQLite to PostgreSQL through the command line, and decides as before."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from candor.cli import app
from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine, session_of
from candor.kernel.ports import Identifier, Provenance
from candor.kernel.secrets import open_secrets
from privacy.consent import store
from privacy.consent.act import Action
from privacy.consent.decision import Question, decide
from privacy.consent.ledger import Ledger, rebuilt_standings
from privacy.consent.reading import open_reader
from privacy.consent.register import PolicyRegister
from privacy.subjects.index import StoredSubjectIndex
from tests.support.asgi import Application
from tests.support.consent import ANNA, MARKETING, NEWSLETTER
from tests.support.stores import NOON, postgresql_engine

RUNNER = CliRunner()
AT = "2026-01-02T00:00:00Z"
STATE, KEY_FILE = Path(".candor/state.db"), Path(".candor/master.key")
ANALYTICS = {
    "name": "Analytics",
    "mechanism": "opt_out",
    "legal_basis": {"default": "legitimate_interests"},
}
WIDER = dict(MARKETING) | {"channels": ["email"], "recipients": ["esp-1", "esp-2"]}
PEOPLE = [
    *(
        "email:anna@example.org",
        "email:ben@example.org",
        "phone:+31205550100",
        "email:c@example.org",
    ),
    *("email:dora@example.org", "user_id:emil", "email:emil@example.org", "user_id:fritz"),
    *("email:fritz@example.org", "email:hans@example.org", "email:nobody@example.org"),
]
QUESTIONS = [
    Question(purpose, channel, recipient=recipient)
    for purpose, channel, recipient in product(
        ("marketing", "analytics"), ("", "email", "sms"), (None, "esp-1", "esp-2")
    )
]


def run(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, ["consent", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


def told(*arguments: str, code: int = 0) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(run(*arguments, "--json", code=code))


def apply(**document: Any) -> None:  # noqa: ANN401 - purposes and notices
    Path("policy.yaml").write_text(json.dumps(document), encoding="utf-8")
    run("apply", "policy.yaml")


def key_of(person: str) -> tuple[str, str]:
    kind, _, value = person.partition(":")
    return kind, open_secrets(KEY_FILE, may_create=False).subject_key(kind, value)


def decisions(engine: Engine) -> dict[tuple[str, Question], Any]:
    """Return everything that is decided but for the ids of acts, which are made anew."""
    reader, policies = open_reader(engine), PolicyRegister(engine)
    found = {}
    try:
        for person, question in product(PEOPLE, QUESTIONS):
            kind, key = key_of(person)
            snapshot = reader.read([key])
            policy = policies.policy(snapshot.policy_turn)
            decision = decide(policy, snapshot.of(key).values(), question, NOON)
            act = decision.evidence
            evidence = None if act is None else (act.action, act.at, act.starts, act.notice)
            found[person, question] = (decision.reason, decision.obligations, evidence, kind)
    finally:
        reader.close()
    return found


def acts(engine: Engine) -> list[Any]:
    """Return every act with its provenance, in order."""
    with session_of(engine) as session:
        events = list(store.all_events(session))
        assert rebuilt_standings(session) == store.all_standings(session)
    return [(one.act, one.starts_at, one.notice_digest) for one in events]


def lasting(file: str) -> list[Any]:
    """Return the acts and policies of a file, without what every import makes anew."""
    lines = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    acts = [one for one in lines if "kind" not in one]
    anew = {"id", "recorded_at", "recorded_by"}
    told = [{name: one[name] for name in one.keys() - anew} for one in acts]
    policies = [one for one in lines if one.get("kind") == "policy"]
    return told + [(one["purposes"], one["notices"]) for one in policies]


def live(engine: Engine) -> None:
    """Have a small history: people, a purpose that is widened, links, and what was decided."""
    apply(
        purposes={"marketing": dict(MARKETING), "analytics": ANALYTICS},
        notices={"newsletter/1": dict(NEWSLETTER)},
    )
    yes = ["--notice", "newsletter/1", "--locale", "en", "--source", "preference_centre"]
    for person in PEOPLE[:9]:
        run("record", person, "marketing", "grant", "--at", AT, *yes, "--jurisdiction", "AU")
    run("record", PEOPLE[2], "marketing", "grant", "--channel", "sms", "--at", AT, *yes)
    run("record", PEOPLE[0], "marketing", "withdraw", "--evidence", "call 1", "--actor", "staff-1")
    apply(purposes={"marketing": WIDER})
    run("record", PEOPLE[3], "*", "object", "--method", "spoken")
    run("record", PEOPLE[6], "marketing", "withdraw", "--channel", "email")
    run("record", PEOPLE[8], "marketing", "refuse")
    later = dict(NEWSLETTER) | {"recipients": ["esp-2"], "effective_from": "2026-03-01T00:00:00Z"}
    apply(notices={"newsletter/2": later})
    run("record", PEOPLE[9], "marketing", "grant", "--at", AT, "--notice", "newsletter/2")
    index, now = StoredSubjectIndex(engine), utc_now()
    telemetry = Provenance("web-shop", "segment", "identify", now, now)
    for one, other in ((5, 6), (7, 8), (0, 1)):
        index.link(
            [Identifier(*key_of(PEOPLE[one])), Identifier(*key_of(PEOPLE[other]))], telemetry
        )
    desk = replace(telemetry, source="desk", decided=True)
    index.unlink(Identifier(*key_of(PEOPLE[7])), desk)
    index.unlink(Identifier(*key_of(PEOPLE[0])), desk, Identifier(*key_of(PEOPLE[1])))
    bars: list[tuple[int, Action]] = [
        *((4, "suppress"), (1, "restrict"), (1, "lift"), (9, "restrict")),
    ]
    for number, action in bars:
        kind, key = key_of(PEOPLE[number])
        with session_of(engine) as session:
            ledger = Ledger(PolicyRegister(engine))
            ledger.bar(session, {key: kind}, action, "case 1", now, "desk")


@pytest.fixture
def old() -> Iterator[Engine]:
    apply()
    engine = open_engine(f"sqlite:///{STATE}")
    try:
        live(engine)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def new(postgresql_dsn: str, monkeypatch: pytest.MonkeyPatch, old: Engine) -> Iterator[Engine]:
    """An empty installation with the same master key; from now on commands are of this one."""
    del old
    run("export", "--whole", "whole.ndjson")
    run("export", "acts.ndjson")
    with postgresql_engine(postgresql_dsn) as engine:
        monkeypatch.setenv("CANDOR_STATE_DSN", engine.url.render_as_string(hide_password=False))
        yield engine


def test_a_whole_ledger_decides_elsewhere_as_before_and_a_second_import_adds_nothing(
    old: Engine, new: Engine
) -> None:
    expected = decisions(old)
    reasons = {reason for reason, *_ in expected.values()}
    assert reasons == {
        *("granted", "withdrawn", "refused", "objection", "suppressed", "restricted"),
        *("stale_notice", "never_asked", "opt_out_default", "channel_opt_out"),
        "recipient_not_covered",
    }
    first = told("import", "whole.ndjson")
    assert (first["recorded"], first["policies"], first["links"]) == (len(acts(old)), 5, 3)
    assert decisions(new) == expected
    assert acts(new) == acts(old)
    for index in (StoredSubjectIndex(old), StoredSubjectIndex(new)):
        persons = [index.linked(key) for _, key in map(key_of, PEOPLE)]
        assert [len(one) for one in persons] == [1, 1, 1, 1, 1, 2, 2, 1, 1, 1, 1]
        again = Provenance("web-shop", "segment", "identify", utc_now(), utc_now())
        index.link([Identifier(*key_of(PEOPLE[7])), Identifier(*key_of(PEOPLE[8]))], again)
        assert len(index.linked(key_of(PEOPLE[7])[1])) == 1, "what was taken apart stays so"
    run("export", "--whole", "back.ndjson")
    assert lasting("back.ndjson") == lasting("whole.ndjson")
    before = acts(new)
    second = told("import", "whole.ndjson")
    assert (second["recorded"], second["policies"], second["links"]) == (0, 0, 0)
    assert (second["repeated"], second["refused"]) == (len(before), [])
    assert acts(new) == before
    assert decisions(new) == expected
    assert RUNNER.invoke(app, ["audit", "verify"]).exit_code == 0


def test_an_interrupted_import_goes_on_where_it_was(old: Engine, new: Engine) -> None:
    lines = Path("whole.ndjson").read_text(encoding="utf-8").splitlines()
    cut = lines[: len(lines) // 2]
    cut.append(json.dumps({"kind": "end", "lines": len(cut) + 1}))
    Path("cut.ndjson").write_text("\n".join(cut), encoding="utf-8")
    assert 0 < told("import", "cut.ndjson")["recorded"] < len(acts(old))
    told("import", "whole.ndjson")
    assert decisions(new) == decisions(old)
    assert acts(new) == acts(old)


def test_acts_alone_are_taken_where_the_notice_is_the_same(old: Engine, new: Engine) -> None:
    refused = told("import", "acts.ndjson", "--dry-run", code=1)["refused"]
    assert {one["path"] for one in refused} == {"purpose"}
    other = dict(NEWSLETTER) | {"texts": {"en": "Something else."}}
    policy = {"purposes": {"marketing": dict(MARKETING), "analytics": ANALYTICS}}
    later = {"newsletter/2": dict(NEWSLETTER) | {"effective_from": "2026-03-02T00:00:00Z"}}
    apply(**policy, notices={"newsletter/1": other} | later)
    refused = told("import", "acts.ndjson", "--dry-run", code=1)["refused"]
    assert len(refused) == 11, "every yes: of the text, and of the beginning"
    assert all("has another text or beginning" in one["message"] for one in refused)
    right = {"newsletter/2": dict(NEWSLETTER) | {"effective_from": "2026-03-01T00:00:00Z"}}
    apply(notices={"newsletter/1": dict(NEWSLETTER)} | right)
    assert told("import", "acts.ndjson")["recorded"] == len(acts(old))
    assert told("import", "acts.ndjson")["recorded"] == 0
    assert acts(new) == acts(old)


def test_what_an_installation_exported_is_on_record_there_already(old: Engine) -> None:
    before = acts(old)
    run("export", "acts.ndjson")
    run("export", "--whole", "whole.ndjson")
    for file in ("acts.ndjson", "whole.ndjson"):
        again = told("import", file)
        assert (again["recorded"], again["repeated"], again["refused"]) == (0, len(before), [])
    assert acts(old) == before


def test_a_ledger_of_another_key_or_without_its_end_is_refused_whole(new: Engine) -> None:
    whole = Path("whole.ndjson").read_text(encoding="utf-8").splitlines()
    faults = {
        "another master key": [whole[0].replace('"key_id": "', '"key_id": "0'), *whole[1:]],
        "does not end where": whole[:-1],
        "Line 3 is none": [*whole[:2], "anna@example.org", *whole[3:]],
        "Line 2: It needs at least 2 entries. (at identifiers)": [
            line.replace('"identifiers": [', '"identifiers": [], "_": [') for line in whole
        ],
        "of a version": [whole[0].replace(" v1", " v9"), *whole[1:]],
    }
    for sentence, lines in faults.items():
        Path("bad.ndjson").write_text("\n".join(lines), encoding="utf-8")
        done = RUNNER.invoke(app, ["consent", "import", "bad.ndjson"])
        assert (done.exit_code, sentence in done.stderr) == (1, True), done.stderr
    apply(purposes={"analytics": ANALYTICS | {"mechanism": "opt_in"}})
    done = RUNNER.invoke(app, ["consent", "import", "whole.ndjson"])
    assert (done.exit_code, "came to stand otherwise" in done.stderr) == (1, True)
    assert acts(new) == []
    assert RUNNER.invoke(app, ["consent", "import", "whole.ndjson", "--dry-run"]).exit_code == 2
    Path("acts.ndjson").write_text(
        Path("acts.ndjson").read_text(encoding="utf-8").replace('"key_id": "', '"key_id": "0'),
        encoding="utf-8",
    )
    refused = told("import", "acts.ndjson", code=1)["refused"]
    assert {one["path"] for one in refused} == {"key_id"}


def test_an_act_that_is_none_is_named_by_its_line_and_the_others_come_over(
    old: Engine, new: Engine
) -> None:
    lines = Path("whole.ndjson").read_text(encoding="utf-8").splitlines()
    place = next(number for number, line in enumerate(lines) if '"object"' in line)
    lines[place] = lines[place].replace('"object"', '"wish"')
    Path("bad.ndjson").write_text("\n".join(lines), encoding="utf-8")
    told_of = told("import", "bad.ndjson", code=1)
    ((row, path),) = ((one["row"], one["path"]) for one in told_of["refused"])
    assert (row, path) == (place + 1, "action")
    assert told_of["recorded"] == len(acts(new)) == len(acts(old)) - 1


def test_exported_rows_are_for_who_holds_the_stores(application: Application) -> None:
    row = {"id": "x", "subject_key": "0" * 64, "subject_type": "email", "purpose": "*"}
    row |= {"action": "release", "at": AT, "source": "api"}
    answer = application.post("/api/v1/consent/events/import", content=json.dumps(row)).json()
    assert answer["recorded"] == 0
    assert answer["refused"][0]["path"] == "subject_key"
    assert "without --url" in answer["refused"][0]["message"]
    assert ANNA["value"] not in json.dumps(answer)
