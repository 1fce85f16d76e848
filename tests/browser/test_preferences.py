"""The preference centre in a real Chromium, without script: by mouse, by keyboard, small and dark.

One server serves all tests; each has a browser and a person of its own. With ``CANDOR_SHOTS`` set
to a folder, what the tests look at is kept there as pictures.
"""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.browser import Browser, browser_on, chromedriver
from tests.support.consent import MARKETING
from tests.support.server import Server, serve

TAB, SPACE, ENTER, LEFT, RIGHT = "\ue004", "\ue00d", "\ue007", "\ue012", "\ue014"
NOTICE = {
    "en": "May we write to you about news and offers? At most two messages a week. You can say no"
    " at any time, in every message.",
    "de": "D\u00fcrfen wir Ihnen von Neuigkeiten und Angeboten schreiben? H\u00f6chstens zwei"
    " Nachrichten in der Woche. In jeder k\u00f6nnen Sie das beenden.",
}
SIZES = [(320, 640), (390, 844), (768, 1024), (1280, 900)]
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
BOXES = """
return [...document.querySelectorAll(arguments[0])].map((one) => {
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  return {width: box.width, height: box.height, look: [style.color, style.backgroundColor,
    style.borderColor, style.fontSize, style.fontWeight]};
});
"""
CONTRASTS = """
const light = (text) => {
  const parts = text.match(/[0-9.]+/g).slice(0, 3).map((one) => one / 255);
  const [r, g, b] = parts.map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (one) => {
  for (; one; one = one.parentElement) {
    const color = getComputedStyle(one).backgroundColor;
    if (!/, 0\\)$/.test(color)) { return color; }
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility()
  && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
  .map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), one.textContent.trim().slice(0, 40)];
  }).filter(([ratio]) => ratio < 4.5);
"""


class Shop:
    """A running Candor, a person with links, and a browser of theirs."""

    def __init__(self, server: Server, browser: Browser, client: httpx.Client) -> None:
        self.browser = browser
        self.person = {"type": "email", "value": f"{uuid.uuid4().hex}@example.org"}
        self._client = client
        body = {"subject": self.person, "purpose": "news", "channel": "email"}
        self.links = self._client.post("/api/v1/consent/links", json=body).json()
        self._url = server.url

    def open(self, name: str = "preferences") -> None:
        self.browser.open(self._url + self.links[name])

    def acts(self) -> list[dict[str, Any]]:
        told = self._client.get("/api/v1/subjects/history", params=self.person)
        found: list[dict[str, Any]] = told.json()
        return found

    def text(self) -> str:
        return str(self.browser.run("return document.body.innerText"))

    def keep(self, name: str) -> None:
        """Keep a picture of the whole page, if pictures are wanted."""
        folder = os.environ.get("CANDOR_SHOTS")
        if folder is not None:
            Path(folder, f"{name}.png").write_bytes(self.browser.screenshot())


@pytest.fixture(scope="module")
def driver() -> Iterator[httpx.Client]:
    with chromedriver() as client:
        yield client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, driver: httpx.Client) -> Iterator[Server]:
    del driver  # where there is none, no server is needed
    controller = {
        "CANDOR_CONTROLLER__NAME": "Example Store",
        "CANDOR_CONTROLLER__CONTACT": "privacy@example.com",
        "CANDOR_CONTROLLER__URL": "https://example.com/privacy",
    }
    with serve(tmp_path_factory.mktemp("preferences"), **controller) as running:
        _fill(running)
        yield running


def _fill(server: Server) -> None:
    purposes: dict[str, dict[str, Any]] = {
        "news": {"name": "News and offers"},
        "adverts": {
            "name": "Counting which adverts worked",
            "channels": ["web"],
            "mechanism": "opt_out",
            "legal_basis": {"default": "legitimate_interests"},
            "recipients": ["advert-network-with-a-rather-long-name", "esp-1"],
        },
        "orders": {
            "name": "Messages about an order",
            "mechanism": "notice_only",
            "legal_basis": {"default": "contract"},
            "honours_gpc": False,
        },
    }
    with httpx.Client(base_url=server.url, headers=server.headers) as client:
        for key, fields in purposes.items():
            answer = client.put(f"/api/v1/purposes/{key}", json=dict(MARKETING) | fields)
            assert answer.status_code == 201, answer.text
        notices = {
            "news/1": (["news"], NOTICE),
            "adverts/1": (["adverts"], {"en": "We tell the network that an order happened."}),
        }
        for reference, (covered, texts) in notices.items():
            body = {"purposes": covered, "texts": texts}
            answer = client.put(f"/api/v1/notices/{reference}", json=body)
            assert answer.status_code == 201, answer.text


@pytest.fixture
def shop(driver: httpx.Client, server: Server, tmp_path: Path) -> Iterator[Shop]:
    with (
        httpx.Client(base_url=server.url, headers=server.headers) as client,
        browser_on(driver, tmp_path) as browser,
    ):
        browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
        yield Shop(server, browser, client)
        assert browser.complaints() == []


def choose(shop: Shop, scope: str, answer: str) -> None:
    label = f'label:has([name="answer|{scope}"][value="{answer}"])'
    shop.browser.run(
        "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", label
    )
    shop.browser.click(label)


