"""How far invalid consent reached, and whether the log of decisions and the ledger agree."""

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from candor.kernel.database import session_of
from candor.kernel.ports import Identifier, Provenance
from privacy.consent.replay import decisions_again
from privacy.consent.tables import ConsentEventRow
from privacy.investigation import store
from privacy.investigation.blast_radius import Evidence, affected_persons
from privacy.investigation.doubt import Doubt
from privacy.investigation.store import Span
from tests.support.asgi import Application
from tests.support.consent import ANNA, CHECK, EVENTS, check, prepare, put_notice, record
from tests.support.stores import NOON, FixedClock

RADIUS = "/api/v1/consent/blast-radius"
SPAN = Span(NOON - timedelta(days=1), NOON + timedelta(days=1))


@pytest.fixture(autouse=True)
def _policy(application: Application) -> None:
    prepare(application)
    assert put_notice(application, "newsletter/2").status_code == 201


def passed(application: Application, **time: float) -> None:
    clock = application.services.clock
    assert isinstance(clock, FixedClock)
    clock.pass_by(timedelta(**time))


def radius(application: Application, **body: Any) -> Any:  # noqa: ANN401 - a JSON document
    answer = application.post(RADIUS, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def persons(application: Application, **body: Any) -> list[Any]:  # noqa: ANN401 - as above
    answer = application.post(f"{RADIUS}/persons", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_uses_of_an_invalid_consent_are_counted_by_what_they_were_for(
    application: Application,
) -> None:
    record(application, "grant", notice="newsletter/1")
    check(application, stage="entry")
    first = application.services.clock()
    passed(application, hours=1, microseconds=7)
    check(application, recipient="esp-1")
    last = application.services.clock()
    check(application, channel="sms")
    passed(application, hours=1)
    told = radius(application, notice="newsletter/1")
    assert told == {
        "invalid": {"notice": "newsletter/1"},
        "since": "1970-01-01T00:00:00+00:00",
        "until": application.services.clock().isoformat(),
        "consents": 1,
        "persons": 1,
        "persons_affected": 1,
        "uses": 2,
        "first_use": first.isoformat(),
        "last_use": last.isoformat(),
        "otherwise_allowed": 0,
        "otherwise": {"never_asked": 2},
        "by_purpose": {"marketing": 2},
        "by_channel": {"email": 2},
        "by_stage": {"entry": 1, "send": 1},
        "by_recipient": {"": 1, "esp-1": 1},
    }
    assert radius(application, notice="newsletter/2")["consents"] == 0
    half = radius(application, notice="newsletter/1", since=last.isoformat())
    assert half["uses"] == 1
    assert radius(application, notice="newsletter/1", until=last.isoformat())["uses"] == 1
    (one,) = persons(application, notice="newsletter/1")
    assert one["subject_key"] == application.services.secrets.subject_key(*ANNA.values())
    assert one["uses"] == 2
    assert "anna" not in json.dumps(one)


def test_a_use_that_another_consent_allowed_too_is_told_apart(application: Application) -> None:
    record(application, "grant", notice="newsletter/2", channel=None)
    record(application, "grant", notice="newsletter/1", at="2026-11-21T00:00:00Z")
    check(application)
    passed(application, seconds=1)
    told = radius(application, notice="newsletter/1")
    assert (told["uses"], told["otherwise_allowed"]) == (1, 1)
    assert told["otherwise"] == {"granted": 1}


def test_a_doubtful_yes_that_only_lifted_a_no_is_found(application: Application) -> None:
    """The evidence of the use is a valid yes, but without the doubtful one the no would stand."""
    record(application, "withdraw", at="2026-11-18T00:00:00Z")
    record(application, "grant", at="2026-11-19T00:00:00Z", source="in_store")
    valid = record(application, "grant", at="2026-11-20T00:00:00Z", channel=None).json()["id"]
    passed(application, seconds=1)
    assert check(application)["evidence"]["consent_event"] == valid
    passed(application, seconds=1)
    told = radius(application, source="in_store")
    assert (told["uses"], told["otherwise"]) == (1, {"channel_opt_out": 1})
    assert radius(application, source="preference_centre")["otherwise"] == {"granted": 1}


def test_what_was_decided_before_a_consent_does_not_rely_on_it(application: Application) -> None:
    record(application, "grant", notice="newsletter/2")
    check(application)
    passed(application, seconds=1)
    made = record(application, "grant", notice="newsletter/1", at="2026-11-19T00:00:00Z")
    check(application)
    passed(application, seconds=1)
    assert radius(application, event=made.json()["id"])["uses"] == 0
    assert radius(application, actor="test")["uses"] == 2
    past = {"as_of": "2026-11-22T12:00:00Z"}
    assert check(application, **past)["allow"]
    passed(application, seconds=1)
    assert radius(application, actor="test")["uses"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": "2026-11-20T00:00:00Z"},
        {"notice": ""},
        {"notice": "a/1", "since": "2026-11-20T00:00:00Z", "until": "2026-11-19T00:00:00Z"},
        {"notice": "a/1", "since": "1950-01-01T00:00:00Z"},
        {"notice": "a/1", "until": "9999-01-01T00:00:00Z"},
        {"person": "anna@example.org"},
    ],
)
def test_a_doubt_that_means_nothing_is_refused(application: Application, body: object) -> None:
    for path in (RADIUS, f"{RADIUS}/persons"):
        assert application.post(path, json=body).status_code == 422


def test_investigations_need_the_scope(application: Application) -> None:
    key = {"authorization": f"Bearer {application.make_key('consent:check')}"}
    for path in (RADIUS, f"{RADIUS}/persons", "/api/v1/consent/replay"):
        assert application.post(path, json={}, headers=key).status_code == 403


def subject(number: int, kind: str = "email") -> dict[str, str]:
    return {"type": kind, "value": f"customer-{number}@example.org"}


def audience(application: Application, numbers: range, **fields: str) -> None:
    rows = [
        {
            "subject": subject(number),
            "purpose": "marketing",
            "action": "grant",
            "at": "2026-11-20T08:14:00Z",
            "source": "import",
            "evidence": "batch-1",
            "notice": "newsletter/1",
        }
        | fields
        for number in numbers
    ]
    body = "\n".join(map(json.dumps, rows))
    answer = application.post(f"{EVENTS}/import", content=body)
    assert answer.json()["refused"] == []


def test_persons_come_in_pages_and_in_blocks(application: Application) -> None:
    audience(application, range(1200))
    questions = [
        {"correlation_id": str(number), "subject": subject(number), "purpose": "marketing"}
        for number in range(1200)
        for _ in range(2)
    ]
    for since in range(0, 2400, 800):
        items = [one | {"correlation_id": str(i)} for i, one in enumerate(questions)]
        assert application.post(f"{CHECK}/batch", json=items[since : since + 800]).is_success
    passed(application, seconds=1)
    told = radius(application, source="import")
    assert (told["persons"], told["persons_affected"], told["uses"]) == (1200, 1200, 2400)
    whole = persons(application, source="import")
    keys = [one["subject_key"] for one in whole]
    assert keys == sorted(set(keys))
    assert len(keys) == 1200
    first = persons(application, source="import", limit=700)
    rest = persons(application, source="import", after=first[-1]["subject_key"])
    assert first + rest == whole


def link(application: Application, one: dict[str, str], other: dict[str, str]) -> None:
    secrets, now = application.services.secrets, application.services.clock()
    pair = [Identifier(who["type"], secrets.subject_key(*who.values())) for who in (one, other)]
    provenance = Provenance("test", "api", "link", now, now, decided=True)
    application.services.subjects.link(pair, provenance)


@pytest.mark.parametrize("seed", range(6))
def test_every_use_that_relied_is_found_once(application: Application, seed: int) -> None:
    """Against a naive oracle that makes each logged decision again without the doubtful acts."""
    chance = random.Random(seed)
    link(application, subject(0), subject(0, "user_id"))
    link(application, subject(1), subject(1, "phone"))
    people = [subject(n) for n in range(4)] + [subject(0, "user_id"), subject(1, "phone")]
    for _ in range(60):
        who, minute = chance.choice(people), chance.randrange(60)
        channel = chance.choice(["email", "sms", None])
        if chance.random() < 0.5:
            check(application, subject=who, channel=channel or "email")
        else:
            action = chance.choice(["grant", "grant", "grant", "withdraw"])
            at = f"2026-11-20T08:{minute:02}:00Z"
            source = chance.choice(["in_store", "paper"])
            record(application, action, subject=who, channel=channel, at=at, source=source)
        passed(application, seconds=1)
    application.consent.log.flush()
    services, doubt = application.services, Doubt(source="in_store")
    evidence = Evidence(services.engine, application.consent.policies, services.telemetry)
    with session_of(services.engine) as session:
        expected = 0
        for page in store.decisions_of(services.telemetry, SPAN):
            again = decisions_again(session, evidence.policies, page, doubt.covers)
            for logged, (decision, without) in zip(page, again, strict=True):
                named = logged.evidence in {act.id for act in without}
                expected += logged.allow and (named or not decision.allow)
    found = list(affected_persons(evidence, doubt, SPAN))
    assert sum(tally.uses for _, tally in found) == expected
    assert expected > 0


def test_a_replay_agrees_until_the_ledger_is_changed(application: Application) -> None:
    record(application, "grant")
    check(application)
    check(application, subject={"type": "email", "value": ""})
    passed(application, seconds=1)
    told = application.post("/api/v1/consent/replay", json={}).json()
    assert (told["replayed"], told["skipped"], told["differing"]) == (1, 1, 0)
    with session_of(application.services.engine) as session:
        session.execute(update(ConsentEventRow).values(action="withdraw"))
    (one,) = application.post("/api/v1/consent/replay", json={}).json()["differences"]
    assert one["logged"] == {"allow": True, "reason": "granted", "rule": "purpose.opt_in"}
    assert (one["replay"]["allow"], one["replay"]["reason"]) == (False, "withdrawn")
    assert one["channel"] == "email"


def test_a_notice_that_there_is_not_is_refused(application: Application) -> None:
    for notice in ("newsletter/77", "newsletter", "other/1"):
        for path in (RADIUS, f"{RADIUS}/persons"):
            answer = application.post(path, json={"notice": notice})
            assert (answer.status_code, answer.json()["path"]) == (404, "notice")
