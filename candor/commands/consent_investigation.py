"""``candor consent blast-radius`` and ``replay``: what past decisions are worth today."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.commands.asking import Client, Key, Url
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    print_json,
    told_errors,
)

if TYPE_CHECKING:
    from datetime import datetime

    from privacy.investigation.blast_radius import Evidence

app = typer.Typer()
Since = Annotated[str | None, typer.Option("--since", help="Decisions from then on, RFC 3339.")]
Until = Annotated[str | None, typer.Option("--until", help="Decisions before that, RFC 3339.")]
_PATH = "/api/v1/consent/blast-radius"
_JSON = "application/json"


@app.command("blast-radius")
def blast_radius(  # noqa: PLR0913 - each is an option of the command
    url: Url = None,
    key: Key = None,
    *,
    notice: Annotated[str | None, typer.Option("--notice", help="A notice: key/version.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Where it was said.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who acted or recorded.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="One consent by its id.")] = None,
    since: Since = None,
    until: Until = None,
    persons: Annotated[
        bool, typer.Option("--persons", help="List who was affected, one JSON object a line.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which uses relied on consents that are found invalid, and which needed none of them.

    Without --url it opens the stores itself, which a running embedded server does not allow.

    Example: candor consent blast-radius --notice newsletter/3 --since 2026-11-01T00:00:00Z
    """
    asked = {"notice": notice, "source": source, "actor": actor, "event": event}
    body = {k: v for k, v in (asked | {"since": since, "until": until}).items() if v is not None}
    with told_errors():
        if persons:
            for line in _persons(url, key, body):
                typer.echo(line)
            return
        answer = _measure(url, key, body)
    if as_json:
        print_json(answer)
        return
    typer.echo(f"{answer['consents']} consents of {answer['persons']} persons are invalid.")
    typer.echo(
        f"{answer['uses']} uses of {answer['persons_affected']} persons relied on them,"
        f" {answer['otherwise_allowed']} of which would have been allowed without."
    )
    if answer["uses"]:
        typer.echo(f"first {answer['first_use']}, last {answer['last_use']}")
    for name in ("purpose", "channel", "stage", "recipient"):
        for value, count in sorted(answer[f"by_{name}"].items()):
            typer.echo(f"  {name} {value or '-'}: {count}")


@app.command("replay")
def replay(
    url: Url = None,
    key: Key = None,
    *,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Make logged decisions again from the ledger; name what differs, and exit 1 if any does.

    Example: candor consent replay --since 2026-11-01T00:00:00Z
    """
    asked = {"since": since, "until": until}
    body = {name: value for name, value in asked.items() if value is not None}
    with told_errors():
        answer = _replay(url, key, body)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"{answer['replayed']} decisions made again, {answer['differing']} differ")
        for one in answer["differences"]:
            logged, again = one["logged"]["reason"], one["replay"]["reason"]
            typer.echo(f"{one['decision_id']}: {logged} in the log, {again} by the ledger")
    if answer["differing"]:
        raise typer.Exit(FAILED)


def _measure(url: str | None, key: str | None, body: dict[str, Any]) -> dict[str, Any]:
    if url is not None:
        told: dict[str, Any] = Client(url, key).post(_PATH, json.dumps(body).encode(), _JSON)
        return told
    from privacy.investigation import schemas  # noqa: PLC0415 - keeps --help quick
    from privacy.investigation.blast_radius import blast_radius as measure  # noqa: PLC0415 - as above

    asked = _read(schemas.DoubtBody, body)
    with _evidence() as (evidence, now):
        doubt, span = asked.doubt(), asked.span(now)
        return schemas.radius_document(measure(evidence, doubt, span), asked, span)


def _persons(url: str | None, key: str | None, body: dict[str, Any]) -> Iterator[str]:
    if url is not None:
        text = json.dumps(body).encode()
        yield from Client(url, key).lines(f"{_PATH}/persons", text, _JSON)
        return
    from privacy.investigation import schemas  # noqa: PLC0415 - keeps --help quick
    from privacy.investigation.blast_radius import affected_persons  # noqa: PLC0415 - as above

    asked = _read(schemas.DoubtBody, body)
    with _evidence() as (evidence, now):
        for subject_key, tally in affected_persons(evidence, asked.doubt(), asked.span(now)):
            yield json.dumps(schemas.person_document(subject_key, tally))


def _replay(url: str | None, key: str | None, body: dict[str, Any]) -> dict[str, Any]:
    if url is not None:
        path = "/api/v1/consent/replay"
        told: dict[str, Any] = Client(url, key).post(path, json.dumps(body).encode(), _JSON)
        return told
    from privacy.investigation import schemas  # noqa: PLC0415 - keeps --help quick
    from privacy.investigation.drift import replay as make_again  # noqa: PLC0415 - as above

    asked = _read(schemas.SpanBody, body)
    with _evidence() as (evidence, now):
        span = asked.span(now)
        return schemas.drift_document(make_again(evidence, span), span)


def _read(kind: Any, body: dict[str, Any]) -> Any:  # noqa: ANN401 - one of the bodies
    from pydantic import ValidationError  # noqa: PLC0415 - keeps --help quick

    from candor.commands.console import told_fault  # noqa: PLC0415 - as above

    try:
        return kind.model_validate(body)
    except ValidationError as error:
        fail(told_fault(error), WRONG_USE)


@contextmanager
def _evidence() -> "Iterator[tuple[Evidence, datetime]]":
    """Give the stores of this machine, with everything that was decided up to now."""
    from candor.kernel.errors import ConflictError  # noqa: PLC0415 - keeps --help quick
    from candor.wiring import open_installation  # noqa: PLC0415 - as above
    from privacy.investigation.blast_radius import Evidence  # noqa: PLC0415 - as above

    try:
        with open_installation(installed_settings()) as installation:
            services, consent = installation.services, installation.consent
            consent.log.flush()
            evidence = Evidence(services.engine, consent.policies, services.telemetry)
            yield evidence, services.clock()
    except ConflictError as error:
        fail(f"{error.detail} Ask a running server with --url.", WRONG_USE)