def test_a_choice_is_saved_without_script_and_its_receipt_opens(shop: Shop) -> None:
    shop.open()
    choose(shop, "news|email", "yes")
    choose(shop, "news|sms", "no")
    shop.browser.click("button[value=save]")
    shop.browser.wait_for("document.querySelector('.good') !== null")
    told = [(one["channel"], one["action"], one["locale"]) for one in shop.acts()]
    assert sorted(told) == [("email", "grant", "en"), ("sms", "refuse", None)]
    assert "Saved on" in shop.text()
    assert shop.browser.run(
        "return document.querySelector('[name=\"answer|news|email\"][value=yes]').checked"
    )
    shop.browser.click(".good .acts a")
    shop.browser.wait_for("document.querySelector('.rows') !== null")
    assert "Example Store, privacy@example.com" in shop.text()
    shop.browser.click("main > p a")
    shop.browser.wait_for("document.querySelector('form') !== null")


def test_everything_is_done_by_keyboard(shop: Shop) -> None:
    shop.open()
    focused = "return document.activeElement"
    shop.browser.press(TAB)
    assert shop.browser.run(f"{focused}.className") == "skip"
    shop.browser.press(ENTER, TAB, SPACE)
    assert shop.browser.run(f"{focused}.name + {focused[7:]}.value") == "answer|adverts|webyes"
    shop.browser.press(LEFT)
    assert shop.browser.run(f"{focused}.value") == "no"
    outline = "getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert shop.browser.run(f"return {outline}") == "solid"
    shop.browser.press(TAB, TAB, SPACE, RIGHT)
    assert shop.browser.run(f"{focused}.name + {focused[7:]}.value") == "answer|news|emailyes"
    shop.browser.press(ENTER)
    shop.browser.wait_for("document.querySelector('.tell') !== null")
    assert [one["action"] for one in shop.acts()] != []


def test_stopping_everything_takes_one_press(shop: Shop) -> None:
    shop.open()
    shop.browser.click("button[value=stop]")
    shop.browser.wait_for("document.querySelector('.good') !== null")
    (act,) = shop.acts()
    assert (act["action"], act["purpose"]) == ("withdraw", "*")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_fits_every_screen_and_can_be_read(
    shop: Shop, width: int, height: int, *, dark: bool
) -> None:
    shop.browser.show_at(width, height, dark=dark)
    name = f"{width}-{'dark' if dark else 'light'}"
    shop.open()
    choose(shop, "news|email", "yes")
    shop.browser.click("button[value=save]")
    shop.browser.wait_for("document.querySelector('.good') !== null")
    for one in ("details", "[open] details"):
        shop.browser.run(f"document.querySelectorAll('{one}').forEach((one) => one.open = true)")
    check_page(shop)
    full = int(shop.browser.run("return document.documentElement.scrollHeight"))
    shop.browser.show_at(width, full, dark=dark)
    shop.keep(f"preferences-{name}")


def check_page(shop: Shop) -> None:
    assert shop.browser.run(OVERFLOW) == 0
    assert shop.browser.run(CONTRASTS) == []
    targets = shop.browser.run(BOXES, "a:not(.skip):not(.end a), button, .pair label, summary")
    assert targets != []
    assert min(one["height"] for one in targets) >= 32
    assert min(one["width"] for one in targets) >= 24


@pytest.mark.parametrize("width", [320, 1280])
def test_a_yes_and_a_no_weigh_the_same(shop: Shop, width: int) -> None:
    shop.browser.show_at(width, 900)
    shop.open()
    for selector in ('.pair [name="answer|news|sms"] + span', ".both button"):
        one, other = shop.browser.run(BOXES, selector)
        assert one["look"] == other["look"]
        assert abs(one["width"] - other["width"]) < 1
        assert one["height"] == other["height"] >= 48
    choose(shop, "news|email", "yes")
    choose(shop, "news|sms", "no")
    yes, no = shop.browser.run(BOXES, ".pair :checked + span")[-2:]
    assert yes["look"] == no["look"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_signal_of_the_browser_is_shown_and_kept(shop: Shop, *, dark: bool) -> None:
    shop.browser.signal_global_privacy_control()
    shop.browser.show_at(320, 1900, dark=dark)
    shop.open()
    assert "Global Privacy Control" in shop.text()
    check_page(shop)
    shop.keep(f"signal-320-{'dark' if dark else 'light'}")
    assert shop.browser.run("return document.querySelectorAll('input:disabled').length") == 6
    shop.browser.click("button[value=save]")
    shop.browser.wait_for("document.querySelector('.good') !== null")
    assert [(one["purpose"], one["source"]) for one in shop.acts()] == [("adverts", "gpc")]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_small_pages_fit_and_can_be_read(shop: Shop, width: int, *, dark: bool) -> None:
    shop.browser.show_at(width, 700, dark=dark)
    name = f"{width}-{'dark' if dark else 'light'}"
    shop.open("unsubscribe")
    check_page(shop)
    shop.keep(f"unsubscribe-{name}")
    shop.browser.click("button")
    shop.browser.wait_for("document.querySelector('.good') !== null")
    assert [one["source"] for one in shop.acts()] == ["one_click"]
    check_contrast_and_width(shop)
    shop.keep(f"unsubscribed-{name}")
    shop.open()
    shop.browser.run("document.querySelector('.past').open = true")
    shop.browser.click(".past .acts a")
    shop.browser.wait_for("document.querySelector('.rows') !== null")
    check_contrast_and_width(shop)
    shop.keep(f"receipt-{name}")


def check_contrast_and_width(shop: Shop) -> None:
    assert shop.browser.run(OVERFLOW) == 0
    assert shop.browser.run(CONTRASTS) == []
