"""Acts that bear a time ahead of our clock: no yes of tomorrow, and no yes that outlasts a no."""

import json
from datetime import timedelta

import pytest

from tests.support.asgi import Application
from tests.support.consent import ANNA, EVENTS, act, check, prepare, record
from tests.support.preferences import Visit, link_of

IMPORTED = {"source": "import", "notice": "newsletter/1", "evidence": "crm:7"}
YET = ("2026-11-22T12:05:00Z", "2026-11-22T12:05:01Z")


def test_a_yes_that_nobody_can_have_said_yet_is_refused_whichever_way_it_comes(
    application: Application,
) -> None:
    prepare(application)
    early, late = YET
    refused = record(application, "grant", at=late)
    assert (refused.status_code, refused.json()["path"]) == (422, "at")
    assert "5 minutes" in refused.json()["detail"]
    headers = {"idempotency-key": "1"}
    assert record(application, "import", **IMPORTED, at=late, headers=headers).status_code == 422
    rows = [act("import", **IMPORTED, at=at) for at in (late, early)]
    body = "\n".join(json.dumps(row) for row in rows)
    told = application.post(f"{EVENTS}/import", content=body).json()
    assert (told["recorded"], [(one["row"], one["path"]) for one in told["refused"]]) == (
        *(1,),
        [(1, "at")],
    )


@pytest.mark.parametrize("way", ["link", "everything", "page", "stop", "act", "staff"])
def test_a_no_that_is_said_now_outlasts_a_yes_from_ahead_of_our_clock(
    application: Application, way: str
) -> None:
    prepare(application)
    assert record(application, "grant", at=YET[0]).status_code == 201
    if way in {"link", "everything"}:
        scope = {} if way == "everything" else {"purpose": "marketing", "channel": "email"}
        links = application.post("/api/v1/consent/links", json={"subject": ANNA} | scope).json()
        application.post(links["unsubscribe"], data={"List-Unsubscribe": "One-Click"})
    elif way == "page":
        visit = Visit(application, link_of(application))
        visit.save(visit.look(), email="no")
    elif way == "stop":
        visit = Visit(application, link_of(application))
        visit.save(visit.look(), "stop")
    elif way == "act":
        assert record(application, "withdraw").status_code == 201
    else:
        body = {"subject": ANNA, "agent": "staff-17", "reference": "call 1"}
        assert application.post("/api/v1/consent/opt-outs", json=body).status_code == 201
    for minutes in (0, 4, 2, 600):
        application.services.clock.pass_by(timedelta(minutes=minutes))  # type: ignore[attr-defined]  # a FixedClock
        assert check(application)["allow"] is False
        assert check(application)["reason"] in {"withdrawn", "global_opt_out"}
