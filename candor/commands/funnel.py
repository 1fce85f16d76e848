"""``candor funnel``: count a funnel that a file describes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url, ask
from candor.commands.console import WRONG_USE, AsJson, fail, print_json, told_errors

if TYPE_CHECKING:
    from candor.kernel.services import Services


def funnel(
    file: Annotated[Path, typer.Argument(help="The query, as YAML or JSON.")],
    url: Url = None,
    key: Key = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Count how far each person or journey instance got through ordered steps.

    Example: candor funnel examples/permit-receipt-funnel.yaml --json
    """
    import json  # noqa: PLC0415 - keeps --help quick

    query = _read(file)

    def remote(client: Client) -> Any:  # noqa: ANN401 - a JSON document
        body = json.dumps(query, default=str).encode()
        return client.post("/api/v1/funnels/query", body, "application/json")

    with told_errors():
        document = ask(url, key, remote, lambda services: _count_here(services, query))
    if as_json:
        print_json(document)
        return
    from candor.terminal import print_funnel  # noqa: PLC0415 - keeps --help quick

    labelled = {
        "steps": _labelled(document["steps"], query),
        "breakdown": {
            value: _labelled(steps, query) for value, steps in document.get("breakdown", {}).items()
        },
    }
    print_funnel(labelled, file.stem)


def _labelled(steps: list[dict[str, Any]], query: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a JSON document
    """Return the steps with what a person would call them: the event, and what it must match."""
    labels = [
        ", ".join(
            [step["event"]] * (step["event"] != "*")
            + [str(value) for value in step.get("where", {}).values()]
        )
        for step in query["steps"]
    ]
    return [step | {"label": label} for step, label in zip(steps, labels, strict=True)]


def _read(file: Path) -> Any:  # noqa: ANN401 - a JSON document
    import yaml  # noqa: PLC0415 - keeps --help quick

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        fail(
            f"{file} cannot be read ({type(error).__name__}). Give a YAML or JSON file.", WRONG_USE
        )


def _count_here(services: "Services", query: object) -> dict[str, Any]:
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.input_faults import faults_of  # noqa: PLC0415 - as above
    from slo.journeys.funnel import tally  # noqa: PLC0415 - as above
    from slo.journeys.schemas import FunnelBody, funnel_document  # noqa: PLC0415 - as above
    from slo.journeys.store import read_units  # noqa: PLC0415 - as above

    try:
        body = FunnelBody.model_validate(query)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        places = [one.sentence for one in faults_of(faults)]
        fail("The query cannot be meant:\n" + "\n".join(places), WRONG_USE)
    meant = body.query(services.clock())
    total, groups = tally(read_units(services.telemetry, meant), len(meant.steps), meant.window)
    return funnel_document(body, total, groups)
