"""The batch and the filter of consent, and what is answered when state or log are away."""

import asyncio
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from candor.kernel.decision_ports import NoDecisionLog
from candor.kernel.errors import UnavailableError
from candor.kernel.overflow import Overflow
from candor.kernel.ports import EVERYONE, NoSubjectIndex, OpenGate
from candor.kernel.telemetry_store import TelemetryStore
from candor.wiring import Installation
from collector.assembly import open_collector
from privacy.consent.assembly import open_consent
from privacy.consent.reading import PostgresqlReader, open_reader
from privacy.vault.assembly import open_desk
from tests.support.asgi import Application, pii_on
from tests.support.consent import ANNA, CHECK, check, prepare, put_purpose, record
from tests.support.stores import FixedClock, postgresql_engine, services_on

BATCH = f"{CHECK}/batch"
FILTER = "/api/v1/consent/filter"
LINES = {"content-type": "application/x-ndjson"}


def item(name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "correlation_id": name,
        "subject": ANNA,
        "purpose": "marketing",
        "channel": "email",
    } | fields


def test_a_batch_answers_a_map_and_one_bad_item_decides_no_other(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    items = [
        item("a"),
        item("b", channel="sms"),
        item("c", purpose="jane@example.org"),
        item("d", subject={"type": "email", "value": ""}),
        item("e", stage="later"),
        item("f", subject={"type": "E-Mail", "value": "x"}),
    ]
    answer = application.post(BATCH, json={"items": items})
    told = answer.json()
    assert answer.status_code == 200
    assert {name: one["reason"] for name, one in told.items()} == {
        "a": "granted",
        "b": "never_asked",
        "c": None,
        "d": "subject_unresolved",
        "e": None,
        "f": None,
    }
    assert [name for name, one in told.items() if one["allow"]] == ["a"]
    assert (told["c"]["path"], told["f"]["path"]) == ("purpose", "subject.type")
    assert "jane" not in answer.text
    whole = application.post(BATCH, json=items[:2]).json()
    assert [one["reason"] for one in whole.values()] == ["granted", "never_asked"]
    assert whole["a"]["decision_id"] != told["a"]["decision_id"]
    assert application.post(BATCH, json=[]).json() == {}


@pytest.mark.parametrize(
    ("items", "status"),
    [
        ([item("a"), item("a")], 400),
        ([item("a"), item("")], 400),
        ([item("a"), {"purpose": "marketing"}], 400),
        ([item("a"), 7], 400),
        ([item("a b")], 400),
        ("checks", 400),
        ({"a": [], "b": []}, 400),
        ([item(str(number)) for number in range(1001)], 413),
    ],
)
def test_a_batch_without_a_correlation_id_each_is_refused_whole(
    application: Application,
    items: Any,  # noqa: ANN401 - any JSON value
    status: int,
) -> None:
    assert application.post(BATCH, json=items).status_code == status


def test_a_signal_on_a_batch_counts_for_all_of_it(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    told = application.post(BATCH, json=[item("a")], headers={"sec-gpc": "1"}).json()
    assert told["a"]["reason"] == "gpc"


def test_a_filter_answers_line_by_line_in_order(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    people = [{"type": "email", "value": f"p{number}@example.org"} for number in range(2500)]
    people[1777] = ANNA
    lines = [json.dumps(one) for one in people]
    lines[5] = json.dumps({"subject": people[5]})
    lines[6] = "no json"
    lines[7] = json.dumps({"type": "email", "value": " "})
    body = "\n".join([*lines, "", ""]).encode()
    params = {"purpose": "marketing", "channel": "email", "stage": "send"}
    answer = application.post(FILTER, params=params, content=body, headers=LINES)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.status_code == 200
    assert len(told) == 2500
    assert [number for number, one in enumerate(told) if one["allow"]] == [1777]
    assert told[1777]["subject"] == ANNA
    assert told[5]["subject"] == {"subject": people[5]}
    assert (told[6]["reason"], told[6]["line"]) == ("subject_unresolved", 7)
    assert told[7]["reason"] == "subject_unresolved"
    logged = application.get(f"/api/v1/decisions/{told[1777]['decision_id']}").json()
    assert (logged["allow"], logged["agrees"]) == (True, True)
    packed = LINES | {"content-encoding": "gzip"}
    zipped = gzip.compress(body)
    again = application.post(FILTER, params=params, content=zipped, headers=packed)
    assert len(again.text.splitlines()) == 2500


@pytest.mark.parametrize(
    ("params", "headers", "status"),
    [
        ({}, LINES, 422),
        ({"purpose": "marketing", "stage": "later"}, LINES, 422),
        ({"purpose": "marketing"}, {"content-type": "text/csv"}, 415),
        ({"purpose": "marketing", "chanel": "sms"}, LINES, 422),
        ({"purpose": "marketing", "channel": ["sms", "email"]}, LINES, 422),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused_before_it_is_read(
    application: Application, params: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    answer = application.post(FILTER, params=params, content=b"", headers=headers)
    assert answer.status_code == status


def test_a_filter_counts_the_strictest_of_several_jurisdictions(application: Application) -> None:
    put_purpose(application, legal_basis={"AU": "contract", "DE": "consent"})
    for places, reason in ((["AU", ""], "legal_basis"), (["AU", "DE"], "never_asked")):
        params: dict[str, Any] = {"purpose": "marketing", "jurisdiction": places, "channel": ""}
        assert application.post(FILTER, params=params, json=ANNA).json()["reason"] == reason


@pytest.mark.parametrize(
    ("fields", "path", "sentence"),
    [
        ({"stage": "later"}, "stage", "It is one of 'entry' or 'send'."),
        ({"as_of": "2026-11-20"}, "as_of", "Write an instant as RFC 3339 with its zone, such as"),
        ({"as_of": "2999-01-01T00:00:00Z"}, "as_of", "A past decision lies in the past: name"),
        ({"purpose": "News Letter"}, "purpose", "Write the key of a purpose: lower-case letters"),
        ({"purpose": 1}, "purpose", "Write a text."),
        ({"channel": "by mail"}, "channel", "Write one word of letters, digits,"),
        ({"jurisdiction": "Down Under"}, "jurisdiction", "Write a country, or a part of one"),
        ({"gpc": "yes"}, "gpc", "Write true or false."),
        ({"chanel": "email"}, "chanel", "There is no such field. Is it misspelt?"),
        ({"anna@example.org": 1}, "?", "There is no such field. Is it misspelt?"),
        ({"subject": {"type": "email"}}, "subject.value", "It is needed: add it."),
        ({"subject": "anna"}, "subject", "Write a mapping of names to values."),
        ({"subject": {"type": "E-Mail", "value": "a"}}, "subject.type", "Write one lower-case"),
        ({"subject": ANNA | {"value": "a" * 321}}, "subject.value", "It is too long."),
    ],
)
def test_a_check_that_cannot_be_meant_says_what_to_write_where(
    application: Application, fields: dict[str, Any], path: str, sentence: str
) -> None:
    asked = {"subject": ANNA, "purpose": "marketing"} | fields
    answer = application.post("/api/v1/consent/check", json=asked)
    told = answer.json()
    assert (answer.status_code, told["path"]) == (422, path)
    assert told["detail"].startswith(sentence)
    assert "anna" not in answer.text


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_filter_whose_body_cannot_be_unpacked_breaks_off(
    application: Application, encoding: str
) -> None:
    headers = LINES | {"content-encoding": encoding}
    for content in (b"no gzip", gzip.compress(b"x" * 99)[:-9]):
        with pytest.raises(Exception, match=r"compressed|Encoding"):
            application.post(
                FILTER, params={"purpose": "marketing"}, content=content, headers=headers
            )


def test_a_filter_does_not_wait_for_a_client_that_reads_late(application: Application) -> None:
    """The whole request is sent before the first byte of the answer is taken."""
    prepare(application)
    line = json.dumps({"type": "email", "value": "p@example.org"}) + "\n"
    chunks = [line.encode() * 1000] * 20
    sent, told = 0, bytearray()
    is_sent = asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal sent
        sent += 1
        if sent == len(chunks):
            is_sent.set()
        return {"type": "http.request", "body": chunks[sent - 1], "more_body": sent < len(chunks)}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            await is_sent.wait()
        told.extend(message.get("body", b""))

    scope = {
        "type": "http",
        "method": "POST",
        "path": FILTER,
        "query_string": b"purpose=marketing",
        "headers": [
            (b"content-type", b"application/x-ndjson"),
            (b"authorization", f"Bearer {application.key}".encode()),
        ],
    }
    asyncio.run(asyncio.wait_for(application.asgi(scope, receive, send), 60))  # type: ignore[arg-type]  # a plain ASGI server
    assert told.count(b"\n") == 20_000


def test_what_overflows_memory_comes_back_in_order_and_is_unreadable_on_the_disk(
    tmp_path: Path,
) -> None:
    dice = random.Random(7)
    with Overflow(tmp_path, memory_bytes=1000) as pipe:
        written, read = bytearray(), bytearray()
        for _ in range(300):
            piece = dice.randbytes(dice.randrange(400))
            pipe.write(piece)
            written += piece
            if dice.random() < 0.4:
                read += pipe.read()
        assert pipe._file is not None
        pipe._file.seek(0)
        assert bytes(written[2000:2100]) not in pipe._file.read()
        while not pipe.is_empty:
            read += pipe.read()
        assert read == written
        assert pipe.read() == b""


def test_without_a_log_every_answer_is_a_denial(
    tmp_path: Path, sqlite: Engine, embedded_telemetry: TelemetryStore, clock: FixedClock
) -> None:
    services = services_on(tmp_path, sqlite, embedded_telemetry, clock)
    log = NoDecisionLog()
    with (
        open_collector(services) as collector,
        open_consent(services, log) as consent,
        pii_on(services) as pii,
    ):
        application = Application(
            Installation(services, collector, consent, open_desk(services), pii)
        )
        application.key = application.make_key("admin")
        prepare(application)
        record(application, "grant")
        answer = application.post(CHECK, json={"subject": ANNA, "purpose": "marketing"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (answer.json()["allow"], answer.json()["reason"]) == (False, "state_unavailable")
        told = application.post(BATCH, json=[item("a")])
        assert (told.status_code, told.json()["a"]["allow"]) == (503, False)
        with pytest.raises(UnavailableError):
            application.post(
                FILTER, params={"purpose": "m"}, content=json.dumps(ANNA), headers=LINES
            )
        log.flush()


def test_without_the_state_store_every_answer_is_a_denial(application: Application) -> None:
    prepare(application)
    record(application, "grant")
    assert check(application)["allow"] is True
    with application.services.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_standings")
    answer = application.post(CHECK, json={"subject": ANNA, "purpose": "marketing"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "state_unavailable")


def test_a_postgresql_that_is_away_is_an_error_of_the_house(tmp_path: Path) -> None:
    engine = create_engine(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    reader = open_reader(engine)
    assert isinstance(reader, PostgresqlReader)
    with pytest.raises(UnavailableError, match="cannot be read"):
        reader.read(["key"])

    async def ask() -> None:
        with pytest.raises(UnavailableError, match="cannot be read"):
            await reader.read_soon(["key"])

    asyncio.run(ask())
    reader.close()
    engine.dispose()


def test_a_postgresql_that_closed_the_connection_is_asked_once_more(postgresql_dsn: str) -> None:
    with postgresql_engine(postgresql_dsn) as engine:
        asyncio.run(outlive_connections(engine))


async def outlive_connections(state: Engine) -> None:
    reader = open_reader(state)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    kill += " AND datname = current_database()"

    before = await reader.read_soon(["a"])
    reader.read(["a"])
    with state.connect() as connection:
        connection.exec_driver_sql(kill)
    assert (await reader.read_soon(["a", "b"])).turn == before.turn
    assert reader.read(["a"]).turn == before.turn
    both = await asyncio.gather(*(reader.read_soon([str(number)]) for number in range(50)))
    assert {one.turn for one in both} == {before.turn}
    with state.begin() as connection:
        connection.exec_driver_sql("DROP TABLE consent_standings")
    with pytest.raises(UnavailableError):
        await reader.read_soon(["a"])
    with pytest.raises(UnavailableError):
        reader.read(["a"])
    reader.close()


def test_the_null_ports_let_everybody_in_and_link_nobody() -> None:
    assert OpenGate().admit([], {}) is EVERYONE
    assert NoSubjectIndex().linked("a") == ("a",)
