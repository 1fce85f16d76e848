"""``candor slo``: validate and apply objectives, and see how they stand."""

from datetime import UTC, datetime
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
    told_errors,
)

if TYPE_CHECKING:
    from candor.kernel.services import Services

app = typer.Typer(help="Objectives, error budgets and burn rates.", no_args_is_help=True)
app.command("gate")(gate.gate)
Paths = Annotated[list[Path], typer.Argument(help="OpenSLO files, or folders of them.")]


@app.command("validate")
def validate(paths: Paths, *, as_json: AsJson = False) -> None:
    """Check OpenSLO documents; exit 1 on any error.

    Example: candor slo validate objectives/
    """
    from slo.openslo import finding_document, has_errors, read_openslo  # noqa: PLC0415 - quick --help

    _, findings = read_openslo(_texts(paths))
    if as_json:
        print_json([finding_document(name, finding) for name, finding in findings])
    for name, finding in [] if as_json else findings:
        place = finding.path or "document"
        typer.echo(f"{name}:{finding.line}: {place}: {finding.rule}: {finding.message}")
    if has_errors(findings):
        raise typer.Exit(FAILED)
    if not as_json:
        say("Valid.")


@app.command("apply")
def apply(paths: Paths, url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Apply OpenSLO documents: all of them, or none when one has an error.

    Example: candor slo apply objectives/checkout.yaml
    """
    texts = _texts(paths)

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        body = "\n---\n".join(texts.values()).encode()
        return client.post("/api/v1/objectives/apply", body, "application/yaml")

    with told_errors():
        answer = remote(Client(url, key)) if url is not None else _apply_here(texts)
    if as_json:
        print_json(answer)
        return
    for word in ("created", "changed", "unchanged"):
        for name in answer[word]:
            typer.echo(f"{word}: {name}")


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
        names = [one["name"] for one in documents if name in {None, one["name"]}]
        return [
            {
                "budget": client.get(f"/api/v1/objectives/{quote(one)}/budget{asked}"),
                "burn": client.get(f"/api/v1/objectives/{quote(one)}/burn{asked}"),
            }
            for one in names
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
    if not 0 < ratio < 1:
        fail("A target lies between 0 and 1; 1 leaves no error budget.", WRONG_USE)
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


def _texts(paths: list[Path]) -> dict[str, str]:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    if not files:
        fail("There is no .yaml or .yml file in that folder.", WRONG_USE)
    try:
        return {str(file): file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        fail(f"A file cannot be read ({type(error).__name__}). Name OpenSLO files.", WRONG_USE)


def _apply_here(texts: dict[str, str]) -> dict[str, Any]:
    from candor.commands.console import settings  # noqa: PLC0415 - as above
    from candor.commands.keys import open_state  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from slo.openslo import has_errors, read_openslo  # noqa: PLC0415 - as above
    from slo.register import apply_objectives  # noqa: PLC0415 - as above

    objectives, findings = read_openslo(texts)
    if has_errors(findings):
        fail("The documents have errors; nothing was applied. See: candor slo validate")
    with open_state(settings()) as (session, _):
        difference = apply_objectives(session, objectives, utc_now())
    return {
        "created": difference.created,
        "changed": difference.changed,
        "unchanged": difference.unchanged,
        "removed": [],
    }


def _status_here(services: "Services", name: str | None, at: str | None) -> list[dict[str, Any]]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from slo.correction import corrected  # noqa: PLC0415 - as above
    from slo.evaluation import read_budget, read_burn  # noqa: PLC0415 - as above
    from slo.governance.store import corrections_of  # noqa: PLC0415 - as above
    from slo.register import all_objectives  # noqa: PLC0415 - as above
    from slo.schemas import budget_document, burn_document  # noqa: PLC0415 - as above
    from slo.window import MINUTE, rolling, whole_minute  # noqa: PLC0415 - as above

    until = _instant(at) if at is not None else whole_minute(services.clock()) + MINUTE
    with session_of(services.engine) as session:
        objectives = [
            one.objective for one in all_objectives(session) if name in {None, one.objective.name}
        ]
        gaps = {
            one.name: corrected(corrections_of(session, one), rolling(one.window, until))
            for one in objectives
        }
    telemetry = services.telemetry
    burns = read_burn(telemetry, objectives, until, gaps)
    return [
        {
            "budget": budget_document(
                one, read_budget(telemetry, one, rolling(one.window, until), gaps[one.name])
            ),
            "burn": burn_document(one, burn),
        }
        for one, burn in zip(objectives, burns, strict=True)
    ]


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--at {text!r} is no instant. Write it as 2026-11-22T09:00:00Z.", WRONG_USE)
    if at.tzinfo is None:
        fail("--at needs a zone: 2026-11-22T09:00:00Z.", WRONG_USE)
    return at.astimezone(UTC)
