"""What people choose, on both state stores: recorded once, provable, and never half."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from candor.kernel.database import session_of
from candor.kernel.errors import ConflictError, NotFoundError
from candor.kernel.ports import NoSubjectIndex
from privacy.audit.head import key_id, public_key
from privacy.consent.choosing import Asking, Preferences
from privacy.consent.issuing import Issuer
from privacy.consent.ledger import Ledger, rebuilt_standings
from privacy.consent.link import Link
from privacy.consent.notice import Notice
from privacy.consent.preferences import Chosen, Shown
from privacy.consent.purpose import Purpose
from privacy.consent.receipt import Controller, fault_of
from privacy.consent.register import PolicyRegister, put_all, serve_notice
from privacy.consent.store import all_standings
from privacy.consent.withdrawing import withdraw_by_link
from tests.support.asgi import Application
from tests.support.preferences import Visit, link_of
from tests.support.stores import NOON, SECRETS, FixedClock

LINK = Link("ab" * 32, "email", "news", "email")
NEWS = Purpose("news", "News", "opt_in", {"default": "consent"}, ("email", "sms"))
NOTICE = Notice("news", "1", ("news",), {"en": "May we?"})
SHOWN = Shown("news/1", "en", NOTICE.digest("en"))
YES = Chosen("save", {("news", "email"): "yes"}, {("news", "email"): "open"}, {"news": SHOWN})


@pytest.fixture
def policies(state: Engine) -> PolicyRegister:
    with session_of(state) as session:
        put_all(session, [NEWS, NOTICE], NOON, "test")
    return PolicyRegister(state)


@pytest.fixture
def preferences(state: Engine, policies: PolicyRegister, clock: FixedClock) -> Preferences:
    return Preferences(state, Ledger(policies), NoSubjectIndex(), clock)


def test_a_choice_is_recorded_and_its_receipt_made_from_the_store(
    state: Engine, policies: PolicyRegister, preferences: Preferences
) -> None:
    (offer,) = preferences.show(LINK, Asking())
    assert [one.state for one in offer.lines] == ["open", "open"]
    (event,) = preferences.choose(LINK, YES, Asking()).events
    (offer,) = preferences.show(LINK, Asking())
    assert [one.state for one in offer.lines] == ["yes", "open"]
    issuer = Issuer(policies, Controller("Example Store"), SECRETS.audit_seed)
    with session_of(state) as session:
        receipt = issuer.find(session, event.id, LINK.subject_key)
        assert receipt == issuer.find(session, event.id)
        for key in ("00" * 32, ""):
            with pytest.raises(NotFoundError):
                issuer.find(session, event.id, key)
        assert rebuilt_standings(session) == all_standings(session)
    public = public_key(SECRETS.audit_seed)
    assert fault_of(receipt, public, key_id(public)) is None
    assert receipt["audit_log"]["index"] == 2


def test_an_act_from_before_receipts_has_one_without_a_place(
    state: Engine, policies: PolicyRegister, preferences: Preferences
) -> None:
    (event,) = preferences.choose(LINK, YES, Asking()).events
    with session_of(state) as session:
        session.execute(text("UPDATE consent_events SET audit_index = NULL"))
    with session_of(state) as session:
        receipt = Issuer(policies, Controller(), SECRETS.audit_seed).find(session, event.id)
    public = public_key(SECRETS.audit_seed)
    assert receipt["audit_log"] is None
    assert fault_of(receipt, public, key_id(public)) is None


def test_many_presses_at_once_record_one_act(
    state: Engine, policies: PolicyRegister, preferences: Preferences
) -> None:
    ledger = Ledger(policies)

    def press(number: int) -> int:
        if number % 2:
            return len(preferences.choose(LINK, YES, Asking()).events)
        with session_of(state) as session:
            sms = replace_channel(LINK, "sms")
            return int(withdraw_by_link(session, ledger, sms, NOON) is not None)

    with ThreadPoolExecutor(8) as threads:
        recorded = list(threads.map(press, range(16)))
    assert sum(recorded[::2]) == sum(recorded[1::2]) == 1
    assert len(preferences.history(LINK)) == 2


def replace_channel(link: Link, channel: str) -> Link:
    return Link(link.subject_key, link.subject_type, link.purpose, channel)


def test_a_notice_that_changes_before_it_is_marked_as_served_is_shown_as_it_became(
    state: Engine, policies: PolicyRegister
) -> None:
    later = ["May we write daily?", "May we write?"]

    def meddling_clock() -> datetime:
        """Be asked for the time when the policy was read, and put another text in its place."""
        if later:
            changed = replace(NOTICE, texts={"en": later.pop()})
            with session_of(state) as session:
                put_all(session, [changed], NOON, "test")
        return NOON

    preferences = Preferences(state, Ledger(policies), NoSubjectIndex(), meddling_clock)
    with pytest.raises(ConflictError):
        preferences.show(LINK, Asking())
    (offer,) = preferences.show(LINK, Asking())
    assert offer.text == "May we write?"
    with session_of(state) as session:
        notice = serve_notice(session, "news", "1")
    assert notice.texts == {"en": offer.text}


def test_when_the_store_is_away_the_page_says_so_kindly(application: Application) -> None:
    path = link_of(application)
    with session_of(application.services.engine) as session:
        session.execute(text("DROP TABLE consent_standings"))
    for answer in (
        application.get(path),
        application.post(path, data={"do": "stop"}),
    ):
        assert answer.status_code == 503
        assert "We cannot do this just now" in answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["cache-control"] == "no-store"


def test_a_page_that_is_asked_for_in_no_known_language_is_in_english(
    application: Application,
) -> None:
    visit = Visit(application, link_of(application), **{"accept-language": "xx"})
    assert visit.look().lang == "en"
    application.services.clock.pass_by(timedelta(days=8))  # type: ignore[attr-defined]  # a FixedClock
    assert "This link has run out" in application.get(visit.path, headers=visit.headers).text
