"""The preference centre as a browser without script sees it: a page, its form, and the answer."""

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import httpx

from tests.support.asgi import Application
from tests.support.consent import ANNA

BROWSER: Mapping[str, str] = {"authorization": "", "accept-language": "en"}
OURS: Mapping[str, str] = {"sec-fetch-site": "same-origin", "origin": "null"}


def link_of(application: Application, **fields: Any) -> str:  # noqa: ANN401 - any field
    """Return the path of Anna's preferences."""
    body = {"subject": ANNA} | fields
    answer = application.post("/api/v1/consent/links", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["preferences"])


class Page(HTMLParser):
    """What a page shows and what its form would send."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.fields: dict[str, str] = {}
        self.disabled: set[tuple[str, str]] = set()
        self.links: list[str] = []
        self.lang = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "html":
            self.lang = found["lang"]
        if tag == "a":
            self.links.append(found["href"])
        if tag != "input":
            return
        if "disabled" in found:
            self.disabled.add((found["name"], found["value"]))
        elif found.get("type") == "hidden" or "checked" in found:
            self.fields[found["name"]] = found["value"]

    def receipts(self) -> list[str]:
        """Return the paths of the receipts that it offers, each once."""
        return list(dict.fromkeys(one for one in self.links if "/receipts/" in one))


class Visit:
    """Somebody with a browser and a link."""

    def __init__(self, application: Application, path: str, **headers: str) -> None:
        self.application = application
        self.path = path
        self.headers = dict(BROWSER) | headers

    def look(self, path: str | None = None) -> Page:
        answer = self.application.get(path or self.path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return Page(answer.text)

    def send(self, page: Page, button: str = "save", **answers: str) -> httpx.Response:
        """Press a button; ``email="no"`` chooses for marketing on that channel."""
        chosen = {f"answer|marketing|{name}": value for name, value in answers.items()}
        fields = page.fields | chosen | {"do": button}
        headers = self.headers | dict(OURS)
        return self.application.post(self.path, data=fields, headers=headers)

    def save(self, page: Page, button: str = "save", **answers: str) -> Page:
        """Press a button and follow to the page that shows what stands then."""
        answer = self.send(page, button, **answers)
        assert answer.status_code == 303, answer.text
        return self.look(answer.headers["location"])
