"""``/rum.js`` and the npm package `web-vitals` in a real Chromium, against a running Candor.

One server serves all tests, on a telemetry store that they can read while it runs. Each test has a
browser, a site and a name of its own, by which it finds what it sent.
"""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from candor.kernel.telemetry_store import TelemetryStore
from tests.support.browser import Browser, Site, browser_on, chromedriver, site, wait_until
from tests.support.programs import node_package
from tests.support.server import Server, run_candor, serve
from tests.support.stores import SpareDatabases

PERSON = "anna.secret@example.org"
BODY = """
<h1>Checkout</h1><p id="text">A paragraph that is painted early.</p>
<button id="pay" onclick="const end = performance.now() + 80; while (performance.now() < end);">
  Pay</button>
"""
SHIFT = """
<script>
  setTimeout(() => {
    const box = document.createElement("div");
    box.style.height = "300px";
    document.body.prepend(box);
    window.shifted = true;
  }, 100);
</script>
"""
PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"


FAIL = f"""
<script>
  const missing = null;
  window.fail = () => {{
    setTimeout(() => missing["{PERSON}"]());
    Promise.reject(new RangeError("{PERSON}"));
  }};
</script>
"""
VITALS = "SELECT * FROM vitals WHERE source = {name:String} ORDER BY time, name"
EVENTS = """
SELECT * FROM events WHERE attributes['page'] = {page:String} OR startsWith(name, {name:String})
ORDER BY time
"""


