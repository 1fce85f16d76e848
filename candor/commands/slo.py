"""``candor slo``: validate and apply objectives, and see how they stand."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from candor.commands import gate
from candor.commands.asking import Client, Key, Url, ask
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
from candor.commands.openslo_files import (
    joined,
    placed,
    read_texts,
    refuse_unreadable,
    tell,
    tell_difference,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candor.kernel.services import Services
    from slo.openslo import StoredDocument

app = typer.Typer(help="Objectives, error budgets and burn rates.", no_args_is_help=True)
app.command("gate")(gate.gate)
Paths = Annotated[list[Path], typer.Argument(help="OpenSLO files, or folders of them.")]


Strict = Annotated[bool, typer.Option("--strict", help="The rules of OpenSLO's own SDK.")]


@app.command("validate")
def validate(
    paths: Paths,
    *,
    strict: Strict = False,
    with_store: Annotated[
        bool, typer.Option("--with-store", help="References may name what was applied before.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check OpenSLO documents; exit 1 on any error.

    Example: candor slo validate objectives/ --strict
    """
    from slo.openslo import finding_document, has_errors, read_set  # noqa: PLC0415 - quick --help

    with told_errors():
        stored = _stored() if with_store else []
    findings = read_set(read_texts(paths), stored, strict=strict).findings
    if as_json:
        print_json([finding_document(name, finding) for name, finding in findings])
    else:
        tell(findings)
    if has_errors(findings):
        raise typer.Exit(FAILED)
    if not as_json:
        say("Valid.")


