"""Objectives over real events: counted from the rollup and from the rows, asked over HTTP."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import yaml

from candor.kernel.services import Services
from candor.kernel.telemetry_store import TelemetryStore
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.budget import EventCounts
from slo.budgeting import OCCURRENCES, Place
from slo.indicator import Condition, Indicator, Threshold
from slo.lookback import read_burn
from slo.openslo import read_openslo
from slo.store import Question, count, count_rows, rollup_is_exact
from slo.units import read_units
from slo.window import MINUTE, rolling
from tests.support.asgi import Application
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import objective, ratio, source, threshold

DAY = rolling(timedelta(days=1), NOON)
YAML = {"content-type": "application/yaml"}


def random_events(number: int) -> list[Event]:
    dice = random.Random(number)
    return [
        Event(
            id=f"e{one}",
            door="native",
            name=dice.choice(["checkout.start", "checkout.payment"]),
            schema="",
            time=NOON - timedelta(seconds=dice.randrange(100_000)),
            received_at=NOON,
            journey=dice.choice(["checkout", "onboarding"]),
            outcome=dice.choice(["ok", "ok", "ok", "error"]),
            channel=dice.choice(["web", "app"]),
            duration_ms=dice.choice([None, 0, 250, 250.5, dice.uniform(0, 900), 1e7]),
            amount=dice.choice([None, 5, 49.9]),
            error_code=dice.choice(["", "declined"]),
        )
        for one in range(number)
    ]


def store(telemetry: TelemetryStore, events: Sequence[Event]) -> None:
    insert_events(telemetry, [encode_events(events)], f"token-{len(events)}")


def matches(event: Event, condition: Condition) -> bool:
    value: Any = getattr(event, condition.field)
    wanted: Any = condition.values[0]
    compare: dict[str, Callable[[], bool]] = {
        "any": lambda: value in condition.values,
        "ne": lambda: value not in condition.values,
        "prefix": lambda: str(value).startswith(wanted),
        "exists": lambda: (value not in {"", None}) is wanted,
        "gt": lambda: value is not None and value > wanted,
        "lte": lambda: value is not None and value <= wanted,
    }
    return compare[condition.operator]()


def expected(events: Sequence[Event], question: Question) -> EventCounts:
    indicator, window = question.indicator, question.window
    valid = [
        event
        for event in events
        if window.since <= event.time < window.until
        and all(matches(event, one) for one in indicator.valid)
    ]
    if indicator.threshold is not None:
        valid = [event for event in valid if event.duration_ms is not None]
        limit = Condition("duration_ms", indicator.threshold.operator, (indicator.threshold.limit,))
        return EventCounts(sum(matches(event, limit) for event in valid), len(valid))
    good = [all(matches(event, one) for one in indicator.good) for event in valid]
    return EventCounts(sum(one is not indicator.inverted for one in good), len(valid))


CHECKOUT = (Condition("journey", "any", ("checkout",)),)
OK = (Condition("outcome", "any", ("ok",)),)
INDICATORS = [
    Indicator(CHECKOUT, OK),
    Indicator((), (Condition("outcome", "any", ("error", "held")),), inverted=True),
    Indicator((*CHECKOUT, Condition("channel", "ne", ("web",))), OK),
    Indicator((Condition("name", "prefix", ("checkout.p",)),), OK),
    Indicator(CHECKOUT, threshold=Threshold("duration_ms", "lte", 250.0)),
    Indicator((), threshold=Threshold("duration_ms", "lte", 600_000.0)),
    Indicator((), threshold=Threshold("duration_ms", "lte", 251.0)),
    Indicator((), threshold=Threshold("duration_ms", "gt", 250.0)),
    Indicator((Condition("error_code", "exists", (True,)),), OK),
    Indicator((Condition("amount", "exists", (False,)),), OK),
    Indicator((Condition("amount", "any", (5,)),), OK),
    Indicator((Condition("duration_ms", "gt", (250.0,)),), OK),
]


def test_counts_are_exact_from_the_rollup_and_from_the_rows(telemetry: TelemetryStore) -> None:
    events = random_events(3000)
    store(telemetry, events)
    ragged = rolling(timedelta(hours=5, seconds=7), NOON - timedelta(seconds=3))
    questions = [Question(one, window) for one in INDICATORS for window in (DAY, ragged)]
    assert {rollup_is_exact(one) for one in questions} == {True, False}
    assert count(telemetry, questions) == [expected(events, one) for one in questions]


def test_many_indicators_and_windows_are_counted_as_each_one_alone(
    embedded_telemetry: TelemetryStore,
) -> None:
    events = random_events(2000)
    store(embedded_telemetry, events)
    chosen = [
        (),
        CHECKOUT,
        (Condition("journey", "any", ("checkout", "checkout", "none")),),
        (Condition("journey", "any", ("checkout",)), Condition("journey", "any", ("none",))),
        (Condition("journey", "prefix", ("check",)), Condition("step", "exists", (True,))),
        (Condition("channel", "ne", ("web", "app")),),
        (Condition("outcome", "any", ("ok", "error")), Condition("step", "exists", (False,))),
    ]
    indicators = [
        Indicator(valid, good, inverted=inverted)
        for valid in chosen
        for good in ((), OK, (*OK, Condition("channel", "any", ("web",))))
        for inverted in (False, True)
    ] + [
        Indicator(valid, threshold=Threshold("duration_ms", "lte", limit))
        for valid in chosen
        for limit in (0.0, 100.0, 250.0)
    ]
    windows = [rolling(timedelta(minutes=7 * number), NOON) for number in range(1, 40)]
    questions = [Question(one, window) for one in indicators for window in windows]
    assert all(rollup_is_exact(one) for one in questions)
    together = count(embedded_telemetry, questions)
    assert together == [expected(events, one) for one in questions]
    assert together == count_rows(embedded_telemetry, questions)
    some = range(0, len(questions), 97)
    assert [together[one] for one in some] == [
        count(embedded_telemetry, [questions[one]])[0] for one in some
    ]


@pytest.mark.parametrize("indicator", INDICATORS)
def test_minutes_add_up_to_the_whole(
    embedded_telemetry: TelemetryStore, indicator: Indicator
) -> None:
    events = random_events(500)
    store(embedded_telemetry, events)
    edges = [DAY.since + number * MINUTE for number in range(1, DAY.minutes)]
    minutes = read_units(embedded_telemetry, indicator, OCCURRENCES, Place(DAY), edges)
    total = EventCounts(
        sum(one.events.good for one in minutes), sum(one.events.valid for one in minutes)
    )
    assert total == expected(events, Question(indicator, DAY))
    assert [one.measured for one in minutes] == [int(one.valid > 0) for one in minutes]


def test_a_segment_that_is_inserted_twice_counts_once_in_every_table(
    telemetry: TelemetryStore,
) -> None:
    events = random_events(100)
    for event in events:
        event.subject_key = "p" * 64
    store(telemetry, events)
    store(telemetry, events)
    counts = {
        table: telemetry.query(f"SELECT {what} AS n FROM {table}")[0]["n"]  # noqa: S608 - two fixed names
        for table, what in (
            ("events", "count()"),
            ("events_by_subject", "count()"),
            ("events_by_minute", "sum(events)"),
            ("events_by_hour", "sum(events)"),
        )
    }
    assert len(counts) == 4
    assert set(counts.values()) == {100}


def test_the_tiers_of_many_objectives_are_read_at_once(services: Services) -> None:
    events = [event for event in random_events(2000) if event.journey == "checkout"]
    store(services.telemetry, events)
    objectives, _ = read_openslo({"f": yaml.safe_dump(objective())})
    (states,) = read_burn(services.telemetry, objectives, NOON)
    assert [state.tier.name for state in states] == ["fast", "medium", "slow", "long"]
    for state in states:
        question = Question(objectives[0].indicator, rolling(state.tier.long, NOON))
        counts = expected(events, question)
        assert state.valid_events == counts.valid
        assert float(state.long_burn or 0) == pytest.approx(counts.bad / counts.valid / 0.001)
    assert read_burn(services.telemetry, [], NOON) == []


def apply(application: Application, *documents: dict[str, Any]) -> Any:  # noqa: ANN401 - a JSON document
    text = yaml.safe_dump_all(documents)
    answer = application.post("/api/v1/objectives/apply", content=text, headers=YAML)
    return answer.json() | {"status_code": answer.status_code}


def test_applying_creates_changes_and_leaves_alone(application: Application) -> None:
    assert apply(application, objective())["created"] == ["checkout"]
    assert apply(application, objective())["unchanged"] == ["checkout"]
    changed = apply(application, objective(objectives=[{"target": 0.99}]))
    assert (changed["changed"], changed["removed"]) == (["checkout"], [])
    shown = application.get("/api/v1/objectives/checkout").json()
    assert (shown["target"], shown["revision"], shown["window"]) == (0.99, 2, "30d")
    assert [one["name"] for one in application.get("/api/v1/objectives").json()] == ["checkout"]


def test_the_order_of_a_filter_says_nothing(application: Application) -> None:
    fields = {"step": "payment", "journey": "checkout"}

    def applied(*names: str) -> dict[str, Any]:
        document = ratio(
            total=source(filter={name: fields[name] for name in names}, good={"outcome": "ok"})
        )
        text = yaml.safe_dump(document, sort_keys=False)
        path = "/api/v1/objectives/apply"
        answer: dict[str, Any] = application.post(path, content=text, headers=YAML).json()
        return answer

    applied("step", "journey")
    assert apply(application, objective() | {"metadata": {"name": "other"}})["changed"] == []
    assert applied("journey", "step")["unchanged"] == ["checkout"]
    assert application.get("/api/v1/objectives/checkout").json()["revision"] == 1


def test_one_error_keeps_all_documents_from_being_applied(application: Application) -> None:
    answer = apply(application, objective(), objective(service=None) | {"metadata": {"name": "b"}})
    assert answer["status_code"] == 422
    assert answer["findings"][0]["rule"] == "required"
    assert answer["detail"] == "Mend the faults that are listed; nothing was applied."
    assert application.get("/api/v1/objectives").json() == []


def test_a_body_that_is_no_yaml_text_is_refused(application: Application) -> None:
    path = "/api/v1/objectives/apply"
    assert application.post(path, content=b"{}").status_code == 415
    assert application.post(path, content=b"\xff", headers=YAML).status_code == 400


def test_the_budget_has_the_agreed_shape_and_exact_values(application: Application) -> None:
    ok = [Event(f"e{n}", "native", "x", "", NOON - MINUTE, NOON, "checkout", outcome="ok")
          for n in range(998)]  # fmt: skip
    bad = [Event(f"b{n}", "native", "x", "", NOON - 2 * MINUTE, NOON, "checkout", outcome="error")
           for n in range(2)]  # fmt: skip
    store(application.services.telemetry, ok + bad)
    apply(application, objective())
    budget = application.get("/api/v1/objectives/checkout/budget?window=1d").json()
    assert budget == {
        "name": "checkout",
        "target": 0.999,
        "window": {
            "since": "2026-11-21T12:01:00+00:00",
            "until": "2026-11-22T12:01:00+00:00",
            "kind": "rolling",
        },
        "method": "Occurrences",
        "unit": "events",
        "good": 998,
        "valid": 1000,
        "bad": 2,
        "sli": 0.998,
        "budget": 0.001,
        "consumed": 2.0,
        "remaining": -1.0,
        "bad_events_left": -1.0,
        "seconds_left": -86.4,
        "coverage": 2 / 1440,
        "exhausted_at": "2026-11-22T11:59:00+00:00",
        "corrected_seconds": 0,
        "held_back_by": None,
        "frozen_at": None,
        "parts": [],
    }
    at = {"at": "2026-11-22T13:00:00+01:00", "window": "1m"}
    earlier = application.get("/api/v1/objectives/checkout/budget", params=at).json()
    assert (earlier["valid"], earlier["bad"]) == (998, 0)


def test_before_the_first_event_everything_unknown_is_null(application: Application) -> None:
    apply(application, objective())
    budget = application.get("/api/v1/objectives/checkout/budget").json()
    unknown = ("sli", "consumed", "remaining", "bad_events_left", "seconds_left", "exhausted_at")
    assert [budget[name] for name in unknown] == [None] * 6
    assert (budget["valid"], budget["coverage"]) == (0, 0.0)
    burn = application.get("/api/v1/objectives/checkout/burn").json()
    assert burn["max_burn"] == 1000.0
    assert {tier["held_back_by"] for tier in burn["tiers"]} == {"no_data"}


def test_the_timeline_only_falls_and_ends_with_the_budget(application: Application) -> None:
    events = random_events(2000)
    store(application.services.telemetry, events)
    apply(application, objective())
    timeline = application.get("/api/v1/objectives/checkout/timeline?window=1d").json()
    budget = application.get("/api/v1/objectives/checkout/budget?window=1d").json()
    remaining = [point["remaining"] for point in timeline["points"]]
    assert remaining == sorted(remaining, reverse=True)
    assert remaining[-1] == budget["remaining"]
    assert sum(point["valid"] for point in timeline["points"]) == budget["valid"]


@pytest.mark.parametrize(
    ("window", "at"),
    [
        ("1d", NOON),
        ("121m", NOON),
        ("7m", NOON + timedelta(seconds=30)),
        ("1d@Europe/Dublin", NOON + timedelta(seconds=30)),
        ("1M@Europe/Dublin", NOON - timedelta(minutes=7)),
    ],
)
def test_each_point_of_a_timeline_holds_the_events_of_its_own_time(
    application: Application, window: str, at: datetime
) -> None:
    events = random_events(4000)
    store(application.services.telemetry, events)
    apply(application, objective(objectives=[{"target": 0.5}]))
    path = "/api/v1/objectives/checkout/timeline"
    points = application.get(path, params={"window": window, "at": at.isoformat()}).json()["points"]
    assert len(points) <= 121
    assert points[-1]["until"] == at.isoformat()
    assert all(one["until"] == after["since"] for one, after in pairwise(points))
    for point in points:
        since, until = (datetime.fromisoformat(point[edge]) for edge in ("since", "until"))
        inside = [
            one.outcome for one in events if one.journey == "checkout" and since <= one.time < until
        ]
        bad = len(inside) - inside.count("ok")
        assert (point["good"], point["valid"]) == (inside.count("ok"), len(inside))
        assert point["burn"] == (pytest.approx(bad / len(inside) / 0.5) if inside else None)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/objectives/none/budget", 404),
        ("/api/v1/objectives/checkout/budget?window=soon", 422),
        ("/api/v1/objectives/checkout/budget?at=2026-11-22T12:00:00", 422),
        ("/api/v1/objectives/checkout/budget?at=noon", 422),
        ("/api/v1/objectives/checkout/budget?at=0001-01-01T00:00:00Z", 422),
        ("/api/v1/objectives/checkout/budget?window=999999Y", 422),
        ("/api/v1/objectives/checkout/budget?window=1M@Nowhere", 422),
    ],
)
def test_a_question_that_cannot_be_meant_is_a_problem(
    application: Application, path: str, status: int
) -> None:
    apply(application, objective())
    answer = application.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    assert "noon" not in answer.text


def test_reading_and_writing_need_their_scopes(application: Application) -> None:
    reader = {"authorization": f"Bearer {application.make_key('slo:read')}"}
    assert application.get("/api/v1/objectives", headers=reader).status_code == 200
    refused = application.post("/api/v1/objectives/apply", content="", headers=reader | YAML)
    assert refused.status_code == 403
    assert application.get("/api/v1/objectives", headers={"authorization": ""}).status_code == 401


def test_every_kind_of_indicator_survives_the_register(application: Application) -> None:
    documents = [
        ratio(bad=source(filter={"outcome": "error"}), total=source()),
        threshold({"target": 0.9, "op": "lte", "value": 250}, value="duration_ms"),
    ]
    for number, document in enumerate(documents):
        document["metadata"]["name"] = f"o{number}"
    events = random_events(300)
    store(application.services.telemetry, events)
    apply(application, *documents)
    objectives, _ = read_openslo({"f": yaml.safe_dump_all(documents)})
    for one in objectives:
        budget = application.get(f"/api/v1/objectives/{one.name}/budget?window=2d").json()
        window = rolling(timedelta(days=2), NOON + MINUTE)
        counts = expected(events, Question(one.indicator, window))
        assert (budget["good"], budget["valid"]) == (counts.good, counts.valid)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/objectives?windw=7d", "none is taken here"),
        ("/objectives/checkout?at=now", "none is taken here"),
        ("/objectives/checkout/budget?windw=7d", "it is one of at, by, window"),
        ("/objectives/checkout/timeline?step=1h", "it is one of at, window"),
        ("/objectives/checkout/burn?window=7d", "it is one of at"),
        ("/objectives/checkout/contribution?by=step&field=step", "it is one of at, by, window"),
        ("/gate?service=shop&team=a", "it is one of service"),
    ],
)
def test_a_parameter_that_there_is_not_is_refused_and_those_that_are_named(
    application: Application, path: str, known: str
) -> None:
    apply(application, objective())
    wrong = path.partition("?")[2].split("&")[-1].partition("=")[0]
    answer = application.get("/api/v1" + path)
    assert answer.status_code == 422
    told = answer.json()
    assert (told["path"], told["detail"]) == (wrong, f"There is no such parameter: {known}.")
    assert application.get("/api/v1" + path, headers={"authorization": ""}).status_code == 401


def test_a_misspelt_dry_run_applies_nothing(application: Application) -> None:
    body = yaml.safe_dump(objective())
    answer = application.post("/api/v1/objectives/apply?dryrun=1", content=body, headers=YAML)
    assert (answer.status_code, answer.json()["path"]) == (422, "dryrun")
    assert application.get("/api/v1/objectives").json() == []
