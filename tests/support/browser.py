"""A real Chromium, driven by chromedriver's WebDriver protocol, and web sites for it to visit.

Source: W3C, "WebDriver", for the commands; ``goog/cdp/execute`` is chromedriver's own.
"""

import base64
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support.programs import program

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_STARTED = re.compile(r"started successfully on port (\d+)")
_SECONDS = 60.0
_TRIES = 400
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1200,800",
)
_TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}


class Browser:
    """One browser window."""

    def __init__(self, driver: httpx.Client, session: str) -> None:
        self._driver = driver
        self._session = session

    def open(self, address: str) -> None:
        """Visit an address; return when the page has loaded."""
        self._command("POST", "url", {"url": address})

    def leave(self) -> None:
        """Leave the page for an empty one, as a visitor does who follows a link."""
        self.open("about:blank")

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever it returns
        """Return what a script returns; a promise is waited for."""
        return self._command("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, expression: str) -> None:
        """Return when an expression of the page is true."""
        wait_until(lambda: bool(self.run(f"return {expression}")), expression)

    def click(self, selector: str) -> None:
        """Click an element with a trusted event."""
        using = {"using": "css selector", "value": selector}
        element = self._command("POST", "element", using)[_ELEMENT]
        self._command("POST", f"element/{element}/click", {})

    def press(self, *keys: str) -> None:
        """Press and release keys one after the other, as WebDriver spells them."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._command("POST", "actions", {"actions": [keyboard]})

    def show_at(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be a screen of this size, whose owner likes it light or dark, and still."""
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme, motion])

    def complaints(self) -> list[str]:
        """Return what the browser warned of since it was asked last: errors, blocked requests."""
        entries = self._command("POST", "se/log", {"type": "browser"})
        return [str(entry["message"]) for entry in entries]

    def screenshot(self) -> bytes:
        """Return the window as a PNG."""
        return base64.b64decode(self._command("GET", "screenshot"))

    def devtools(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - as the protocol says
        """Return the answer to a command of the DevTools protocol."""
        body = {"cmd": command, "params": parameters}
        return self._command("POST", "goog/cdp/execute", body)

    def signal_global_privacy_control(self) -> None:
        """Be a browser whose visitor switched the signal on, for every page from now on."""
        self.devtools(
            "Page.addScriptToEvaluateOnNewDocument",
            source="Object.defineProperty(Navigator.prototype, 'globalPrivacyControl',"
            " {get: () => true})",
        )
        self.devtools("Network.enable")
        self.devtools("Network.setExtraHTTPHeaders", headers={"Sec-GPC": "1"})

    def _command(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - as W3C says
        answer = self._driver.request(method, f"/session/{self._session}/{path}", json=body)
        value = answer.json()["value"]
        assert answer.is_success, value
        return value


class Site:
    """A web site on an origin of its own; ``pages`` may be filled while it runs."""

    def __init__(self, port: int, pages: dict[str, str]) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.pages = pages


@contextmanager
def chromedriver() -> Iterator[httpx.Client]:
    """Give a running chromedriver; skips where there is none."""
    command = [program("chromedriver", "chromium-driver"), "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with _client_of(process) as client:
                yield client
        finally:
            process.terminate()


@contextmanager
def browser_on(driver: httpx.Client, folder: Path) -> Iterator[Browser]:
    """Give a fresh browser whose profile lies in ``folder``; it reaches the loopback alone."""
    options = {
        "binary": program("chromium", "chromium"),
        "args": [*_FLAGS, f"--user-data-dir={folder / 'profile'}"],
    }
    wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
    answer = driver.post("/session", json=wanted)
    value = answer.json()["value"]
    assert answer.is_success, value
    session = value["sessionId"]
    try:
        yield Browser(driver, session)
    finally:
        driver.delete(f"/session/{session}")


@contextmanager
def site(**pages: str) -> Iterator[Site]:
    """Give a web site; ``index_html`` is found at ``/index.html``."""
    named = {"/" + name.replace("_", "."): text for name, text in pages.items()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _visitors_of(named))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Site(server.server_port, named)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until(is_so: Any, told: str) -> None:  # noqa: ANN401 - a callable without arguments
    """Return when ``is_so()``; fail with what was waited for after some twenty seconds."""
    pause = threading.Event()
    for _ in range(_TRIES):
        if is_so():
            return
        pause.wait(0.05)
    raise AssertionError(f"this did not come about: {told}")


def _client_of(process: "subprocess.Popen[str]") -> httpx.Client:
    assert process.stdout is not None
    for line in process.stdout:
        found = _STARTED.search(line)
        if found:
            return httpx.Client(base_url=f"http://127.0.0.1:{found[1]}", timeout=_SECONDS)
    raise AssertionError("chromedriver did not start")


def _visitors_of(pages: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    class Visitor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = pages.get(path, "").encode()
            status = HTTPStatus.OK if path in pages else HTTPStatus.NOT_FOUND
            self.send_response(status)
            suffix = Path(path).suffix or ".html"
            self.send_header("content-type", _TYPES.get(suffix, "application/octet-stream"))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return Visitor
