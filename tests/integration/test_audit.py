"""The audit log on real stores: appended to, proved, signed, and checked after tampering."""

import json
import os
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from candor.kernel.database import session_of
from privacy.audit import store
from privacy.audit.head import public_key
from privacy.audit.log import faults, prove_inclusion, sign_head
from privacy.audit.schemas import inclusion_document
from privacy.audit.store import Entry
from tests.support import preloaded
from tests.support.asgi import Application
from tests.support.stores import NOON, SECRETS, FixedClock

SEED = SECRETS.audit_seed


def write(engine: Engine, *names: str) -> list[int]:
    entries = [Entry("test", NOON, {"name": name}) for name in names]
    with session_of(engine) as session:
        return store.append(session, entries)


def signed(engine: Engine) -> None:
    with session_of(engine) as session:
        sign_head(session, SEED, FixedClock())


def found(engine: Engine) -> list[str]:
    with session_of(engine) as session:
        return faults(session, SEED)


def test_entries_stand_in_the_order_of_their_commits_without_a_gap(state: Engine) -> None:
    assert write(state, "a", "b", "c") == [0, 1, 2]
    with session_of(state) as session:
        assert store.append(session, []) == []
        assert store.append(session, [Entry("test", NOON, {})]) == [3]
        session.rollback()
    assert write(state, "d") == [3]
    with session_of(state) as session:
        names = [json.loads(content).get("name") for _, content in store.contents(session)]
    assert names == ["a", "b", "c", "d"]
    signed(state)
    assert found(state) == []


def test_many_that_append_at_once_make_one_log(state: Engine) -> None:
    begin = threading.Barrier(4)

    def append(writer: int) -> None:
        begin.wait()
        for number in range(10):
            write(state, f"{writer}-{number}", f"{writer}-{number}-again")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    with session_of(state) as session:
        assert store.size_of(session) == 80
        assert [index for index, _ in store.contents(session)] == list(range(80))
    signed(state)
    assert found(state) == []


TAMPERING = {
    "changed": 'UPDATE audit_leaves SET content = \'{"kind":"x"}\' WHERE "index" = 2',
    "removed": 'DELETE FROM audit_leaves WHERE "index" = 1',
    "removed at the end": 'DELETE FROM audit_leaves WHERE "index" = 4',
    "exchanged": 'UPDATE audit_leaves SET "index" = 1 - "index" WHERE "index" IN (0, 1)',
    "added": "INSERT INTO audit_leaves VALUES (5, '{}')",
    "signed by another": "UPDATE audit_heads SET signature = zeroblob(64)",
}


@pytest.mark.parametrize("statement", list(TAMPERING.values()), ids=list(TAMPERING))
def test_whatever_is_done_to_the_log_behind_its_back_shows(sqlite: Engine, statement: str) -> None:
    write(sqlite, "a", "b", "c", "d", "e")
    signed(sqlite)
    assert found(sqlite) == []
    with sqlite.begin() as connection:
        if "1 -" in statement:  # a primary key is checked row by row
            connection.execute(text('UPDATE audit_leaves SET "index" = 9 WHERE "index" = 0'))
            connection.execute(text('UPDATE audit_leaves SET "index" = 0 WHERE "index" = 1'))
            connection.execute(text('UPDATE audit_leaves SET "index" = 1 WHERE "index" = 9'))
        else:
            connection.execute(text(statement))
    assert found(sqlite)


def test_the_api_gives_head_entries_and_proofs(application: Application) -> None:
    write(application.services.engine, "a", "b", "c")
    head = application.get("/api/v1/audit/head").json()
    assert (head["tree_size"], len(head["root_hash"])) == (3, 64)
    assert application.get("/api/v1/audit/head").json() == head
    leaf = application.get("/api/v1/audit/leaves/1").json()
    assert leaf["entry"]["name"] == "b"
    proof = application.get("/api/v1/audit/inclusion?index=1").json()
    assert (proof["leaf_hash"], proof["head"]) == (leaf["leaf_hash"], head)
    write(application.services.engine, "d")
    grown = application.get("/api/v1/audit/consistency?first=3&second=4").json()
    assert len(grown["proof"]) == 3
    later = application.get("/api/v1/audit/inclusion?index=3").json()
    assert (later["tree_size"], later["head"]) == (4, None)
    for wrong, status in (
        ("leaves/4", 404),
        ("inclusion?index=4", 404),
        ("inclusion?index=2&tree_size=2", 422),
        ("consistency?first=3&second=5", 422),
    ):
        assert application.get(f"/api/v1/audit/{wrong}").status_code == status


def test_what_a_person_decides_about_links_is_in_the_log_by_pseudonym(
    application: Application,
) -> None:
    body = {
        "subjects": [
            {"type": "email", "value": "anna.secret@example.org"},
            {"type": "user_id", "value": "secret-4711"},
        ]
    }
    assert application.post("/api/v1/subjects/link", json=body).status_code == 200
    leaf = application.get("/api/v1/audit/leaves/0").json()
    assert leaf["entry"]["kind"] == "subject.link"
    assert "secret" not in leaf["content"]


def candor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(["audit", *arguments], folder, os.environ)


def proof_of(engine: Engine) -> dict[str, Any]:
    write(engine, "a", "b", "c")
    signed(engine)
    with session_of(engine) as session:
        return inclusion_document(prove_inclusion(session, 1))


def test_a_proof_is_checked_offline_with_the_public_key_alone(
    tmp_path: Path, sqlite: Engine
) -> None:
    document = proof_of(sqlite)
    key = public_key(SEED).hex()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    file = folder / "proof.json"
    file.write_text(json.dumps(document))
    assert candor(folder, "verify", "proof.json", "--public-key", key).returncode == 0
    other = candor(folder, "verify", "proof.json", "--public-key", "0" * 64)
    assert (other.returncode, "another key" in other.stdout) == (1, True)
    file.write_text(json.dumps(document | {"content": document["content"].replace("b", "x")}))
    changed = candor(folder, "verify", "proof.json", "--public-key", key)
    assert (changed.returncode, "not in the log" in changed.stdout) == (1, True)
    file.write_text(json.dumps(document["head"]))
    assert candor(folder, "verify", "proof.json", "--public-key", key).returncode == 0
    file.write_text(json.dumps(document | {"tree_size": 2}))
    assert candor(folder, "verify", "proof.json", "--public-key", key).returncode == 1
    file.write_text(json.dumps({"unlike": "any"}))
    assert candor(folder, "verify", "proof.json", "--public-key", key).returncode != 0
    for wrong in (("verify", "absent.json"), ("verify", "proof.json", "--public-key", "12")):
        assert candor(folder, *wrong).returncode == 2


def test_the_command_shows_head_and_key_and_checks_the_whole_log(tmp_path: Path) -> None:
    preloaded.run(["keys", "list"], tmp_path, os.environ).check_returncode()
    head = json.loads(candor(tmp_path, "head", "--json").stdout)
    assert head["tree_size"] == 0
    key = json.loads(candor(tmp_path, "key", "--json").stdout)
    assert candor(tmp_path, "key").stdout.strip() == key["public_key"]
    assert key["key_id"] == head["key_id"]
    whole = candor(tmp_path, "verify")
    assert (whole.returncode, "It holds." in whole.stderr) == (0, True)
    (tmp_path / "head.json").write_text(json.dumps(head))
    assert candor(tmp_path, "verify", "head.json").returncode == 0
    assert "tree_size" in candor(tmp_path, "head").stdout
