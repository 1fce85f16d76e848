"""A real nginx with the shipped configuration asks Candor before it lets a sender send."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import yaml

from tests.support.consent import ANNA, CHECK, EVENTS, act
from tests.support.envoy import check, check_request
from tests.support.programs import ROOT, program
from tests.support.receiver import Receiver, receiver
from tests.support.server import Server, free_port, serve

PATIENCE = 200
BEN = "ben@example.org"
FRAME = """
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
daemon off;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/candor.conf;
}}
"""


@contextmanager
def nginx(folder: Path, server: Server, key: str, sender: Receiver) -> Iterator[str]:
    """Give the address of an nginx with the shipped configuration in front of a sender."""
    binary, port = program("nginx", "nginx"), free_port()
    shipped = (ROOT / "deploy" / "nginx" / "candor.conf").read_text(encoding="utf-8")
    config = (
        shipped.replace("127.0.0.1:8080", server.url.removeprefix("http://"))
        .replace("127.0.0.1:9000", sender.url.removeprefix("http://"))
        .replace("127.0.0.1:8081", f"127.0.0.1:{port}")
    )
    (folder / "candor.conf").write_text(config, encoding="utf-8")
    line = f'proxy_set_header Authorization "Bearer {key}";'
    (folder / "candor-key.conf").write_text(line, encoding="utf-8")
    (folder / "nginx.conf").write_text(FRAME.format(folder=folder), encoding="utf-8")
    command = [binary, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    command += ["-e", str(folder / "error.log")]
    with subprocess.Popen(command) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(url)
            yield url
        finally:
            process.terminate()


def wait_for(url: str) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE):
        try:
            httpx.get(url)
        except httpx.TransportError:
            pause.wait(0.05)
        else:
            return
    raise AssertionError("nginx did not start")


def prepare(server: Server) -> None:
    """Put the purpose that the shipped configuration asks for, as the shipped example has it."""
    shipped = yaml.safe_load((ROOT / "examples" / "consent.yaml").read_text(encoding="utf-8"))
    for kind, name in (("purposes", "newsletter"), ("notices", "newsletter/1")):
        url = f"{server.url}/api/v1/{kind}/{name}"
        answer = httpx.put(url, json=shipped[kind][name], headers=server.headers)
        assert answer.status_code == 201, answer.text


def record(server: Server, action: str, address: str = ANNA["value"]) -> None:
    subject = {"type": "email", "value": address}
    body = act(action, subject=subject, purpose="newsletter")
    answer = httpx.post(server.url + EVENTS, json=body, headers=server.headers)
    assert answer.is_success, answer.text


def send(url: str, recipient: str = ANNA["value"], **headers: str) -> httpx.Response:
    told = {"x-recipient": recipient} | {key.replace("_", "-"): v for key, v in headers.items()}
    return httpx.post(f"{url}/send/newsletter?to=all", content=b"Dear reader", headers=told)


def test_a_sender_behind_nginx_stops_within_one_request_of_a_withdrawal(tmp_path: Path) -> None:
    nginx_folder = tmp_path / "nginx"
    nginx_folder.mkdir()
    with serve(tmp_path) as server, receiver() as sender:
        prepare(server)
        with nginx(nginx_folder, server, server.key, sender) as url:
            assert send(url).status_code == 403
            record(server, "grant")
            for number in range(1, 11):
                allowed = send(url, x_candor_obligations="none", x_candor_decision_id="mine")
                assert (allowed.status_code, len(sender.requests)) == (200, number)
            taken = sender.requests[-1]
            decision = allowed.headers["x-candor-decision-id"]
            assert (taken.path, taken.body) == ("/send/newsletter?to=all", b"Dear reader")
            assert taken.headers["x-candor-decision-id"] == decision
            assert "x-candor-obligations" not in taken.headers
            told = httpx.get(f"{server.url}/api/v1/decisions/{decision}", headers=server.headers)
            assert (told.json()["reason"], told.json()["allow"]) == ("granted", True)

            forged = send(url, "eve@example.org", x_candor_subject=ANNA["value"])
            assert (forged.status_code, forged.headers["x-candor-reason"]) == (403, "never_asked")
            assert send(url, sec_gpc="1").headers["x-candor-reason"] == "gpc"

            record(server, "withdraw")
            denied = send(url)
            assert (denied.status_code, denied.headers["x-candor-reason"]) == (403, "withdrawn")
            assert len(sender.requests) == 10
            check_over_grpc(server)

            record(server, "grant", BEN)
            assert send(url, BEN).status_code == 200
            server.kill()
            assert send(url, BEN).status_code == 500
            assert len(sender.requests) == 11


def check_over_grpc(server: Server) -> None:
    """The same server answers Envoy over gRPC, and says the same."""
    route = {"purpose": "newsletter", "channel": "email", "subject_type": "email"}
    with grpc.insecure_channel(server.grpc) as channel:
        request = check_request(route, {"x-candor-subject": ANNA["value"]})
        verdict = check(channel, request, server.key)
    body = {"subject": ANNA, "purpose": "newsletter", "channel": "email"}
    told = httpx.post(server.url + CHECK, json=body, headers=server.headers).json()
    assert (verdict.status, verdict.headers["x-candor-reason"]) == (403, told["reason"])