class Shop:
    """A running Candor, a web site that uses it, and a browser."""

    def __init__(
        self, server: Server, store: TelemetryStore, pages: Site, browser: Browser
    ) -> None:
        self.server = server
        self.pages = pages
        self.browser = browser
        self.name = "t" + uuid.uuid4().hex.translate(str.maketrans("0123456789", "ghijklmnop"))
        self._store = store
        self._before = self._metrics()

    @property
    def page(self) -> str:
        return f"/{self.name}"

    def key(self, *options: str, origin: str | None = None) -> str:
        made = run_candor(
            self.server.folder,
            *("keys", "create", self.name, "--json", "--scope", "ingest:public"),
            *("--origin", origin or self.pages.origin, *options),
        )
        return str(json.loads(made)["key"])

    def show(self, key: str, body: str = BODY, **attributes: str) -> None:
        """Put up a page with the script in it, open it, and wait for its first paint."""
        told = "".join(f' data-{name}="{value}"' for name, value in attributes.items())
        script = f'<script src="{self.server.url}/rum.js" data-key="{key}"{told} defer></script>'
        self.put(script, body)

    def put(self, head: str, body: str = BODY) -> None:
        self.pages.pages[self.page] = f"<!doctype html><title>Shop</title>{head}{body}"
        self.browser.open(f"{self.pages.origin}{self.page}?email={PERSON}#{PERSON}")
        self.browser.wait_for("performance.getEntriesByName('first-contentful-paint').length > 0")

    def step(self, name: str, fields: str = "{}") -> None:
        """Report a step whose name begins with that of the test."""
        self.browser.run(f"candor.step('{self.name}.{name}', {fields})")

    def counted(self, name: str, **labels: str) -> float:
        """Return by how much a metric of the door grew since the test began."""
        wanted = [f'{label}="{value}"' for label, value in ({"door": "rum"} | labels).items()]
        return sum(
            value - self._before.get(line, 0)
            for line, value in self._metrics().items()
            if line.startswith(f"candor_{name}_total{{") and all(one in line for one in wanted)
        )

    def vitals(self, number: int) -> list[dict[str, Any]]:
        """Return the vitals that came with a key of this test, when there are so many."""
        return self._stored(VITALS, number)

    def events(self, number: int) -> list[dict[str, Any]]:
        """Return the steps of this test and the errors of its page, when there are so many."""
        return self._stored(EVENTS, number)

    def _stored(self, statement: str, number: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []

        def are_there() -> bool:
            rows[:] = self._store.query(statement, {"name": self.name, "page": self.page})
            return len(rows) >= number

        wait_until(are_there, f"{number} stored beacons")
        return rows

    def _metrics(self) -> dict[str, float]:
        lines = httpx.get(f"{self.server.url}/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


@pytest.fixture(scope="module")
def driver() -> Iterator[httpx.Client]:
    with chromedriver() as client:
        yield client


@pytest.fixture(scope="module")
def store(databases_over_http: SpareDatabases) -> Iterator[TelemetryStore]:
    with databases_over_http.fresh() as database:
        yield database


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, driver: httpx.Client, store: TelemetryStore
) -> Iterator[Server]:
    del driver  # where there is none, no server is needed
    folder = tmp_path_factory.mktemp("rum")
    address = store._address
    dsn = f"{address.server}/{address.database}"
    settings = f'telemetry_dsn = "{dsn}"\nmaster_key_file = "master.key"\n'
    settings += '[vault]\nregister_file = "vault-destroyed.log"\n'
    (folder / "candor.toml").write_text(settings, encoding="utf-8")
    (folder / "master.key").write_bytes(os.urandom(32))
    (folder / "master.key").chmod(0o600)
    run_candor(folder, "migrate")
    with serve(folder) as running:
        yield running


@pytest.fixture
def shop(
    driver: httpx.Client, server: Server, store: TelemetryStore, tmp_path: Path
) -> Iterator[Shop]:
    with site() as pages, browser_on(driver, tmp_path) as browser:
        yield Shop(server, store, pages, browser)


def interact(shop: Shop) -> None:
    """Click, and wait until the browser has measured how long that took."""
    shop.browser.wait_for("window.shifted")
    shop.browser.run(
        "window.timed = false; new PerformanceObserver((list) => { window.timed ="
        " window.timed || list.getEntries().some((one) => one.interactionId); })"
        ".observe({type: 'event', buffered: true, durationThreshold: 40})"
    )
    shop.browser.click("#pay")
    shop.browser.wait_for("window.timed")


def test_the_vitals_of_a_page_are_in_the_table_when_it_was_left(shop: Shop) -> None:
    shop.show(shop.key(), BODY + SHIFT)
    interact(shop)
    shop.browser.leave()
    stored = {one["name"]: one for one in shop.vitals(5)}
    assert set(stored) == {"LCP", "INP", "CLS", "FCP", "TTFB"}
    assert stored["INP"]["value"] >= 80
    assert 0 < stored["CLS"]["value"] < 1
    assert 0 <= stored["TTFB"]["value"] <= stored["FCP"]["value"] <= stored["LCP"]["value"]
    assert {
        (one["page"], one["device"], one["navigation_type"], one["delta"] == one["value"])
        for one in stored.values()
    } == {(shop.page, "desktop", "navigate", True)}
    assert len({one["id"] for one in stored.values()}) == 5
    assert PERSON not in str(stored)


def test_what_a_page_fails_at_and_the_steps_it_reports_are_events(shop: Shop) -> None:
    key = shop.key()
    shop.show(key, BODY + FAIL)
    shop.browser.run("fail()")
    shop.step(
        "payment",
        "{journey: 'checkout', instance: 'c-1', step: 'payment', outcome: 'ok',"
        f" subject: {{type: 'email', value: '{PERSON}'}}}}",
    )
    stored = {one["error_code"]: one for one in shop.events(3)}
    assert set(stored) == {"", "TypeError", "RangeError"}
    step = stored[""]
    assert (step["journey"], step["instance"], step["outcome"]) == ("checkout", "c-1", "ok")
    assert len(step["subject_key"]) == 64
    assert stored["TypeError"]["attributes"]["page"] == shop.page
    assert PERSON not in str(stored)
    assert key not in shop.server.log()


@pytest.mark.parametrize("attributes", [{"consent": "required"}, {}], ids=["page", "key"])
def test_nothing_is_sent_before_consent_and_something_after(
    shop: Shop, attributes: dict[str, str]
) -> None:
    key = shop.key("--requires-consent")
    shop.show(key, BODY + FAIL, **attributes)
    shop.browser.run("fail()")
    shop.step("before")
    shop.browser.leave()
    shop.show(key, **attributes)
    shop.step("before")
    shop.browser.run("candor.consent(true)")
    shop.step("after")
    shop.browser.leave()
    assert [one["name"] for one in shop.events(1)] == [f"{shop.name}.after"]
    assert {one["name"] for one in shop.vitals(4)} == {"LCP", "CLS", "FCP", "TTFB"}
    questions = 0 if attributes else 1  # the browser remembers the answer
    assert shop.counted("door_requests") == questions + 1
    assert shop.counted("events_rejected") == 0


def test_a_withdrawn_consent_is_heard_at_once(shop: Shop) -> None:
    key = shop.key("--requires-consent")
    shop.show(key, consent="granted")
    name = shop.name
    shop.browser.run(
        f"candor.step('{name}.dropped', {{}}); candor.consent(false); candor.step('{name}.late')"
    )
    shop.browser.leave()
    shop.show(key, consent="granted")
    shop.step("other")
    shop.browser.leave()
    assert [one["name"] for one in shop.events(1)] == [f"{name}.other"]
    assert shop.counted("door_requests") == 1


def test_under_global_privacy_control_nothing_identifies_and_consent_changes_nothing(
    shop: Shop,
) -> None:
    shop.browser.signal_global_privacy_control()
    shop.show(shop.key("--requires-consent"), consent="granted")
    shop.browser.run("candor.consent(true)")
    shop.step("never")
    shop.browser.leave()
    shop.show(shop.key())
    subject = f"{{type: 'email', value: '{PERSON}'}}"
    shop.step("nobody", f"{{journey: 'checkout', instance: 'c-1', subject: {subject}}}")
    (stored,) = shop.events(1)
    assert (stored["name"], stored["journey"]) == (f"{shop.name}.nobody", "checkout")
    assert (stored["instance"], stored["subject_key"]) == ("", "")
    assert shop.counted("events_rejected") == 0


def test_calls_made_before_the_script_has_loaded_are_not_lost(shop: Shop) -> None:
    early = f"candor.push(['step', '{shop.name}.early', {{step: 'start'}}]);"
    shop.show(shop.key(), f"<script>window.candor = window.candor || []; {early}</script>{BODY}")
    assert [one["step"] for one in shop.events(1)] == ["start"]


def test_a_page_keeps_nothing_in_the_browser(shop: Shop) -> None:
    shop.show(shop.key(), consent="granted")
    shop.step("seen")
    shop.events(1)
    kept = "return [document.cookie, localStorage.length, sessionStorage.length]"
    assert shop.browser.run(kept) == ["", 0, 0]


def test_a_page_of_another_origin_is_refused_and_reads_nothing(shop: Shop) -> None:
    key = shop.key(origin="http://127.0.0.1:1")
    shop.show(key, consent="granted")
    address = f"{shop.server.url}/v1/rum?key={key}"
    read = "return fetch(arguments[0], {method: 'POST', body: '{}'}).then(() => 'read', String)"
    assert "TypeError" in shop.browser.run(read, address)
    shop.step("stolen")
    wait_until(lambda: shop.counted("door_requests", status="403") >= 2, "two refusals")
    assert shop.counted("events_accepted") == 0


def test_a_page_of_the_origin_may_send_json_and_read_the_answer(shop: Shop) -> None:
    address = f"{shop.server.url}/v1/rum?key={shop.key()}"
    shop.put("")
    vital = json.dumps({"name": "TTFB", "value": 80, "delta": 80, "id": shop.name})
    send = (
        "navigator.sendBeacon(arguments[0], new Blob([arguments[1]], {type: 'application/json'}))"
    )
    shop.browser.run(send, address, vital)
    shop.vitals(1)
    read = "return fetch(arguments[0], {method: 'POST', body: arguments[1],"
    read += " headers: {'content-type': 'application/json'}}).then((answer) => answer.json())"
    assert shop.browser.run(read, address, vital)["deduplicated"] == 1


def test_the_npm_package_web_vitals_is_taken_unchanged_and_a_repetition_is_known(
    shop: Shop,
) -> None:
    package = node_package("web-vitals") / "dist" / "web-vitals.iife.js"
    shop.pages.pages["/web-vitals.js"] = package.read_text(encoding="utf-8")
    address = f"{shop.server.url}/v1/rum?key={shop.key()}"
    # INP is looked at when the browser is idle, or else too late for its one report at the end.
    head = f"""
    <script src="/web-vitals.js"></script>
    <script>
      const send = (metric) => {{
        navigator.sendBeacon("{address}", JSON.stringify(metric));
        navigator.sendBeacon("{address}", JSON.stringify(metric));
      }};
      for (const name of ["onLCP", "onCLS", "onFCP", "onTTFB"]) webVitals[name](send);
      webVitals.onINP(send, {{reportAllChanges: true}});
    </script>
    """
    shop.put(head, BODY + SHIFT)
    interact(shop)
    shop.browser.leave()
    stored = shop.vitals(5)
    assert {one["name"] for one in stored} == {"LCP", "INP", "CLS", "FCP", "TTFB"}
    assert {(one["navigation_type"], one["device"]) for one in stored} == {("navigate", "desktop")}
    wait_until(
        lambda: shop.counted("events_deduplicated") == shop.counted("events_accepted"),
        "a repetition of every beacon",
    )
    assert shop.counted("events_rejected") == 0
    accepted = int(shop.counted("events_accepted"))
    assert len(shop.vitals(accepted)) == accepted
