"""The command line, on embedded stores of its own in a fresh folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from candor.commands.keys import open_state
from candor.kernel.ids import new_id
from candor.kernel.settings import load_settings
from slo.alerting import Alert
from slo.alerts.store import keep_alert
from tests.support import preloaded
from tests.support.stores import NOON

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="the public data sets are not beside the repository (../shared/data)"
)


def candor(
    *arguments: str, expect: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    done = preloaded.run(arguments, cwd or Path.cwd(), environment)
    assert done.returncode == expect, done.stderr
    return done


def document(*arguments: str, expect: int = 0) -> Any:  # noqa: ANN401 - a JSON document
    return json.loads(candor(*arguments, "--json", expect=expect).stdout)


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    program = "import sys, candor.cli; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["chdb", "clickhouse_connect", "sqlalchemy", "fastapi", "pydantic", "msgspec", "httpx"]
    done = subprocess.run(
        [sys.executable, "-c", program, *heavy],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_a_command_looks_for_cycles_seldom(tmp_path: Path) -> None:
    program = """
import gc, sys
from candor.cli import main
sys.argv = ["candor", "--help"]
try:
    main()
finally:
    print(gc.get_threshold()[0])
"""
    done = preloaded.run(["-c", program], tmp_path, os.environ)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 10_000


def test_keys_are_made_listed_and_revoked() -> None:
    made = document("keys", "create", "shop", "--scope", "ingest", "--expires", "90d")
    assert set(made) == {"id", "name", "key", "scopes", "expires_at"}
    assert made["scopes"] == ["ingest"]
    assert candor("keys", "create", "x", "--scope", "admin").stdout.startswith("candor_")
    assert made["key"] not in candor("keys", "list").stdout
    assert {one["name"] for one in document("keys", "list")} == {"shop", "x"}
    assert document("keys", "revoke", made["id"])["revoked_at"]
    assert "opens nothing" in candor("keys", "revoke", made["id"]).stdout
    candor("keys", "revoke", "nobody", expect=1)
    candor("keys", "create", "x", "--scope", "fly", expect=1)
    candor("keys", "create", "x", "--scope", "ingest", "--expires", "soon", expect=2)


def test_a_public_key_is_made_with_its_terms_and_listed_with_them() -> None:
    public = ("--scope", "ingest:public", "--requires-consent", "--per-minute", "60")
    origins = ("--origin", "https://shop.example.org", "--origin", "https://example.org:444/")
    made = document("keys", "create", "pages", *public, *origins)
    terms = {
        "origins": ["https://shop.example.org", "https://example.org:444"],
        "per_minute": 60,
        "requires_consent": True,
    }
    assert terms.items() <= made.items()
    (listed,) = document("keys", "list")
    assert terms.items() <= listed.items()
    assert "https://example.org:444" in candor("keys", "list").stdout
    candor("keys", "create", "pages", "--scope", "ingest:public", expect=1)
    candor("keys", "create", "pages", "--scope", "ingest", *origins, expect=1)


def test_no_key_yet_says_how_to_make_one() -> None:
    assert "candor keys create" in candor("keys", "list").stderr


def test_migrations_are_shown_checked_and_taken() -> None:
    assert "CREATE TABLE IF NOT EXISTS events" in candor("migrate", "--dry-run").stdout
    assert document("migrate", "--dry-run")[0]["statements"]
    assert "pending" in candor("migrate", "--check", expect=1).stderr
    assert "0001" in candor("migrate").stdout
    assert document("migrate") == []
    candor("migrate", "--check")


def test_check_prints_the_settings_and_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert document("check")["complaints"] == []
    assert "All is well" in candor("check").stderr
    monkeypatch.setenv("CANDOR_PROT", "1")
    assert "CANDOR_PROT" in candor("check", expect=1).stderr
    monkeypatch.setenv("CANDOR_NOTIFY__URLS", '["json://host/path", "foo://secret"]')
    told = candor("check", expect=1)
    assert "notify.urls[1] is no address" in told.stderr
    assert "secret" not in told.stderr
    monkeypatch.delenv("CANDOR_NOTIFY__URLS")
    monkeypatch.setenv("CANDOR_TELEMETRY_DSN", "http://127.0.0.1:1/candor")
    monkeypatch.setenv("CANDOR_MASTER_KEY_FILE", "none")
    assert any("master key" in one for one in document("check", expect=1)["complaints"])
    monkeypatch.setenv("CANDOR_PORT", "many")
    assert "CANDOR_PORT" in candor("check", expect=1).stderr


def test_the_openapi_document_holds_the_hot_doors_too() -> None:
    paths = json.loads(candor("openapi").stdout)["paths"]
    assert {"/api/v1/events", "/api/v1/objectives/apply", "/api/v1/funnels/query"} <= set(paths)


def test_every_operation_is_summed_up_in_words_and_says_which_key_it_takes() -> None:
    told = json.loads(candor("openapi").stdout)
    schemes = told["components"]["securitySchemes"]
    for path, operations in told["paths"].items():
        for operation in operations.values():
            assert " " in operation["summary"], path
            assert not operation["summary"].istitle(), path
            named = [name for one in operation.get("security", ()) for name in one]
            assert set(named) <= set(schemes)
            assert bool(named) == path.startswith(("/api/", "/v1/", "/ext_authz/")), path
    assert told["paths"]["/v1/track"]["post"]["security"] == [{"key": []}, {"segmentKey": []}]
    assert told["paths"]["/v1/rum"]["post"]["security"] == [{"pageKey": []}]


def test_a_long_name_is_whole_in_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    name = "-".join(["availability"] * 4)
    path = tmp_path / "o.yaml"
    example = (ROOT / "examples" / "web-access-objective.yaml").read_text()
    path.write_text(example.replace("name: web-access-availability", f"name: {name}"))
    candor("slo", "apply", str(path))
    done = subprocess.run(
        [sys.executable, "-m", "candor", "slo", "status"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        check=True,
    )
    assert name in done.stdout


def test_objectives_are_validated_applied_and_shown() -> None:
    example = str(ROOT / "examples" / "web-access-objective.yaml")
    assert candor("slo", "validate", example).stderr.strip() == "Valid."
    assert document("slo", "validate", str(ROOT / "examples" / "shop-objectives.yaml")) == []
    candor("keys", "list")
    assert "no objective yet" in candor("slo", "status").stderr
    assert candor("slo", "apply", example).stdout == "created: web-access-availability\n"
    assert document("slo", "apply", example)["unchanged"] == ["web-access-availability"]
    assert "slo:sli_error:ratio_rate5m" in candor("slo", "rules", example).stdout
    shown = candor("slo", "status")
    assert "web-access" in shown.stdout
    assert "--at" in shown.stderr
    assert document("slo", "status", "web-access-availability")[0]["budget"]["sli"] is None
    candor("slo", "status", "nothing", expect=1)


def test_an_alert_is_listed_with_the_id_that_acknowledging_takes() -> None:
    firing = Alert(
        id=new_id(NOON),
        objective="checkout",
        service="shop",
        kind="burn",
        severity="page",
        tier="fast",
        state="firing",
        summary="It burns.",
        pending_since=NOON,
        last_active_at=NOON,
        evaluated_at=NOON,
        fired_at=NOON,
    )
    with open_state(load_settings()) as (session, _):
        keep_alert(session, firing)
    (alert,) = document("alerts", "list")
    (line,) = candor("alerts", "list").stdout.splitlines()
    assert line.split()[:4] == [alert["id"], "firing", "page", "checkout"]
    assert line.endswith("It burns.")


def test_a_faulty_objective_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "objectives").mkdir()
    path = tmp_path / "objectives" / "bad.yaml"
    path.write_text("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: A}\nspec: {}\n")
    done = candor("slo", "validate", str(path.parent), expect=1)
    assert f"{path}:3: metadata.name: format:" in done.stdout
    assert document("slo", "validate", str(path), expect=1)[0]["line"] == 3
    assert "nothing was applied" in candor("slo", "apply", str(path), expect=1).stderr
    candor("slo", "validate", str(tmp_path / "none.yaml"), expect=2)
    (tmp_path / "empty").mkdir()
    candor("slo", "validate", str(tmp_path / "empty"), expect=2)


def test_a_file_that_is_no_text_is_named_by_file_and_line_too(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"# one\n# caf\xe9\n")
    example = str(ROOT / "examples" / "web-access-objective.yaml")
    done = candor("slo", "validate", example, str(path), expect=1)
    assert done.stdout == f"{path}:2: document: yaml: This must be UTF-8.\n"
    missing = tmp_path / "none.yaml"
    assert str(missing) in candor("slo", "validate", str(missing), expect=2).stderr


def test_documents_around_objectives_are_told_when_they_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "service.yaml"
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: shop, labels: {team: a}}\n"
    path.write_text(service)
    assert candor("slo", "apply", str(path)).stdout == "created: Service/shop\n"
    path.write_text(service + "spec: {description: All of it.}\n")
    assert candor("slo", "apply", str(path)).stdout == "changed: Service/shop\n"
    for more in ([], ["--dry-run"]):
        again = candor("slo", "apply", str(path), *more)
        assert again.stdout == ""
        assert again.stderr.startswith("Nothing changes.\n")
    path.write_text(service.replace("name: shop", "name: other"))
    told = candor("slo", "apply", str(path), "--prune", "team=a").stdout
    assert told == "created: Service/other\nremoved: Service/shop\n"


def test_tiers_are_shown_with_their_warnings() -> None:
    tiers = document("slo", "tiers", "--target", "0.999", "--window", "30d")
    assert [one["factor"] for one in tiers["tiers"]] == [14.4, 6.0, 3.0, 1.0]
    assert "below 1" in candor("slo", "tiers", "--target", "0.9", "--window", "1d").stderr
    candor("slo", "tiers", "--target", "1", expect=2)
    candor("slo", "tiers", "--target", "much", expect=2)
    candor("slo", "tiers", "--target", "0.9", "--window", "long", expect=1)


def test_native_and_segment_files_come_in(tmp_path: Path) -> None:
    events = tmp_path / "events.json"
    good = {"id": "1", "name": "x", "time": "2026-11-22T11:00:00Z"}
    events.write_text(json.dumps(good) + '\n{"id": "2", "name": "x"}\nnonsense\n')
    done = document("ingest", str(events), "--format", "native", expect=1)
    assert (done["accepted"], done["rejected"]) == (1, 2)
    assert [(one["line"], one["message"]) for one in done["faults"]] == [
        (3, "The line is not JSON."),
        (2, "time: This field is required."),
    ]
    assert (
        f"{events}:3: malformed"
        in candor("ingest", str(events), "--format", "native", expect=1).stderr
    )
    told = candor("ingest", str(events), "--format", "native", expect=1)
    assert told.stdout == (
        "3 read: 0 accepted, 1 deduplicated (stored before), 2 rejected (1 of them kept in"
        " quarantine)\n"
    )
    calls = tmp_path / "calls.json"
    call = {"type": "track", "event": "x", "userId": "u", "messageId": "m"}
    calls.write_text(json.dumps({"batch": [call, call]}))
    total = document("ingest", str(calls), "--format", "segment")
    assert (total["accepted"], total["deduplicated"]) == (1, 1)
    candor("ingest", str(events), "--format", "csv", expect=2)


def test_a_mapping_that_does_not_fit_is_said(tmp_path: Path) -> None:
    table, mapping = tmp_path / "t.csv", tmp_path / "m.yaml"
    table.write_text("a\n1\n")
    mapping.write_text("fields: {name: x, time: {column: b}}")
    arguments = ("ingest", str(table), "--format", "csv", "--mapping", str(mapping))
    assert "no column b" in candor(*arguments, expect=1).stderr


def test_documents_are_checked_planned_and_pruned(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("sli.yaml", "slo.yaml")]
    example = (ROOT / "examples" / "shop-objectives.yaml").read_text().split("---")
    files[0].write_text("---".join(example[:2]))
    files[1].write_text(example[2].replace("{name: ", "{labels: {team: a}, name: "))
    sli, slo = map(str, files)
    assert "reference" in candor("slo", "validate", slo, expect=1).stdout
    candor("slo", "apply", sli)
    candor("slo", "validate", slo, "--with-store")
    planned = candor("slo", "apply", slo, "--dry-run")
    assert planned.stdout.startswith("created: checkout-availability\nSLO/checkout-availability")
    assert "Nothing was applied" in planned.stderr
    assert document("slo", "apply", slo)["created"] == ["checkout-availability"]
    pruned = candor("slo", "apply", sli, "--prune", "team=a")
    assert pruned.stdout == "removed: checkout-availability\n"
    assert "LABEL=VALUE" in candor("slo", "apply", sli, "--prune", "team", expect=1).stderr


def test_the_levels_of_validation_differ_by_what_the_sdk_refuses(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    example = (ROOT / "examples" / "web-access-objective.yaml").read_text()
    path.write_text(example.replace("name: web-access-availability", "name: WebAccess"))
    assert "format: warning: " in candor("slo", "validate", str(path)).stdout
    applied = candor("slo", "apply", str(path))
    assert ("created: WebAccess" in applied.stdout, "warning" in applied.stdout) == (True, False)
    assert "o.yaml:5: metadata.name: format: warning: " in applied.stderr
    (finding,) = document("slo", "validate", str(path), "--strict", expect=1)
    assert (finding["rule"], finding["severity"], finding["line"]) == ("format", "error", 5)


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    example = (ROOT / "examples" / "web-access-objective.yaml").read_text()
    goal = "target: 0.9\n      timeSliceTarget: 0.9\n      timeSliceWindow: 5m"
    sliced = example.replace("target: 0.999", goal).replace("Occurrences", "Timeslices")
    path.write_text(sliced)
    assert "time slices cannot" in candor("slo", "rules", str(path), expect=1).stderr
    assert "time slices cannot" not in candor("slo", "rules", str(path), "--format", "x",
                                              expect=2).stderr  # fmt: skip
    path.write_text(example.replace("0.999", "1"))
    assert "range" in candor("slo", "rules", str(path), expect=1).stderr


@needs_data
def test_real_journeys_come_in_once_and_their_funnel_is_an_independent_count() -> None:
    path = DATA / "permit-receipt-journeys.csv.gz"
    mapping = str(ROOT / "examples" / "permit-receipt-mapping.yaml")
    arguments = ("ingest", str(path), "--format", "csv", "--mapping", mapping)
    first, second = document(*arguments), document(*arguments)
    assert (first["accepted"], first["deduplicated"]) == (8577, 0)
    assert (second["accepted"], second["deduplicated"]) == (0, 8577)
    query = str(ROOT / "examples" / "permit-receipt-funnel.yaml")
    funnel = document("funnel", query)
    assert [step["count"] for step in funnel["steps"]] == permit_counts(path)
    by_channel = {value: steps[0]["count"] for value, steps in funnel["breakdown"].items()}
    assert sum(by_channel.values()) == 1434
    assert "Confirmation of receipt" in candor("funnel", query).stdout


def permit_counts(path: Path) -> list[int]:
    """Count the funnel from the file alone, by another way than Candor's."""
    import csv  # noqa: PLC0415 - used here alone
    import gzip  # noqa: PLC0415 - as above
    from datetime import datetime  # noqa: PLC0415 - as above

    names = ("Confirmation of receipt", "T02 ", "T04 ", "T05 ", "T10 ")
    cases: dict[str, list[tuple[datetime, str]]] = {}
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time:timestamp"])
            cases.setdefault(row["case:concept:name"], []).append((at, row["concept:name"]))
    counts = [0] * len(names)
    for events in cases.values():
        reached = {start for start, name in events if name.startswith(names[0])}
        for step, name in enumerate(names):
            if step:
                reached = {
                    min(later)
                    for at in reached
                    if (later := [t for t, one in events if one.startswith(name) and t >= at])
                }
            counts[step] += bool(reached)
    return counts


@needs_data
def test_a_real_access_log_comes_in_once_and_no_address_is_stored_in_clear() -> None:
    path = DATA / "web-access.log.gz"
    arguments = ("ingest", str(path), "--format", "access-log")
    assert document(*arguments)["accepted"] == 10_000
    assert document(*arguments)["deduplicated"] == 10_000
    stored = b"".join(one.read_bytes() for one in Path(".candor").rglob("*") if one.is_file())
    assert b"83.149.9.216" not in stored
    candor("slo", "apply", str(ROOT / "examples" / "web-access-objective.yaml"))
    budget = document("slo", "status", "--at", "2015-05-21T00:00:00Z")[0]["budget"]
    assert (budget["valid"], budget["bad"]) == (10_000, 3)
