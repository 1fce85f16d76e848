"""What is applied is declared: replaced, pruned, shown before it is done, and remembered."""

from collections.abc import Sequence
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import yaml
from alembic import command
from sqlalchemy import Engine, text

from candor.kernel import migrate as runner
from candor.kernel.database import open_engine, session_of
from collector.event import Event
from collector.store import encode_events, insert_events
from slo.indicator import Condition
from slo.openslo import DocumentSet, StoredDocument, read_set
from slo.register import all_objectives, apply_read, apply_set, find_objective
from slo.window import format_duration
from tests.support.asgi import Application
from tests.support.stores import NOON
from tests.unit.slo.test_openslo import objective, source

YAML = {"content-type": "application/yaml"}
APPLY = "/api/v1/objectives/apply"


def sli(outcome: str = "ok", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLI",
        "metadata": {"name": "shared", "labels": labels},
        "spec": {"ratioMetric": {"total": source(good={"outcome": outcome})}},
    }


def source_indicator() -> dict[str, Any]:
    spec = {"ratioMetric": {"total": source(good={"outcome": "ok"})}}
    return {"metadata": {"name": "sli"}, "spec": spec}


def slo(name: str = "checkout", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any YAML
    labels = changes.pop("labels", {})
    document = objective(**({"indicator": None, "indicatorRef": "shared"} | changes))
    document["metadata"] = {"name": name, "labels": labels}
    return document


def apply(application: Application, *documents: dict[str, Any], **asked: str) -> dict[str, Any]:
    body = yaml.safe_dump_all(documents)
    answer = application.post(APPLY, content=body, headers=YAML, params=asked)
    document: dict[str, Any] = answer.json()
    return document | {"status_code": answer.status_code}


def names(application: Application) -> list[str]:
    return [one["name"] for one in application.get("/api/v1/objectives").json()]


def test_a_reference_reaches_what_was_applied_before(application: Application) -> None:
    refused = apply(application, slo())
    assert (refused["status_code"], refused["findings"][0]["rule"]) == (422, "reference")
    assert apply(application, sli())["created"] == []
    assert apply(application, slo())["created"] == ["checkout"]


def test_a_changed_sli_changes_the_objectives_that_refer_to_it(application: Application) -> None:
    apply(application, sli(), slo(), slo("other", labels={}))
    changed = apply(application, sli("held"))
    assert (changed["changed"], changed["unchanged"]) == (["checkout", "other"], [])
    with session_of(application.services.engine) as session:
        found = find_objective(session, "checkout").objective
    assert found.indicator.good == (Condition("outcome", "any", ("held",)),)


def test_one_broken_document_of_a_thousand_applies_none_and_is_named_by_its_line(
    application: Application,
) -> None:
    documents = [
        slo(f"slo-{number}", indicator=source_indicator(), indicatorRef=None)
        for number in range(1000)
    ]
    documents[700]["spec"]["objectives"][0]["target"] = 1.5
    body = yaml.safe_dump_all(documents)
    before_it = yaml.safe_dump_all(documents[:700])
    broken = yaml.safe_dump(documents[700]).splitlines()
    (offset,) = (number for number, text in enumerate(broken, 2) if "1.5" in text)
    answer = application.post(APPLY, content=body, headers=YAML)
    assert answer.status_code == 422
    (finding,) = answer.json()["findings"]
    assert (finding["line"], finding["document"], finding["name"], finding["path"]) == (
        len(before_it.splitlines()) + offset,
        700,
        "slo-700",
        "spec.objectives[0].target",
    )
    assert names(application) == []


def test_an_objective_that_its_slo_makes_no_more_is_removed(application: Application) -> None:
    apply(application, sli(), slo(objectives=[{"target": 0.9}, {"target": 0.99}]))
    assert names(application) == ["checkout-1", "checkout-2"]
    answer = apply(application, slo(objectives=[{"target": 0.9}]))
    assert (answer["created"], answer["removed"]) == (["checkout"], ["checkout-1", "checkout-2"])
    assert names(application) == ["checkout"]


def test_pruning_removes_what_bears_the_label_and_is_not_sent(application: Application) -> None:
    apply(application, sli(), slo(labels={"team": "a"}), slo("other", labels={"team": "a"}))
    apply(application, slo("theirs", labels={"team": "b"}))
    answer = apply(application, slo(labels={"team": "a"}), prune="team=a")
    assert (answer["unchanged"], answer["removed"]) == (["checkout"], ["other"])
    assert names(application) == ["checkout", "theirs"]
    assert apply(application, slo(), prune="team")["status_code"] == 422


def test_what_is_still_referred_to_cannot_be_pruned(application: Application) -> None:
    apply(application, sli(team="a"), slo())
    service = {"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {}}
    answer = apply(application, service, prune="team=a")
    assert answer["status_code"] == 422
    assert answer["findings"][0]["message"] == "There is no SLI of the name shared."
    assert apply(application, slo())["unchanged"] == ["checkout"]


def test_a_dry_run_shows_the_lines_that_would_change_and_changes_none(
    application: Application,
) -> None:
    apply(application, sli(), slo(labels={"team": "a"}))
    sent = (sli("held"), slo("other"))
    planned = apply(application, *sent, dry_run="1", prune="team=a")
    assert (planned["created"], planned["changed"], planned["removed"]) == (
        ["other"],
        [],
        ["checkout"],
    )
    changes = {(one["kind"], one["name"]): one for one in planned["documents"]}
    assert changes["SLI", "shared"]["change"] == "changed"
    assert [line for line in changes["SLI", "shared"]["diff"] if line[0] in "+-"] == [
        "-            outcome: ok",
        "+            outcome: held",
    ]
    assert changes["SLO", "checkout"]["change"] == "removed"
    assert names(application) == ["checkout"]
    done = apply(application, *sent, prune="team=a")
    assert [done[key] for key in ("created", "changed", "removed", "documents")] == [
        planned[key] for key in ("created", "changed", "removed", "documents")
    ]


def test_revisions_say_who_applied_what_and_when_also_across_a_removal(
    application: Application,
) -> None:
    apply(application, sli(), slo(labels={"team": "a"}))
    application.services.clock.pass_by(timedelta(hours=1))  # type: ignore[attr-defined]  # the fixture's clock
    apply(application, slo(labels={"team": "a"}, objectives=[{"target": 0.9}]))
    apply(application, sli(), prune="team=a")
    assert application.get("/api/v1/objectives/checkout").status_code == 404
    removed, *before = application.get("/api/v1/objectives/checkout/revisions").json()
    assert (removed["removed"], removed["author"], len(before)) == (True, "test", 2)
    assert application.get("/api/v1/objectives/none/revisions").status_code == 404
    apply(application, slo())
    shown = application.get("/api/v1/objectives/checkout").json()
    assert shown["revision"] == 4
    assert [
        (one["revision"], one["author"], one["applied_at"][11:16], one["removed"], one["target"])
        for one in shown["revisions"]
    ] == [
        (4, "test", "13:00", False, 0.999),
        (3, "test", "13:00", True, None),
        (2, "test", "13:00", False, 0.9),
        (1, "test", "12:00", False, 0.999),
    ]


def test_revisions_say_where_they_differ_from_the_one_before(application: Application) -> None:
    window = [{"duration": "7d", "isRolling": True}]
    apply(application, sli(), slo(labels={"team": "a"}))
    apply(application, slo(labels={"team": "a"}, objectives=[{"target": 0.9}], timeWindow=window))
    apply(application, sli("held"))
    apply(application, sli(), prune="team=a")
    apply(application, slo())
    revisions = application.get("/api/v1/objectives/checkout/revisions").json()
    assert [one["changed"] for one in revisions] == [
        None,
        None,
        ["parts[0].indicator.good[0].values"],
        ["target", "period.seconds"],
        None,
    ]


def test_strictly_the_sdk_of_the_specification_decides(application: Application) -> None:
    document = slo("CheckOut")
    assert apply(application, sli(), document, strict="1")["status_code"] == 422
    lenient = apply(application, sli(), document)
    assert (lenient["created"], lenient["findings"][0]["severity"]) == (["CheckOut"], "warning")


def test_every_term_of_an_objective_survives_the_register(application: Application) -> None:
    calendar = {"startTime": "2026-01-31 06:30:00", "timeZone": "America/New_York"}
    document = slo(
        budgetingMethod="Timeslices",
        timeWindow=[{"duration": "1M", "calendar": calendar}],
        indicatorRef=None,
        objectives=[
            {
                "target": 0.9,
                "timeSliceTarget": 0.95,
                "timeSliceWindow": "10m",
                "compositeWeight": 2.5,
                "indicatorRef": "shared",
            }
        ],
    )
    document["metadata"]["annotations"] = {
        "candor.dev/windows": "7d,1Q@UTC",
        "candor.dev/no-data": "bad",
        "candor.dev/minimum-events": "7",
        "candor.dev/minimum-bad-events": "3",
        "candor.dev/composite": "journey",
        "candor.dev/max-delay": "10m",
        "candor.dev/when-delayed": "CountAsBad",
    }
    assert apply(application, sli(), document)["created"] == ["checkout"]
    assert apply(application, document)["unchanged"] == ["checkout"]
    with session_of(application.services.engine) as session:
        found = find_objective(session, "checkout").objective
    (part,) = found.parts
    assert found.minimum_bad_events == 3
    assert (found.period.text, found.combination, found.no_data, found.minimum_events) == (
        "1M@America/New_York",
        "journey",
        "bad",
        7,
    )
    assert (float(part.weight), format_duration(part.budgeting.slice_length)) == (2.5, "10m")
    assert part.delay is not None
    assert part.delay.when_delayed == "CountAsBad"


def test_a_budget_below_one_event_of_the_observed_volume_is_pointed_out(
    application: Application,
) -> None:
    def rules() -> list[str]:
        return [one["rule"] for one in apply(application, sli(), slo())["findings"]]

    assert rules() == []
    event = Event("e", "native", "x", "", NOON, NOON, "checkout", outcome="ok")
    insert_events(application.services.telemetry, [encode_events([event])], "t")
    assert rules() == ["sub-event-budget"]


OLD = """{"name": "old", "service": "shop", "display_name": "Old", "description": "",
 "target": "0.99", "window": 2592000.0, "indicator": {"valid": [], "good":
 [{"field": "outcome", "operator": "any", "values": ["ok"]}], "inverted": false,
 "threshold": null}}"""


def test_an_objective_from_before_revisions_is_still_one(tmp_path: Any) -> None:  # noqa: ANN401 - a path
    engine: Engine = open_engine(f"sqlite:///{tmp_path}/old.db")
    with engine.begin() as connection:
        command.upgrade(runner._alembic(connection), "0002")
        connection.execute(
            text(
                "INSERT INTO objectives (name, service, definition, revision, applied_at)"
                " VALUES ('old', 'shop', :definition, 3, '2026-11-22 12:00:00')"
            ),
            {"definition": OLD},
        )
    runner.migrate_state(engine)
    with session_of(engine) as session:
        found = find_objective(session, "old")
    engine.dispose()
    assert (found.revision, found.objective.window, found.objective.budgeting.method) == (
        3,
        timedelta(days=30),
        "Occurrences",
    )
    assert found.objective.indicator.good == (Condition("outcome", "any", ("ok",)),)


def test_what_another_applies_meanwhile_is_read_again_and_stays(state: Engine) -> None:
    mine, theirs = (
        slo(name, indicator=source_indicator(), indicatorRef=None) for name in ("mine", "theirs")
    )
    readings: list[int] = []

    def read(stored: Sequence[StoredDocument]) -> DocumentSet:
        if not readings:  # in this very moment, somebody else
            with session_of(state) as other:
                apply_set(other, read_set({"f": yaml.safe_dump(theirs)}), NOON, "somebody")
        readings.append(len(stored))
        return read_set({"f": yaml.safe_dump(mine)}, stored)

    with session_of(state) as session:
        _, difference = apply_read(session, read, NOON, "lead")
    assert difference is not None
    assert (readings, difference.created, difference.removed) == ([0, 1], ["mine"], [])
    with session_of(state) as session:
        assert [one.objective.name for one in all_objectives(session)] == ["mine", "theirs"]


def test_who_applies_at_once_takes_turns(state: Engine) -> None:
    documents = read_set(
        {"f": yaml.safe_dump(slo(indicator=source_indicator(), indicatorRef=None))}
    )
    changes: list[list[str]] = []
    together = Barrier(4)

    def work() -> None:
        together.wait()
        with session_of(state) as session:
            _, difference = apply_read(session, lambda _: documents, NOON, "lead")
        assert difference is not None
        changes.append(difference.created)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changes) == [[], [], [], ["checkout"]]
