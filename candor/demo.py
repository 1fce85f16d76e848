"""The main job on a month of simulated traffic, through the real doors of a real server."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import typer
import yaml

from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine, session_of
from candor.kernel.errors import ConflictError, UnavailableError
from candor.kernel.migrate import migrate_state
from candor.kernel.secrets import open_secrets
from candor.kernel.security import create_key
from candor.kernel.settings import Settings, load_settings
from candor.simulator import Simulation
from candor.terminal import print_funnel, print_objectives

DATA = Path(".candor/demo")
_BATCH = 500
_CONNECTIONS = 4
_START_SECONDS = 60
_PROBE_SECONDS = 2
_SEGMENT_JOURNEY = "onboarding"
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the doors said about everything that was sent."""

    accepted: int
    deduplicated: int
    rejected: int


def run_demo(events: int, *, once: bool, port: int, advance: Callable[[int, int], None]) -> None:
    """Start a server on fresh data, send a month of events, print the summary, keep serving.

    ``advance`` hears how many of how many events were sent. With ``once`` it ends after the
    summary; otherwise with Ctrl-C.

    Raises:
        CandorError: the server does not start, or refuses what it must take.
    """
    settings = _fresh_settings(port)
    key = _make_key(settings)
    with _server(settings) as process, _client(settings, key) as client:
        _wait_until_ready(client, process)
        simulated = Simulation(utc_now(), events).run()
        started = time.monotonic()
        sent = _send(client, simulated, lambda done: advance(done, len(simulated)))
        elapsed = time.monotonic() - started
        client.post("/api/v1/events", json=[], headers={"x-candor-sync": "1"}).raise_for_status()
        typer.echo(
            f"{len(simulated):,} events sent in {elapsed:.1f} s: {sent.accepted:,} accepted,"
            f" {sent.deduplicated:,} deduplicated, {sent.rejected:,} rejected. All can be queried."
        )
        print_summary(client)
        _print_addresses(settings, key)
        if not once:
            _serve_until_interrupted(process)


def print_summary(client: httpx.Client) -> None:
    """Apply the shop's objectives and print how they and its checkout funnel stand."""
    _checked(
        client.post(
            "/api/v1/objectives/apply",
            content=example("shop-objectives.yaml"),
            headers={"content-type": "application/yaml"},
        )
    )
    documents = _checked(client.get("/api/v1/objectives"))
    print_objectives(
        [
            {
                "budget": _checked(client.get(f"/api/v1/objectives/{one['name']}/budget")),
                "burn": _checked(client.get(f"/api/v1/objectives/{one['name']}/burn")),
                "alert_policies": one["alert_policies"],
            }
            for one in documents
            if one["service"] != "candor"
        ]
    )
    query = yaml.safe_load(example("checkout-funnel.yaml"))
    print_funnel(_checked(client.post("/api/v1/funnels/query", json=query)), "Checkout funnel")


def example(name: str) -> str:
    """Return the text of an example that ships with Candor."""
    here = Path(__file__).parent
    shipped = here / "examples" / name
    return (shipped if shipped.exists() else here.parent / "examples" / name).read_text("utf-8")


def _fresh_settings(port: int) -> Settings:
    """Return settings on a folder of the demo's own; what an earlier demo left there is removed."""
    shutil.rmtree(DATA, ignore_errors=True)
    return load_settings(
        telemetry_dsn=f"chdb:///{DATA}/telemetry",
        state_dsn=f"sqlite:///{DATA}/state.db",
        spool_dir=DATA / "spool",
        master_key_file=DATA / "master.key",
        port=port,
        grpc_port=0,
        vault={"register_file": DATA / "vault-destroyed.log"},
        pii={"cache_dir": DATA / "pii"},
    )


def _make_key(settings: Settings) -> str:
    secrets = open_secrets(settings.master_key_file, may_create=True)
    engine = open_engine(settings.state_dsn)
    try:
        migrate_state(engine)
        with session_of(engine) as session:
            scopes = ("ingest", "slo:read", "slo:write")
            return create_key(session, secrets, name="demo", scopes=scopes, at=utc_now()).key
    finally:
        engine.dispose()


@contextmanager
def _server(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    environment = os.environ | {
        "CANDOR_TELEMETRY_DSN": settings.telemetry_dsn,
        "CANDOR_STATE_DSN": settings.state_dsn,
        "CANDOR_SPOOL_DIR": str(settings.spool_dir),
        "CANDOR_MASTER_KEY_FILE": str(settings.master_key_file),
        "CANDOR_VAULT__REGISTER_FILE": str(settings.vault.register_file),
        "CANDOR_PII__CACHE_DIR": str(settings.pii.cache_dir),
        "CANDOR_HOST": settings.host,
        "CANDOR_PORT": str(settings.port),
        "CANDOR_GRPC_PORT": str(settings.grpc_port),
        "CANDOR_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "candor", "serve"]
    with subprocess.Popen(  # noqa: S603 - our own program, no outside input
        command, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def _client(settings: Settings, key: str) -> Iterator[httpx.Client]:
    address = f"http://{settings.host}:{settings.port}"
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
        yield client


def _wait_until_ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ConflictError("The demo's server did not start; it says why above.")
        try:
            if client.get("/readyz", timeout=_PROBE_SECONDS).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise UnavailableError("The demo's server did not become ready in a minute.")


def _send(client: httpx.Client, events: list[dict[str, Any]], advance: Advance) -> Sent:
    """Send events in their order: one journey through the Segment door, the others natively."""
    accepted = deduplicated = rejected = 0
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        for size, answer in pool.map(lambda batch: _send_batch(client, batch), _batches(events)):
            accepted += answer["accepted"]
            deduplicated += answer["deduplicated"]
            rejected += len(answer["rejected"])
            advance(size)
    return Sent(accepted, deduplicated, rejected)


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for segment in (False, True):
        chosen = (one for one in events if (one["journey"] == _SEGMENT_JOURNEY) is segment)
        while batch := list(islice(chosen, _BATCH)):
            yield batch


def _send_batch(client: httpx.Client, batch: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    if batch[0]["journey"] == _SEGMENT_JOURNEY:
        path, document = "/v1/batch", json.dumps({"batch": [_as_call(one) for one in batch]})
    else:
        path, document = "/api/v1/events", json.dumps(batch)
    headers = {"content-type": "application/json"}
    return len(batch), _checked(client.post(path, content=document, headers=headers))


def _as_call(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the ``track`` call that a Segment library would make of it."""
    fields = ("journey", "instance", "step", "outcome", "channel", "service", "duration_ms")
    return {
        "type": "track",
        "messageId": event["id"],
        "event": event["name"],
        "timestamp": event["time"],
        "userId": event["subject"]["value"],
        "properties": {name: event[name] for name in fields} | event["attributes"],
    }


def _checked(answer: httpx.Response) -> Any:  # noqa: ANN401 - a JSON document
    if answer.is_error:
        raise UnavailableError(f"The server answered {answer.status_code} to the demo.")
    return answer.json()


def _print_addresses(settings: Settings, key: str) -> None:
    address = f"http://{settings.host}:{settings.port}"
    typer.echo(f"API       {address}/docs")
    typer.echo(f"Metrics   {address}/metrics")
    typer.echo(f"Try       curl -H 'Authorization: Bearer {key}' {address}/api/v1/objectives")


def _serve_until_interrupted(process: "subprocess.Popen[bytes]") -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        typer.echo("Serving until Ctrl-C.")
        process.wait()
    except KeyboardInterrupt:
        typer.echo("Stopped.")
