"""The keys of the quarantine: one a day, shared, and gone with what they sealed."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from candor.kernel.database import session_of
from candor.kernel.errors import UnavailableError
from collector.jobs import expire_quarantine
from collector.quarantine.keys import KeyCabinet
from collector.quarantine.store import (
    list_entries,
)
from collector.quarantine.tables import DataKeyRow
from tests.support.asgi import Application
from tests.support.quarantine import QUARANTINE, event, refuse, replay, statements_of
from tests.support.stores import NOON, FixedClock


def test_when_its_time_has_come_nothing_opens_it_again(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    application.collector.flush()
    sealed = list_entries(
        application.services.telemetry, code="", since=clock.now, now=clock.now, limit=9
    )
    assert len(sealed) == 1
    clock.pass_by(timedelta(days=16))
    assert application.get(f"{QUARANTINE}/{kept}").status_code == 404
    for _ in range(2):
        expire_quarantine(application.services, application.collector.quarantine.cabinet)
    with session_of(application.services.engine) as session:
        key = session.get_one(DataKeyRow, sealed[0].key_id)
        assert (key.wrapped, key.destroyed_at) == (None, clock.now)
    rows = application.services.telemetry.query("SELECT count() AS n FROM quarantine")
    assert rows == [{"n": 0}]


def test_before_its_time_the_job_touches_nothing(
    application: Application, clock: FixedClock
) -> None:
    [kept] = refuse(application, event(1, clock.now))
    clock.pass_by(timedelta(days=13))
    expire_quarantine(application.services, application.collector.quarantine.cabinet)
    assert application.get(f"{QUARANTINE}/{kept}").json()["payload"]


def test_the_state_store_alone_opens_nothing(application: Application, clock: FixedClock) -> None:
    [kept] = refuse(application, event(1, clock.now))
    with application.services.engine.begin() as connection:
        connection.execute(text("UPDATE quarantine_keys SET wrapped = :w"), {"w": b"x" * 60})
    shown = application.get(f"{QUARANTINE}/{kept}").json()
    assert (shown["payload"], shown["payload_text"]) == (None, None)
    assert "key is destroyed" in replay(application, kept)["rejected"][0]["message"]


def test_siblings_share_the_key_of_the_day(state: Engine) -> None:
    here, there = (KeyCabinet(state, bytes(32), timedelta(days=14)) for _ in range(2))
    first, second = here.key_of_the_day(NOON), there.key_of_the_day(NOON)
    assert (first, first.secret) == (second, second.secret)
    assert first.expires_at == datetime(2026, 12, 7, tzinfo=UTC)
    assert here.key_of_the_day(NOON + timedelta(days=1)).secret != first.secret


def test_the_key_of_the_next_day_is_made_before_it_is_needed(
    application: Application, clock: FixedClock
) -> None:
    engine, cabinet = application.services.engine, application.collector.quarantine.cabinet
    asked = statements_of(engine)
    for days in range(2):
        cabinet.key_of_the_day(clock.now + timedelta(days=days))
    assert asked == []
    clock.pass_by(timedelta(days=1))
    expire_quarantine(application.services, cabinet)
    asked.clear()
    cabinet.key_of_the_day(clock.now + timedelta(days=1))
    assert asked == []


def test_a_store_that_gave_no_key_is_asked_again_after_a_second(sqlite: Engine) -> None:
    KeyCabinet(sqlite, bytes(32), timedelta(days=14)).key_of_the_day(NOON)
    asked, seconds = statements_of(sqlite), [0.0]
    other = KeyCabinet(sqlite, bytes(range(32)), timedelta(days=14), lambda: seconds[0])
    for _ in range(3):
        with pytest.raises(UnavailableError):
            other.key_of_the_day(NOON)
    once = len(asked)
    seconds[0] = 1.0
    with pytest.raises(UnavailableError):
        other.key_of_the_day(NOON)
    assert len(asked) == 2 * once
