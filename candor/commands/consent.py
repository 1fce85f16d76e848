"""``candor consent``: record what persons allow, ask whether a use is allowed, and show both."""

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from candor.commands import (
    consent_investigation,
    consent_moving,
    consent_reconcile,
    consent_subscribers,
)
from candor.commands.asking import Client, Key, Url
from candor.commands.consent_moving import DryRun, read_file
from candor.commands.consent_state import ACTOR, open_ledger
from candor.commands.console import (
    FAILED,
    WRONG_USE,
    AsJson,
    fail,
    installed_settings,
    print_json,
    say,
    told_errors,
)

app = typer.Typer(help="What persons allow, and whether a use is allowed.", no_args_is_help=True)
app.add_typer(consent_moving.app)
app.add_typer(consent_investigation.app)
app.add_typer(consent_reconcile.app)
app.add_typer(consent_subscribers.app, name="subscribers")
Person = Annotated[str, typer.Argument(help="Type and value: email:customer-1@example.org.")]
Purpose = Annotated[str, typer.Argument(help="The key of a purpose.")]
Channel = Annotated[str | None, typer.Option("--channel", help="On this channel alone.")]


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="YAML with purposes and notices.")],
    url: Url = None,
    key: Key = None,
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put purposes and notices, all or none, and show what changes.

    Example: candor consent apply purposes.yaml --dry-run
    """
    text = read_file(file)
    with told_errors():
        if url is not None:
            path = f"/api/v1/purposes/apply?dry_run={int(dry_run)}"
            answer = Client(url, key).post(path, text, "application/yaml")
        else:
            with open_ledger() as state:
                answer = state.apply(text, dry_run=dry_run)
    if as_json:
        print_json(answer)
        return
    for one in answer["changes"]:
        typer.echo(f"{one['change']}: {one['kind']} {one['name']}")
        for name, values in one["fields"].items():
            typer.echo(f"  {name}: {values['before']} -> {values['after']}")
        for stale in one["stale_for"]:
            typer.echo(f"  earlier consent does not hold for: {stale}")


@app.command("record")
def record(  # noqa: PLR0913 - each is an option of the command
    person: Person,
    purpose: Annotated[str, typer.Argument(help="The key of a purpose, or '*' for every one.")],
    action: Annotated[str, typer.Argument(help="grant, withdraw, object, refuse or expire.")],
    url: Url = None,
    key: Key = None,
    *,
    channel: Channel = None,
    source: Annotated[str, typer.Option("--source", help="Where it was said.")] = "agent",
    at: Annotated[str | None, typer.Option("--at", help="2026-11-20T08:14:00Z; now.")] = None,
    notice: Annotated[str | None, typer.Option("--notice", help="newsletter/3, as shown.")] = None,
    locale: Annotated[str | None, typer.Option("--locale", help="Language shown: de.")] = None,
    jurisdiction: Annotated[str | None, typer.Option("--jurisdiction", help="AU, US-CA.")] = None,
    evidence: Annotated[str | None, typer.Option("--evidence", help="Reference or hash.")] = None,
    method: Annotated[str | None, typer.Option("--method", help="How: checkbox, call.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", help="Who wrote it down.")] = None,
    as_json: AsJson = False,
) -> None:
    """Append one act to the ledger. A grant needs --at and --notice; what only restricts, neither.

    Examples: candor consent record email:customer-1@example.org newsletter grant
    --at 2026-11-20T08:14:00Z --notice newsletter/1 --locale en --source preference_centre

    candor consent record email:customer-1@example.org newsletter withdraw --channel email
    """
    said = {"channel": channel, "source": source, "at": at, "notice": notice, "locale": locale}
    said |= {"jurisdiction": jurisdiction, "evidence": evidence, "method": method, "actor": actor}
    body = {"subject": _subject(person), "purpose": purpose, "action": action}
    body |= {name: value for name, value in said.items() if value is not None}
    with told_errors():
        if url is not None:
            text = json.dumps(body).encode()
            answer = Client(url, key).post("/api/v1/consent/events", text, "application/json")
        else:
            with open_ledger() as state:
                answer = state.record(body)
    if as_json:
        print_json(answer)
    else:
        typer.echo(f"recorded {answer['action']} of {answer['purpose']} as {answer['id']}")


@app.command("check")
def check(  # noqa: PLR0913 - each is an option of the command
    person: Person,
    purpose: Purpose,
    url: Url = None,
    key: Key = None,
    *,
    channel: Channel = None,
    stage: Annotated[str, typer.Option("--stage", help="entry or send.")] = "send",
    jurisdiction: Annotated[
        list[str] | None, typer.Option("--jurisdiction", help="Repeatable; the strictest counts.")
    ] = None,
    recipient: Annotated[str | None, typer.Option("--recipient", help="Who receives it.")] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="What was answered then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a use is allowed; exit 1 when it is not. The decision is logged like any other.

    Without --url it opens the stores itself, which a running embedded server does not allow.

    Example: candor consent check email:customer-1@example.org marketing --channel email
    """
    body = {
        "subject": _subject(person),
        "purpose": purpose,
        "channel": channel,
        "stage": stage,
        "jurisdiction": jurisdiction or None,
        "recipient": recipient,
        "as_of": as_of,
    }
    text = json.dumps(body).encode()
    with told_errors():
        if url is not None:
            client = Client(url, key)
            answer = client.post("/api/v1/consent/check", text, "application/json")
        else:
            answer = _check_here(text)
    if as_json:
        print_json(answer)
    else:
        word = "allowed" if answer["allow"] else "denied"
        typer.echo(f"{word}: {answer['reason']} ({answer['rule']}), {answer['decision_id']}")
        if "detail" in answer:
            say(answer["detail"])
    if not answer["allow"]:
        raise typer.Exit(FAILED)


