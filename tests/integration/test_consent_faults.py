"""What nobody foresaw denies, and what is damaged of one person denies nobody else."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from candor.kernel.database import session_of
from candor.kernel.http import Answer, DoorRequest
from privacy.consent.doors import FILTER, GATEWAYS, doors
from tests.support.asgi import Application
from tests.support.consent import ANNA, CHECK, prepare, record

BEN = {"type": "email", "value": "ben@example.org"}
WHO = {"x-candor-subject-type": "email", "x-candor-subject": ANNA["value"]}


class Broken:
    """Fails as nobody foresaw."""

    async def check_one(self, _: object) -> object:
        raise ZeroDivisionError


def test_a_fault_that_nobody_foresaw_is_a_denial_at_a_gateway(application: Application) -> None:
    broken = replace(application.consent, checker=Broken())  # type: ignore[arg-type]  # it fails
    door = doors(application.services, broken)["*", GATEWAYS]
    headers = WHO | {"authorization": f"Bearer {application.key}"}
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{GATEWAYS}marketing/email",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    request = DoorRequest(scope, receive)

    async def ask() -> Answer:
        return await door(request)

    answer = asyncio.run(ask())
    assert (answer.status, answer.body) == (403, b"")


@pytest.mark.parametrize("packed", [b"", b"\xc1", b"\x91\x91\xa1p", b"\x81"])
def test_what_is_damaged_of_one_person_denies_them_alone(
    application: Application, packed: bytes
) -> None:
    prepare(application)
    for who in (ANNA, BEN):
        record(application, "grant", subject=who)
    key = application.services.secrets.subject_key(ANNA["type"], ANNA["value"])
    damage = text("UPDATE consent_standings SET packed = :packed WHERE subject_key = :key")
    with session_of(application.services.engine) as session:
        session.execute(damage, {"packed": packed, "key": key})
    asked = {"purpose": "marketing", "channel": "email"}
    items = [
        {"correlation_id": str(number), "subject": who} | asked
        for number, who in enumerate((ANNA, BEN))
    ]
    answer = application.post(f"{CHECK}/batch", json=items)
    assert answer.status_code == 200
    told = [answer.json()[one]["reason"] for one in ("0", "1")]
    assert told == ["state_unavailable", "granted"]
    lines = "\n".join(json.dumps(who) for who in (ANNA, BEN))
    filtered = application.post(f"{FILTER}?purpose=marketing&channel=email", content=lines)
    verdicts = [json.loads(line)["allow"] for line in filtered.text.splitlines()]
    assert verdicts == [False, True]
    alone = application.post(CHECK, json=asked | {"subject": ANNA})
    assert (alone.status_code, alone.json()["allow"]) == (503, False)
    denied = application.get(f"{GATEWAYS}marketing/email", headers=WHO)
    assert (denied.status_code, denied.headers["x-candor-reason"]) == (403, "state_unavailable")
