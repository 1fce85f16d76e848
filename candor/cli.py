"""The ``candor`` command: names the subcommands and imports nothing heavy."""

import gc

import typer

from candor.commands import (
    alerts,
    audit,
    checks,
    consent,
    contract,
    demo,
    funnel,
    ingest,
    keys,
    pii,
    quarantine,
    run,
    slo,
    vault,
)

_COLLECTION_THRESHOLDS = (50_000, 20, 20)

app = typer.Typer(
    help="Measure customer journeys, and prove the promises made about them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run.serve)
app.command()(run.work)
app.command()(run.migrate)
app.command()(run.check)
app.command()(run.openapi)
app.command()(demo.demo)
app.command()(ingest.ingest)
app.command()(funnel.funnel)
app.add_typer(checks.app, name="checks")
app.add_typer(keys.app, name="keys")
app.add_typer(consent.app, name="consent")
app.add_typer(contract.app, name="contract")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(slo.app, name="slo")
app.add_typer(alerts.app, name="alerts")
app.add_typer(audit.app, name="audit")
app.add_typer(pii.app, name="pii")
app.add_typer(vault.app, name="vault")


def main() -> None:
    """Run the command line, with less garbage collection than is usual.

    What a process imports lives as long as it does: to look for cycles in it took a fifth of the
    start of a server. A request leaves next to none behind.
    """
    gc.set_threshold(*_COLLECTION_THRESHOLDS)
    app()
