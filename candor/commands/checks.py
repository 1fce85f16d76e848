"""``candor checks``: validate synthetic checks, and run them from here."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    print_json,
    say,
    settings,
    told_errors,
)

if TYPE_CHECKING:
    from datetime import datetime

    from collector.check import Check, CheckResult
    from collector.receivers.synthetic import Probe

app = typer.Typer(help="Synthetic checks of journeys.", no_args_is_help=True)
Paths = Annotated[list[Path], typer.Argument(help="YAML files of checks.")]


@app.command("validate")
def validate(paths: Paths, *, as_json: AsJson = False) -> None:
    """Check files of checks; exit 1 on any fault. Nothing is sent anywhere.

    Example: candor checks validate examples/shop-checks.yaml
    """
    from collector.receivers.synthetic_file import read_checks  # noqa: PLC0415 - quick --help

    _, findings = read_checks(_texts(paths))
    if as_json:
        print_json(
            [
                {
                    "file": file,
                    "line": finding.line,
                    "path": finding.path,
                    "rule": finding.rule,
                    "severity": finding.severity,
                    "message": finding.message,
                }
                for file, finding in findings
            ]
        )
    for file, finding in [] if as_json else findings:
        place = finding.path or "document"
        typer.echo(f"{file}:{finding.line}: {place}: {finding.rule}: {finding.message}")
    if findings:
        raise typer.Exit(FAILED)
    if not as_json:
        say("Valid.")


@app.command("run")
def run(
    paths: Paths,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Run each check once and end, whatever its schedule.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run checks from here and show how they end; exit 1 when one failed. Nothing is stored.

    Without --once it keeps to their schedule until Ctrl-C, and --json prints one run a line.

    Example: SHOP_PASSWORD=... candor checks run examples/shop-checks.yaml --once
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from collector.receivers.synthetic import Probe  # noqa: PLC0415 - as above
    from collector.receivers.synthetic_file import (  # noqa: PLC0415 - as above
        open_checks,
        require_environment,
    )

    effective = settings()
    with told_errors():
        checks = open_checks(paths)
        require_environment(checks, os.environ)
    probe = Probe(effective.checks.location, os.environ, utc_now)
    if once:
        documents = [_run_document(probe.run(check, utc_now())) for check in checks]
        if as_json:
            print_json(documents)
        for document in [] if as_json else documents:
            _tell(document)
        failed = any(document["outcome"] == "error" for document in documents)
    else:
        failed = _run_on_schedule(checks, probe, as_json=as_json)
    if failed:
        raise typer.Exit(FAILED)


def _run_on_schedule(checks: "list[Check]", probe: "Probe", *, as_json: bool) -> bool:
    """Run checks as they become due, one at a time; return at Ctrl-C whether a run failed."""
    failed = False
    with _until_interrupted():
        for check, due in _in_time(checks):
            document = _run_document(probe.run(check, due))
            failed = failed or document["outcome"] == "error"
            if as_json:
                typer.echo(json.dumps(document))
            else:
                _tell(document)
    return failed


def _in_time(checks: "list[Check]") -> "Iterator[tuple[Check, datetime]]":
    """Yield checks when they are due, the first time at once."""
    import threading  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from candor.kernel.jobs import slot_of  # noqa: PLC0415 - as above

    due = {check.name: slot_of(utc_now(), check.every) for check in checks}
    pause = threading.Event()
    while True:
        check = min(checks, key=lambda one: due[one.name])
        pause.wait(max(0.0, (due[check.name] - utc_now()).total_seconds()))
        yield check, due[check.name]
        due[check.name] = slot_of(utc_now(), check.every) + check.every


@contextmanager
def _until_interrupted() -> "Iterator[None]":
    """End the block at Ctrl-C or SIGTERM, also where a shell started the command to ignore them."""
    stops = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(stop, signal.default_int_handler) for stop in stops]
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        for stop, handler in zip(stops, before, strict=True):
            signal.signal(stop, handler)


def _run_document(results: "list[CheckResult]") -> dict[str, Any]:
    last = results[-1]
    return {
        "check": last.check,
        "journey": last.journey,
        "location": last.location,
        "time": last.time.isoformat(),
        "outcome": last.outcome,
        "step": last.step if last.outcome == "error" else None,
        "reason": last.reason or None,
        "steps": [
            {
                "step": one.step,
                "outcome": one.outcome,
                "reason": one.reason or None,
                "status": one.status,
                "duration_ms": one.duration_ms,
                "first_byte_ms": one.first_byte_ms,
                "connect_ms": one.connect_ms,
                "tls_ms": one.tls_ms,
            }
            for one in results
        ],
    }


def _tell(document: dict[str, Any]) -> None:
    """Print one run for a person: a line for it, and one for each step."""
    typer.echo(f"{document['outcome']:5}  {document['check']}")
    for step in document["steps"]:
        status = step["status"] if step["status"] is not None else "-"
        reason = f"  {step['reason']}" if step["reason"] else ""
        typer.echo(
            f"       {step['step']:24} {status:>3}  {step['duration_ms']:8.1f} ms"
            f"  {step['outcome']}{reason}"
        )


def _texts(paths: list[Path]) -> dict[str, str]:
    try:
        return {str(path): path.read_text(encoding="utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        fail(f"A file cannot be read ({type(error).__name__}). Name files of checks.", WRONG_USE)
