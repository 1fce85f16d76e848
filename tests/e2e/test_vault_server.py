"""A real server and the vault's commands beside it: what a command destroys, it cannot reveal."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from candor.kernel.clock import utc_now
from candor.kernel.database import open_engine
from candor.kernel.secrets import open_secrets
from candor.kernel.vault_settings import VaultSettings
from privacy.vault.assembly import new_vault
from privacy.vault.vault import StoredVault
from tests.support.server import Server, run_candor, serve
from tests.support.vault import ANNA, BERT, EMAIL

VALUE = "anna.secret@example.org"
REASON = ("--reason", "case 4711")


@contextmanager
def vault_of(folder: Path) -> Iterator[StoredVault]:
    """Give the vault on a server's own stores, as its redactor has it."""
    engine = open_engine(f"sqlite:///{folder}/.candor/state.db")
    secrets = open_secrets(folder / ".candor" / "master.key", may_create=False)
    settings = VaultSettings(register_file=folder / ".candor" / "vault-destroyed.log")
    yield new_vault(engine, secrets, settings, utc_now)
    engine.dispose()


def reveal(server: Server, text: str) -> Any:  # noqa: ANN401 - a JSON document
    body = {"tokens": [{"text": text, "field": EMAIL}], "reason": "case 4711"}
    url = f"{server.url}/api/v1/pii/detokenize"
    answer = httpx.post(url, json=body, headers=server.headers)
    answer.raise_for_status()
    return answer.json()["results"][0]


def test_what_a_command_destroys_a_running_server_cannot_reveal(tmp_path: Path) -> None:
    with serve(tmp_path) as server, vault_of(tmp_path) as vault:
        (text,) = vault.encrypt([VALUE], ANNA, EMAIL)
        (token,) = vault.tokenise([VALUE], "support", ANNA)
        (kept,) = vault.encrypt(["bert"], BERT, EMAIL)
        assert reveal(server, text)["value"] == reveal(server, token)["value"] == VALUE
        shown = run_candor(
            *(tmp_path, "vault", "reveal", token, *REASON),
            *("--url", server.url, "--key", server.key),
        )
        assert shown == f"{VALUE}\n"
        rotated = json.loads(run_candor(tmp_path, "vault", "rotate", "--json"))
        assert rotated["rewrapped"] == 2
        assert reveal(server, text)["value"] == VALUE
        run_candor(tmp_path, "vault", "destroy", "--subject-key", ANNA, *REASON, "--yes")
        assert reveal(server, text)["error"] == "destroyed"
        assert reveal(server, token)["error"] == "unknown"
        assert reveal(server, kept)["value"] == "bert"
        assert VALUE not in server.log()
    with serve(tmp_path) as server:
        assert reveal(server, text)["error"] == "destroyed"
        assert reveal(server, kept)["value"] == "bert"