@app.command("show")
def show(
    person: Person,
    url: Url = None,
    key: Key = None,
    *,
    history: Annotated[bool, typer.Option("--history", help="Every act, newest last.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a person allows, by purpose and channel.

    Example: candor consent show email:customer-1@example.org --history
    """
    told = "history" if history else "consents"
    with told_errors():
        if url is not None:
            path = f"/api/v1/subjects/{told}?{urlencode(_subject(person))}"
            answer = Client(url, key).get(path)
        else:
            with open_ledger(may_create=False) as state:
                answer = state.show(_subject(person), history=history)
    if as_json:
        print_json(answer)
        return
    if not answer:
        say("Nothing is on record.")
    for one in answer:
        scope = f"{one['purpose']} on {one['channel'] or 'every channel'}"
        state_or_act = one["action"] if history else one["state"]
        since = one["at"] if history else one["since"]
        typer.echo(f"{since}  {scope}: {state_or_act}  ({one['source']}, {one['notice'] or '-'})")


def _subject(person: str) -> dict[str, str]:
    kind, separator, value = person.partition(":")
    if not separator or not value:
        fail("Name a person as type:value, such as email:customer-1@example.org.", WRONG_USE)
    return {"type": kind, "value": value}


def _check_here(text: bytes) -> dict[str, Any]:
    """Return the answer of the stores of this machine; the decision goes to their log."""
    import asyncio  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.errors import ConflictError  # noqa: PLC0415 - as above
    from candor.wiring import open_installation  # noqa: PLC0415 - as above
    from privacy.consent.answering import answer_check  # noqa: PLC0415 - as above

    try:
        with open_installation(installed_settings()) as installation:
            services, checker = installation.services, installation.consent.checker
            told, _ = asyncio.run(
                answer_check(checker, services.secrets, services.clock(), text, ACTOR, gpc=False)
            )
    except ConflictError as error:
        fail(error.detail, WRONG_USE)
    answer: dict[str, Any] = json.loads(told)
    return answer
