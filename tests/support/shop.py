"""A small shop on the loopback, for synthetic checks to walk through."""

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PASSWORD = "correct-horse"
CANARY = "canary-7f3a@example.org"
"""Stands in every body; whatever keeps it has kept a body."""


@dataclass(slots=True)
class Shop:
    """One running shop: what it was asked, and how it is broken."""

    url: str
    asked: list[str] = field(default_factory=list)
    payment_fails: bool = False
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def open_shop(tls: ssl.SSLContext | None = None) -> Iterator[Shop]:
    """Serve a shop until the end of the block."""
    shop = Shop("")

    class Bound(_Handler):
        pass

    Bound.shop = shop
    with ThreadingHTTPServer(("127.0.0.1", 0), Bound) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        shop.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield shop
        finally:
            shop.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shop: Shop

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.shop.asked.append(path)
        if path == "/search":
            found = [{"title": "Returns", "score": 0.9, "open": True, "next": None}]
            self._answer(200, {"found": found, "mail": CANARY})
        elif path == "/moved":
            self._answer(302, {}, {"Location": "/search?q=moved"})
        elif path == "/loop":
            self._answer(302, {}, {"Location": "/loop"})
        elif path == "/large":
            self._answer(200, {"large": "x" * (5 << 20)})
        elif path == "/slow":
            self.shop.closing.wait(60)
        elif path == "/drip":
            self._drip()
        else:
            self._answer(404, {"mail": CANARY})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.shop.asked.append(path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        signed_in = "session=s1" in self.headers.get("Cookie", "")
        if path == "/login":
            known = parse_qs(body).get("password") == [PASSWORD]
            page = f"<p>{CANARY}</p><input name=csrf value=tok1>"
            cookie = {"Set-Cookie": "session=s1; HttpOnly"} if known else {}
            self._answer(200 if known else 401, page, cookie)
        elif path == "/echo":
            self._answer(200, body)
        elif path == "/cart" and signed_in and json.loads(body)["csrf"] == "tok1":
            cart = {"cart": {"id": 7}, "ok": True, "mail": CANARY}
            self._answer(201, cart, {"X-Token": "secret-token"})
        elif path == "/cart/7/payment" and self.headers.get("X-Token") == "secret-token":
            self._answer(500 if self.shop.payment_fails else 200, {"mail": CANARY})
        else:
            self._answer(403, {"mail": CANARY})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
        """Say nothing."""

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:  # noqa: ANN401 - any JSON value
        page = document if isinstance(document, str) else json.dumps(document)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(page)))
        self.send_header("X-Shop", "open")
        self.end_headers()
        self.wfile.write(page.encode())

    def _drip(self) -> None:
        """Send a header now and then, and never the last."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        number = 0
        while not self.shop.closing.wait(0.02):
            number += 1
            try:
                self.wfile.write(f"X-{number}: {number}\r\n".encode())
            except OSError:
                return
