"""``candor keys``: make, list and withdraw API keys, also beside a running server."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from candor.commands.console import WRONG_USE, AsJson, fail, print_json, say, settings, told_errors

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from candor.kernel.secrets import Secrets
    from candor.kernel.security import ApiKey, NewKey, PublicTerms
    from candor.kernel.settings import Settings

app = typer.Typer(help="Make, list and withdraw API keys.", no_args_is_help=True)
_LIFETIME = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@app.command("create")
def create(  # noqa: PLR0913 - each is an option of the command
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option("--scope", help="What it opens; repeatable.")],
    expires: Annotated[
        str | None, typer.Option("--expires", help="Lifetime such as 12h, 90d or 8w.")
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option("--origin", help="Public key: an origin that may use it; repeatable."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option("--per-minute", help="Public key: requests a minute; 6000 if not said."),
    ] = None,
    *,
    requires_consent: Annotated[
        bool,
        typer.Option("--requires-consent", help="Public key: take nothing without consent."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once.

    Example: candor keys create web-shop --scope ingest --expires 90d
    In a page: candor keys create pages --scope ingest:public --origin https://shop.example.org
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.security import create_key  # noqa: PLC0415 - as above

    lifetime = _lifetime(expires) if expires is not None else None
    with told_errors(), open_state(settings()) as (session, secrets):
        made = create_key(
            session,
            secrets,
            name=name,
            scopes=scope,
            at=utc_now(),
            lifetime=lifetime,
            public=_terms(origin or [], per_minute, requires_consent=requires_consent),
        )
    if as_json:
        print_json(_shown(made))
        return
    typer.echo(made.key)
    say("Keep it now: it is not stored and cannot be shown again.")


@app.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List every key, without the keys themselves.

    Example: candor keys list --json
    """
    from candor.kernel.security import all_keys  # noqa: PLC0415 - keeps --help quick

    with told_errors(), open_state(settings()) as (session, _):
        keys = all_keys(session)
    if as_json:
        print_json([_document(key) for key in keys])
        return
    if not keys:
        say("There is no key yet. Make one: candor keys create NAME --scope ingest")
    for key in keys:
        document = _document(key)
        state = f"revoked {document['revoked_at']}" if key.revoked_at else "valid"
        until = f", expires {document['expires_at']}" if key.expires_at else ""
        where = f", from {' '.join(key.public.origins)}" if key.public else ""
        typer.echo(f"{key.id}  {key.name}  {' '.join(sorted(key.scopes))}  {state}{until}{where}")


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `candor keys list` shows.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Withdraw a key; returns when no running server accepts it any more.

    Example: candor keys revoke 3f9a0c1b2d4e5f60
    """
    from candor.kernel.clock import utc_now  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.security import revoke_key  # noqa: PLC0415 - as above

    effective = settings()
    with told_errors(), open_state(effective) as (session, _):
        record = revoke_key(session, key_id, utc_now())
    time.sleep(effective.auth.key_cache.total_seconds())
    if as_json:
        print_json(_document(record))
        return
    typer.echo(f"{record.id} ({record.name}) opens nothing any more.")


@contextmanager
def open_state(effective: "Settings") -> "Iterator[tuple[Session, Secrets]]":
    """Give a transaction on the state store; embedded stores get their tables first."""
    from candor.kernel.database import session_of  # noqa: PLC0415 - keeps --help quick

    with prepared_state(effective) as (engine, secrets), session_of(engine) as session:
        yield session, secrets


@contextmanager
def prepared_state(effective: "Settings") -> "Iterator[tuple[Engine, Secrets]]":
    """Give the state store with its secrets; embedded stores get their tables first."""
    from candor.kernel.database import open_engine  # noqa: PLC0415 - keeps --help quick
    from candor.kernel.migrate import migrate_state  # noqa: PLC0415 - as above
    from candor.kernel.secrets import open_secrets  # noqa: PLC0415 - as above

    secrets = open_secrets(
        effective.master_key_file,
        may_create=effective.is_embedded,
        phone_region=effective.identifiers.phone_region,
    )
    engine = open_engine(effective.state_dsn)
    try:
        if effective.is_embedded:
            migrate_state(engine)
        yield engine, secrets
    finally:
        engine.dispose()


def _lifetime(text: str) -> timedelta:
    match = _LIFETIME.fullmatch(text)
    if match is None:
        fail(f"--expires {text!r} is no lifetime. Write it as 30m, 12h, 90d or 8w.", WRONG_USE)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _terms(
    origins: list[str], per_minute: int | None, *, requires_consent: bool
) -> "PublicTerms | None":
    """Return the terms of a public key if any was named."""
    from candor.kernel.security import PublicTerms  # noqa: PLC0415 - keeps --help quick

    if not origins and per_minute is None and not requires_consent:
        return None
    terms = PublicTerms(tuple(origins), requires_consent=requires_consent)
    return terms if per_minute is None else replace(terms, per_minute=per_minute)


def _shown(made: "NewKey") -> dict[str, object]:
    """Return a new key as JSON; only a public one has terms."""
    document = _document(made.record)
    shown = ["id", "name", "key", "scopes", "expires_at"]
    if made.record.public is not None:
        shown += ["origins", "per_minute", "requires_consent"]
    return {name: (document | {"key": made.key})[name] for name in shown}


def _document(key: "ApiKey") -> dict[str, object]:
    public = key.public
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
        "origins": list(public.origins) if public else [],
        "per_minute": public.per_minute if public else None,
        "requires_consent": public is not None and public.requires_consent,
    }
