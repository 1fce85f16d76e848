"""The preference centre over HTTP: what it shows, what a press records, and what it refuses."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

import pytest

from candor.kernel.database import session_of
from candor.kernel.ports import Identifier, Provenance
from privacy.audit.head import key_id, public_key
from privacy.consent.receipt import fault_of
from tests.support.asgi import Application
from tests.support.consent import ANNA, check, prepare, put_notice, put_purpose, record
from tests.support.preferences import OURS, Visit, link_of
from tests.support.stores import NOON

GPC: Mapping[str, str] = {"sec-gpc": "1"}
EMAIL, SMS = "answer|marketing|email", "answer|marketing|sms"


@pytest.fixture
def visit(application: Application) -> Visit:
    prepare(application)
    put_purpose(
        application,
        "orders",
        name="Messages about an order",
        mechanism="notice_only",
        legal_basis={"default": "contract"},
    )
    return Visit(application, link_of(application))


def acts(application: Application) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = application.get("/api/v1/subjects/history", params=ANNA).json()
    return told


def later(application: Application, **time: float) -> None:
    application.services.clock.pass_by(timedelta(**time))  # type: ignore[attr-defined]  # a FixedClock


def test_nothing_is_ticked_before_somebody_answered(visit: Visit) -> None:
    page = visit.look()
    assert page.fields["before|marketing|email"] == "open"
    assert EMAIL not in page.fields
    assert "Not answered yet" in page.text
    assert "May we write to you?" in page.text
    assert "Always on" in page.text
    assert "answer|orders|email" not in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert acts(visit.application) == []


def test_a_yes_is_recorded_with_the_text_and_language_that_was_shown(visit: Visit) -> None:
    german = Visit(visit.application, visit.path, **{"accept-language": "de-DE,en;q=0.5"})
    page = german.look()
    assert page.lang == "de"
    assert "D\u00fcrfen wir Ihnen schreiben?" in page.text
    saved = german.save(page, email="yes")
    assert saved.fields[EMAIL] == "yes"
    assert "Gespeichert am 22.11.2026, 12:00 UTC" in saved.text
    (act,) = acts(visit.application)
    assert (act["action"], act["purpose"], act["channel"]) == ("grant", "marketing", "email")
    assert (act["notice"], act["locale"]) == ("newsletter/1", "de")
    assert (act["source"], act["method"]) == ("preference_centre", "save_button")
    assert act["evidence"].startswith("link:")
    assert visit.path.removeprefix("/preferences/")[:12] not in json.dumps(act)
    assert check(visit.application)["reason"] == "granted"
    assert check(visit.application, channel="sms")["reason"] == "never_asked"


def test_a_no_is_a_refusal_a_withdrawal_or_an_objection(visit: Visit) -> None:
    application = visit.application
    put_purpose(
        application,
        "surveys",
        name="Surveys",
        mechanism="opt_out",
        legal_basis={"default": "legitimate_interests"},
    )
    record(application, "grant")
    later(application, minutes=1)
    page = visit.look()
    assert page.fields["answer|surveys|email"] == "yes"
    page.fields["answer|surveys|email"] = "no"
    visit.save(page, email="no", sms="no")
    found = {(one["purpose"], one["channel"]): one["action"] for one in acts(application)[1:]}
    assert found == {
        ("marketing", "email"): "withdraw",
        ("marketing", "sms"): "refuse",
        ("surveys", "email"): "object",
    }
    reasons = [check(application, channel=one)["reason"] for one in ("email", "sms")]
    assert reasons == ["withdrawn", "refused"]
    assert check(application, purpose="surveys")["reason"] == "objection"


def test_saving_twice_records_once(visit: Visit) -> None:
    page = visit.look()
    visit.save(page, email="yes", sms="no")
    later(visit.application, minutes=1)
    again = visit.save(page, email="yes", sms="no")
    assert len(acts(visit.application)) == 2
    assert "Nothing was changed" in again.text
    unchanged = visit.save(again)
    assert "Nothing was changed" in unchanged.text
    assert len(acts(visit.application)) == 2


def test_an_old_page_brings_back_nothing_that_was_taken_back_elsewhere(visit: Visit) -> None:
    visit.save(visit.look(), email="yes")
    old = visit.look()
    later(visit.application, minutes=1)
    record(visit.application, "withdraw", source="agent")
    later(visit.application, minutes=1)
    saved = visit.save(old, sms="yes")
    assert check(visit.application)["reason"] == "withdrawn"
    assert check(visit.application, channel="sms")["reason"] == "granted"
    assert saved.fields[EMAIL] == "no"


def test_everything_stops_in_one_press_and_can_be_allowed_again_one_by_one(visit: Visit) -> None:
    record(visit.application, "grant")
    later(visit.application, minutes=1)
    stopped = visit.save(visit.look(), "stop")
    assert acts(visit.application)[-1]["purpose"] == "*"
    assert check(visit.application)["reason"] == "global_opt_out"
    assert "No, everything stopped since 22 Nov 2026" in stopped.text
    assert "Always on" in stopped.text
    later(visit.application, minutes=1)
    visit.save(visit.look(), "stop")
    assert len(acts(visit.application)) == 2
    visit.save(visit.look(), email="yes")
    assert check(visit.application)["reason"] == "granted"
    assert check(visit.application, channel="sms")["reason"] == "global_opt_out"


@pytest.mark.parametrize("bar", [("restrict", "lift"), ("suppress", "release")])
def test_a_no_is_taken_from_whoever_is_barred_and_outlasts_the_bar(
    visit: Visit, bar: tuple[Literal["restrict", "suppress"], Literal["lift", "release"]]
) -> None:
    application = visit.application
    services, ledger = application.services, application.consent.ledger
    key = services.secrets.subject_key(ANNA["type"], ANNA["value"])

    def put(action: Literal["restrict", "suppress", "lift", "release"]) -> None:
        later(application, minutes=1)
        with session_of(services.engine) as session:
            ledger.bar(session, {key: "email"}, action, "case 1", services.clock(), "test")

    record(application, "grant")
    put(bar[0])
    page = visit.look()
    assert page.fields["before|marketing|email"] == "yes"
    assert "No, your data is" in page.text
    assert (SMS, "yes") in page.disabled
    later(application, minutes=1)
    saved = visit.save(page, email="no", sms="no")
    assert [one["action"] for one in acts(application)[-2:]] == ["withdraw", "refuse"]
    assert (saved.fields[EMAIL], saved.fields[SMS]) == ("no", "no")
    assert "Nothing was changed" in visit.save(saved).text
    put(bar[1])
    reasons = [check(application, channel=one)["reason"] for one in ("email", "sms")]
    assert reasons == ["withdrawn", "refused"]


def test_everything_is_accepted_in_one_press_of_the_same_weight(visit: Visit) -> None:
    page = visit.look()
    assert page.text.count("<button name=") == 2
    visit.save(page, "accept")
    assert [one["action"] for one in acts(visit.application)] == ["grant", "grant"]
    assert check(visit.application)["allow"]
    assert check(visit.application, channel="sms")["allow"]


def test_a_text_that_changed_meanwhile_is_shown_anew_and_every_no_is_saved(visit: Visit) -> None:
    record(visit.application, "grant", channel="sms")
    later(visit.application, minutes=1)
    page = visit.look()
    changed = {"en": "May we write to you daily?"}
    assert put_notice(visit.application, "newsletter/2", texts=changed).status_code == 201
    later(visit.application, minutes=1)
    answer = visit.send(page, email="yes", sms="no")
    assert answer.status_code == 409
    assert "The text changed while you were reading" in answer.text
    assert "May we write to you daily?" in answer.text
    assert check(visit.application)["reason"] == "never_asked"
    assert check(visit.application, channel="sms")["reason"] == "withdrawn"
    visit.save(visit.look(), email="yes")
    assert acts(visit.application)[-1]["notice"] == "newsletter/2"


@pytest.mark.parametrize(
    "shown",
    [None, "newsletter/1|en", "newsletter/1|en|0", "newsletter/1|fr|0", "newsletter/9|en|0", "|||"],
)
def test_a_form_that_does_not_say_what_was_shown_gives_no_consent(
    visit: Visit, shown: str | None
) -> None:
    page = visit.look()
    del page.fields["shown|marketing"]
    if shown is not None:
        page.fields["shown|marketing"] = shown
    assert visit.send(page, email="yes").status_code == 409
    assert acts(visit.application) == []


def test_a_notice_that_was_shown_never_changes(visit: Visit) -> None:
    put_notice(visit.application, texts={"en": "May we?"})
    assert "May we?" in visit.look().text
    assert put_notice(visit.application, texts={"en": "Other"}).status_code == 409


def test_a_notice_to_come_is_not_shown_before_it_is_in_force(visit: Visit) -> None:
    put_notice(
        visit.application,
        "newsletter/2",
        texts={"en": "May we write daily?"},
        effective_from="2026-11-23T00:00:00Z",
    )
    assert "May we write to you?" in visit.look().text
    later(visit.application, days=1)
    assert "May we write daily?" in visit.look().text


def test_what_no_notice_covers_can_only_be_refused(visit: Visit) -> None:
    put_purpose(visit.application, channels=["email", "sms", "push"])
    put_purpose(visit.application, "surveys", name="Surveys")
    page = visit.look()
    assert ("answer|marketing|push", "yes") in page.disabled
    assert ("answer|marketing|push", "no") not in page.disabled
    assert ("answer|surveys|email", "yes") in page.disabled
    assert "There is no text to agree to" in page.text
    page.fields |= {"answer|surveys|email": "no"}
    visit.save(page, push="yes")
    assert [(one["purpose"], one["action"]) for one in acts(visit.application)] == [
        ("surveys", "refuse")
    ]


def test_the_signal_is_shown_and_kept_for_the_person_when_they_save(visit: Visit) -> None:
    put_purpose(visit.application, "news", name="News", honours_gpc=False)
    record(visit.application, "grant")
    later(visit.application, minutes=1)
    private = Visit(visit.application, visit.path, **GPC)
    page = private.look()
    assert "Your browser sends Global Privacy Control" in page.text
    assert "So these are off: Marketing." in page.text
    assert {(EMAIL, "yes"), (EMAIL, "no"), (SMS, "yes")} <= page.disabled
    assert ("answer|news|email", "no") not in page.disabled
    assert check(visit.application)["allow"]
    private.save(page, email="yes")
    act = acts(visit.application)[-1]
    assert (act["action"], act["source"], act["channel"]) == ("withdraw", "gpc", None)
    assert check(visit.application)["reason"] == "gpc"
    private.save(private.look())
    assert len(acts(visit.application)) == 2
    unsignalled = visit.look()
    assert "No, your browser asked for it since 22 Nov 2026" in unsignalled.text
    later(visit.application, minutes=1)
    visit.save(unsignalled, email="yes")
    assert check(visit.application)["reason"] == "granted"


def test_another_value_of_the_signal_says_nothing(visit: Visit) -> None:
    page = Visit(visit.application, visit.path, **{"sec-gpc": "true"}).look()
    assert "Global Privacy Control" not in page.text


def test_a_signal_that_no_purpose_heeds_is_shown_all_the_same(visit: Visit) -> None:
    put_purpose(visit.application, honours_gpc=False)
    page = Visit(visit.application, visit.path, **GPC).look()
    assert "No purpose here does" in page.text


def test_each_act_has_a_receipt_to_read_and_to_keep(visit: Visit) -> None:
    saved = visit.save(visit.look(), email="yes", sms="no")
    receipts = saved.receipts()
    assert len(receipts) == 2
    page = visit.look(receipts[0])
    assert "Receipt for your choice" in page.text
    assert "newsletter/1" in page.text
    file = visit.application.get(f"{receipts[0]}.json", headers=visit.headers)
    assert "attachment" in file.headers["content-disposition"]
    public = public_key(visit.application.services.secrets.audit_seed)
    assert fault_of(file.json(), public, key_id(public)) is None
    text = visit.application.get(f"{receipts[0]}.txt", headers=visit.headers)
    assert text.headers["content-type"].startswith("text/plain")
    assert public.hex() in text.text


def test_nobody_sees_the_receipts_or_acts_of_others(visit: Visit) -> None:
    application = visit.application
    other = {"type": "email", "value": "bert@example.org"}
    receipt = record(application, "grant", subject=other).json()["id"]
    answer = application.get(f"{visit.path}/receipts/{receipt}", headers=visit.headers)
    assert answer.status_code == 404
    assert visit.look(f"{visit.path}?saved={receipt}").receipts() == []
    assert application.get(f"{visit.path}/history.json", headers=visit.headers).json() == []


def test_a_linked_person_counts_and_is_not_shown(visit: Visit) -> None:
    application = visit.application
    phone = {"type": "phone", "value": "+61 400 000 000"}
    keys = [
        Identifier(one["type"], application.services.secrets.subject_key(one["type"], one["value"]))
        for one in (ANNA, phone)
    ]
    application.services.subjects.link(keys, Provenance("desk", "api", "link", NOON, NOON))
    record(application, "withdraw", subject=phone, channel=None)
    later(application, minutes=1)
    page = visit.look()
    assert "said under another address or number" in page.text
    assert page.receipts() == []
    visit.save(page, email="yes")
    assert check(application)["reason"] == "withdrawn"
    assert visit.look().fields["before|marketing|email"] == "no"


def test_a_person_takes_their_history_along(visit: Visit) -> None:
    record(visit.application, "grant", evidence="=1+1", method="=cmd|calc")
    later(visit.application, minutes=1)
    visit.save(visit.look(), email="no")
    told = visit.application.get(f"{visit.path}/history.json", headers=visit.headers)
    assert [one["action"] for one in told.json()] == ["grant", "withdraw"]
    public = public_key(visit.application.services.secrets.audit_seed)
    for one in told.json():
        assert fault_of(one["receipt"], public, key_id(public)) is None
    table = visit.application.get(f"{visit.path}/history.csv", headers=visit.headers)
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [one["action"] for one in rows] == ["grant", "withdraw"]
    assert rows[0]["method"] == "'=cmd|calc"
    assert table.headers["cache-control"] == "no-store"
    other = visit.application.get(f"{visit.path}/history.pdf", headers=visit.headers)
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": "null"}, 303),
        ({"origin": "http://candor"}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "null"}, 403),
        ({"sec-fetch-site": "none"}, 403),
    ],
)
def test_only_our_own_page_may_send_the_form(
    visit: Visit, headers: dict[str, str], status: int
) -> None:
    answer = visit.application.post(
        visit.path, data={"do": "stop"}, headers=visit.headers | headers
    )
    assert answer.status_code == status
    assert len(acts(visit.application)) == (status == 303)


@pytest.mark.parametrize("fields", [{}, {"do": "all"}])
def test_a_form_without_its_button_is_refused(visit: Visit, fields: dict[str, str]) -> None:
    body = fields | {"x": "y"}
    answer = visit.application.post(visit.path, data=body, headers=visit.headers | dict(OURS))
    assert (answer.status_code, "could not be read" in answer.text) == (400, True)


def test_fields_that_the_page_does_not_have_change_nothing(visit: Visit) -> None:
    page = visit.look()
    page.fields |= {
        "answer|orders|email": "no",
        "answer|other|email": "yes",
        "answer|marketing|post": "yes",
        "answer|marketing": "yes",
        "answer|marketing|sms": "perhaps",
        "before|marketing|sms": "perhaps",
    }
    assert "Nothing was changed" in visit.save(page).text
    assert acts(visit.application) == []


def test_nothing_keeps_the_page_or_tells_its_address(visit: Visit) -> None:
    answer = visit.application.get(visit.path, headers=visit.headers)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self';")
    assert "unsafe" not in policy
    for name, value in {
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "x-robots-tag": "noindex, nofollow",
    }.items():
        assert answer.headers[name] == value
    style = next(part for part in answer.text.split('"') if part.startswith("/assets/"))
    sheet = visit.application.get(style)
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert "immutable" in sheet.headers["cache-control"]
    assert "//" not in sheet.text
    assert len(answer.content) + len(sheet.content) < 20_000
    assert visit.application.get("/assets/other.css").status_code == 404


def test_a_picked_language_stays_through_saving(visit: Visit) -> None:
    german = Visit(visit.application, visit.path)
    page = german.look(f"{visit.path}?lang=de")
    assert page.lang == "de"
    german.path = f"{visit.path}?lang=de"
    assert german.save(page, email="yes").lang == "de"
    assert acts(visit.application)[0]["locale"] == "de"
    assert visit.look(f"{visit.path}?lang=<b>").lang == "en"


def test_the_law_of_the_person_decides_what_is_a_choice(visit: Visit) -> None:
    application = visit.application
    put_purpose(
        application, "orders", name="Orders", legal_basis={"AU": "consent", "DE": "contract"}
    )
    german = Visit(application, link_of(application, jurisdiction="DE"))
    australian = Visit(application, link_of(application, jurisdiction="AU"))
    assert "answer|orders|email" not in german.look().text
    assert "answer|orders|email" in australian.look().text
    assert "answer|orders|email" in visit.look().text
    visit.save(visit.look(), email="no")
    assert acts(application)[-1]["jurisdiction"] is None
    australian.save(australian.look(), sms="no")
    assert acts(application)[-1]["jurisdiction"] == "AU"


def test_a_yes_that_no_longer_holds_is_asked_again(visit: Visit) -> None:
    record(visit.application, "grant")
    later(visit.application, days=400)
    fresh = Visit(visit.application, link_of(visit.application))
    page = fresh.look()
    assert "Your yes has run out</p>" in page.text
    assert EMAIL not in page.fields
    fresh.save(page, email="no")
    assert acts(visit.application)[-1]["action"] == "withdraw"


def test_the_controller_is_named_where_it_is_known(visit: Visit) -> None:
    controller = visit.application.services.settings.controller
    assert (controller.name, controller.contact, controller.url) == (None, None, None)
    assert "Questions?" not in visit.look().text
