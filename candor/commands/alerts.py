"""``candor alerts``: what fires, and whether the targets hear of it."""

from typing import TYPE_CHECKING, Any

import typer

from candor.commands.asking import Client, Key, Url, ask
from candor.commands.console import FAILED, AsJson, print_json, say, settings, told_errors

if TYPE_CHECKING:
    from candor.kernel.services import Services

app = typer.Typer(help="Alerts on error budgets.", no_args_is_help=True)


@app.command("list")
def list_alerts(url: Url = None, key: Key = None, *, as_json: AsJson = False) -> None:
    """Show alerts, newest first, each by the id that acknowledging takes.

    Example: candor alerts list --url https://candor.example.org
    """

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        return client.get("/api/v1/alerts")

    with told_errors():
        alerts = ask(url, key, remote, _alerts_here)
    if as_json:
        print_json(alerts)
        return
    for one in alerts:
        typer.echo(
            f"{one['id']}  {one['state']:13} {one['severity']:7} {one['objective']}"
            f"  {one['fired_at']}  {one['summary']}"
        )
    if not alerts:
        say("No alert has fired yet.")


@app.command("test")
def rehearse(*, as_json: AsJson = False) -> None:
    """Send a test message to every target; exit 1 when one does not take it, or none is set.

    Example: candor alerts test
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from slo.alerts import rehearsal  # noqa: PLC0415 - as above

    outcomes = rehearsal.rehearse(settings(), utc_now())
    if as_json:
        print_json(outcomes)
    else:
        for outcome in outcomes:
            typer.echo(f"{outcome['target']}: {outcome['outcome']}")
        if not outcomes:
            say(
                "No target is set: CANDOR_ALERTMANAGER__URLS, CANDOR_WEBHOOKS, CANDOR_NOTIFY__URLS."
            )
    if not outcomes or not all(outcome["taken"] for outcome in outcomes):
        raise typer.Exit(FAILED)


def _alerts_here(services: "Services") -> list[dict[str, Any]]:
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick
    from slo.alerts import schemas, store  # noqa: PLC0415 - as above

    with session_of(services.engine) as session:
        alerts = store.list_alerts(session, state=None, objective=None)
        return [schemas.alert_document(alert) for alert in alerts]