@app.command("apply")
def apply(  # noqa: PLR0913 - each is an option of the command
    paths: Paths,
    url: Url = None,
    key: Key = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    prune: Annotated[
        str | None,
        typer.Option("--prune", help="LABEL=VALUE: remove what bears it and is not in the files."),
    ] = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Apply OpenSLO documents: all of them, or none when one has an error.

    Example: candor slo apply objectives/ --prune team=checkout --dry-run
    """
    texts = read_texts(paths)

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        refuse_unreadable(texts)
        body, place = joined(texts)
        asked = f"?dry_run={int(dry_run)}&strict={int(strict)}"
        asked += f"&prune={quote(prune)}" if prune is not None else ""
        path = f"/api/v1/objectives/apply{asked}"
        return client.post(path, body, "application/yaml", partial(placed, place=place))

    with told_errors():
        if url is not None:
            answer = remote(Client(url, key))
        else:
            answer = _apply_here(texts, dry_run=dry_run, strict=strict, prune=prune)
    if as_json:
        print_json(answer)
        return
    tell_difference(answer, dry_run=dry_run)


@app.command("rules")
def rules(
    paths: Paths,
    *,
    fmt: Annotated[
        str,
        typer.Option("--format", help="prometheus: recordings as sloth names them, and alerts."),
    ] = "prometheus",
) -> None:
    """Print the rules with which a Prometheus keeps the same objectives.

    Example: candor slo rules objectives/checkout.yaml --format prometheus > checkout.rules.yaml
    """
    from slo.openslo import has_errors, read_set  # noqa: PLC0415 - keeps --help quick
    from slo.rules import prometheus_rules, rule_file  # noqa: PLC0415 - as above

    if fmt != "prometheus":
        fail("--format is prometheus.", WRONG_USE)
    documents = read_set(read_texts(paths))
    if has_errors(documents.findings):
        tell(documents.findings, err=True)
        raise typer.Exit(FAILED)
    file, left_out = prometheus_rules(documents)
    for sentence in left_out:
        say(sentence)
    if not file["groups"]:
        fail("There is no objective among these documents that can be exported.")
    typer.echo(rule_file(file), nl=False)


@app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="One objective; all when absent.")] = None,
    url: Url = None,
    key: Key = None,
    *,
    at: Annotated[
        str | None, typer.Option("--at", help="An instant such as 2026-11-22T09:00:00Z; now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show budgets and burn rates.

    Example: candor slo status checkout-availability
    """

    def remote(client: Client) -> list[dict[str, Any]]:
        documents = client.get("/api/v1/objectives")
        asked = f"?at={quote(at)}" if at is not None else ""
        return [
            {
                "budget": client.get(f"/api/v1/objectives/{quote(one['name'])}/budget{asked}"),
                "burn": client.get(f"/api/v1/objectives/{quote(one['name'])}/burn{asked}"),
                "alert_policies": one.get("alert_policies", []),  # a server may be older
            }
            for one in documents
            if name in {None, one["name"]}
        ]

    with told_errors():
        rows = ask(url, key, remote, lambda services: _status_here(services, name, at))
    if name is not None and not rows:
        fail("No objective bears that name. `candor slo status` shows all.")
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("There is no objective yet. Apply one: candor slo apply FILE")
        return
    from candor.terminal import print_objectives  # noqa: PLC0415 - keeps --help quick

    print_objectives(rows)
    if any(row["alert_policies"] for row in rows):
        say("policy: alerted by its alert policies. `candor alerts list` shows what fires.")
    if not any(row["budget"]["valid"] for row in rows):
        say("No valid event lies in any of these windows. --at INSTANT shows earlier ones.")


@app.command("contribution")
def contribution(  # noqa: PLR0913 - each is an option of the command
    name: Annotated[str, typer.Argument(help="The objective.")],
    by: Annotated[str, typer.Option("--by", help="channel, step, ..., or attributes.KEY")],
    window: Annotated[
        str | None, typer.Option("--window", help="30d, or 1M@Europe/Dublin; its own when absent.")
    ] = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show where the budget went: which values of a field the bad events came from.

    Example: candor slo contribution checkout-availability --by channel
    """

    def remote(client: Client) -> dict[str, Any]:
        asked = f"?by={quote(by)}" + (f"&window={quote(window)}" if window else "")
        answer: dict[str, Any] = client.get(f"/api/v1/objectives/{quote(name)}/contribution{asked}")
        return answer

    with told_errors():
        document = ask(url, key, remote, lambda one: _contribution_here(one, name, by, window))
    if as_json:
        print_json(document)
        return
    from candor.terminal import print_contributions  # noqa: PLC0415 - keeps --help quick

    print_contributions(document)


@app.command("tiers")
def tiers(
    target: Annotated[str, typer.Option("--target", help="A ratio such as 0.999.")],
    window: Annotated[str, typer.Option("--window", help="The period, such as 30d.")] = "30d",
    shares: Annotated[
        str, typer.Option("--shares", help="Budget shares in percent, fast to long.")
    ] = "2,5,10,10",
    *,
    as_json: AsJson = False,
) -> None:
    """Show the burn-rate alerts that a target and period lead to.

    Example: candor slo tiers --target 0.999 --window 30d
    """
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - keeps --help quick

    from slo.burn_rate import tiers_of  # noqa: PLC0415 - as above
    from slo.schemas import tiers_document  # noqa: PLC0415 - as above
    from slo.window import parse_duration  # noqa: PLC0415 - as above

    try:
        ratio = Decimal(target)
        percents = [Decimal(share) for share in shares.split(",")]
    except InvalidOperation:
        fail("--target and --shares are numbers: --target 0.999 --shares 2,5,10,10", WRONG_USE)
    if not 0 <= ratio < 1:
        fail("A target is at least 0 and below 1; 1 leaves no error budget.", WRONG_USE)
    with told_errors():
        document = tiers_document(ratio, tiers_of(parse_duration(window), percents))
    if as_json:
        print_json(document)
        return
    for tier in document["tiers"]:
        typer.echo(
            f"{tier['tier']:7} {tier['severity']:7} {tier['long']:>4} and {tier['short']:>4}"
            f"  burn above {tier['factor']:g}"
        )
    for warning in document["warnings"]:
        say(warning)


def _stored() -> "list[StoredDocument]":
    from candor.commands.keys import open_state  # noqa: PLC0415 - keeps --help quick
    from slo.register import stored_documents  # noqa: PLC0415 - as above

    with open_state(settings()) as (session, _):
        return stored_documents(session)


def _apply_here(
    texts: dict[str, str], *, dry_run: bool, strict: bool, prune: str | None
) -> dict[str, Any]:
    from candor.commands.keys import open_state  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from slo.metadata import parse_label  # noqa: PLC0415 - as above
    from slo.openslo import DocumentSet, finding_document, read_set  # noqa: PLC0415 - as above
    from slo.register import apply_read  # noqa: PLC0415 - as above
    from slo.schemas import difference_document  # noqa: PLC0415 - as above

    label = parse_label(prune) if prune is not None else None

    def read(stored: "Sequence[StoredDocument]") -> DocumentSet:
        return read_set(texts, stored, strict=strict, prune=label)

    with open_state(settings()) as (session, _):
        documents, difference = apply_read(session, read, utc_now(), "cli", dry_run=dry_run)
        if difference is None:
            tell(documents.findings, err=True)
            fail("The documents have errors; nothing was applied.")
    findings = [finding_document(name, finding) for name, finding in documents.findings]
    return difference_document(difference, findings, dry_run=dry_run)


def _status_here(services: "Services", name: str | None, at: str | None) -> list[dict[str, Any]]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from slo.breakdown import Asking, read_values  # noqa: PLC0415 - as above
    from slo.correction import corrected  # noqa: PLC0415 - as above
    from slo.evaluation import reach, read_budget  # noqa: PLC0415 - as above
    from slo.governance.store import corrections_of  # noqa: PLC0415 - as above
    from slo.lookback import read_burn  # noqa: PLC0415 - as above
    from slo.register import all_objectives  # noqa: PLC0415 - as above
    from slo.schemas import (  # noqa: PLC0415 - as above
        budget_document,
        burn_document,
        values_document,
    )
    from slo.window import MINUTE, whole_minute  # noqa: PLC0415 - as above

    until = _instant(at) if at is not None else whole_minute(services.clock()) + MINUTE
    with session_of(services.engine) as session:
        objectives = [
            one.objective for one in all_objectives(session) if name in {None, one.objective.name}
        ]
        gaps = {
            one.name: corrected(corrections_of(session, one), reach(one, until))
            for one in objectives
        }
    telemetry = services.telemetry
    burns = read_burn(telemetry, objectives, until, gaps, services.settings.alerts)
    rows = []
    for one, burn in zip(objectives, burns, strict=True):
        own = gaps[one.name]
        budget = budget_document(one, read_budget(telemetry, one, until, gaps=own))
        if one.by is not None:
            values, more = read_values(telemetry, one, one.by, Asking(until, gaps=own))
            budget |= values_document(one, one.by, values, more)
        policies = [policy.name for policy in one.policies]
        rows.append(
            {"budget": budget, "burn": burn_document(one, burn), "alert_policies": policies}
        )
    return rows


def _contribution_here(
    services: "Services", name: str, by: str, window: str | None
) -> dict[str, Any]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from slo.breakdown import Asking, read_contributions  # noqa: PLC0415 - as above
    from slo.correction import corrected  # noqa: PLC0415 - as above
    from slo.evaluation import reach  # noqa: PLC0415 - as above
    from slo.governance.store import corrections_of  # noqa: PLC0415 - as above
    from slo.period import parse_period  # noqa: PLC0415 - as above
    from slo.register import find_objective  # noqa: PLC0415 - as above
    from slo.schemas import contribution_document  # noqa: PLC0415 - as above
    from slo.window import MINUTE, whole_minute  # noqa: PLC0415 - as above

    until = whole_minute(services.clock()) + MINUTE
    period = parse_period(window) if window is not None else None
    with session_of(services.engine) as session:
        objective = find_objective(session, name).objective
        gaps = corrected(corrections_of(session, objective), reach(objective, until, period))
    asking = Asking(until, period, gaps)
    found = read_contributions(services.telemetry, objective, by, asking)
    return contribution_document(objective, by, found)


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--at {text!r} is no instant. Write it as 2026-11-22T09:00:00Z.", WRONG_USE)
    if at.tzinfo is None:
        fail("--at needs a zone: 2026-11-22T09:00:00Z.", WRONG_USE)
    return at.astimezone(UTC)
