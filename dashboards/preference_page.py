"""The preference centre as a page: what its form shows, and what comes back from it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import Any, get_args

from candor.kernel.errors import MalformedError
from dashboards.forms import Form
from dashboards.words import Words
from privacy.consent.act import ConsentEvent
from privacy.consent.preferences import Answer, Chosen, Line, Offer, Scope, Shown, State
from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.receipt import STATES

_BETWEEN = "|"
"""Neither keys nor channels nor languages hold it."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_EVIDENCE_DIGITS = 32
_MOST_TOLD = 50
_TOLD = ("purpose", "channel", "action", "source", "method", "notice", "locale", "jurisdiction")


@dataclass(frozen=True, slots=True)
class Told:
    """One act as a list shows it."""

    id: str
    text: str
    answer: str
    at: str


def offer_views(offers: Sequence[Offer], words: Words) -> list[dict[str, Any]]:
    """Return what the page says of each purpose."""
    return [_offer_view(offer, words) for offer in offers]


def silenced_names(offers: Sequence[Offer]) -> list[str]:
    """Return the names of the purposes that the browser's signal switches off."""
    return [one.purpose.name for one in offers if any(line.by_signal for line in one.lines)]


def event_views(
    events: Sequence[ConsentEvent], offers: Sequence[Offer], words: Words
) -> list[Told]:
    """Return acts as a list shows them, the latest first; no more than a page bears."""
    names = {one.purpose.key: one.purpose.name for one in offers}
    return [_told(event, names, words) for event in events[: -_MOST_TOLD - 1 : -1]]


def chosen_of(form: Form, token: str) -> Chosen:
    """Return what a form says was chosen and shown.

    The evidence is a digest of the link: it tells by which one the choice came, and opens nothing.

    Raises:
        MalformedError: it is no form of this page.
    """
    button = form.get("do")
    if button not in {"save", "accept", "stop"}:
        raise MalformedError("The form does not say which button was pressed.")
    evidence = f"link:{sha256(token.encode()).hexdigest()[:_EVIDENCE_DIGITS]}"
    answers: dict[Scope, Answer] = {}
    before: dict[Scope, State] = {}
    shown: dict[str, Shown] = {}
    for name, value in form.items():
        kind, *parts = name.split(_BETWEEN)
        match kind, parts:
            case "answer", [purpose, channel] if value in get_args(Answer):
                answers[purpose, channel] = "yes" if value == "yes" else "no"
            case "before", [purpose, channel] if value in get_args(State):
                before[purpose, channel] = value  # type: ignore[assignment]  # one of its words
            case "shown", [purpose] if value.count(_BETWEEN) == 2:  # noqa: PLR2004 - three parts
                shown[purpose] = Shown(*value.split(_BETWEEN))
            case _:
                pass
    return Chosen(button, answers, before, shown, evidence)  # type: ignore[arg-type]  # one of three


def history_rows(events: Sequence[ConsentEvent]) -> list[dict[str, Any]]:
    """Return a person's acts as they take them along: when, what, by what way, under which text."""
    return [
        {
            "id": one.id,
            "at": one.act.at.astimezone(UTC).isoformat(),
            "recorded_at": one.recorded_at.astimezone(UTC).isoformat(),
            **{name: getattr(one.act, name) or None for name in _TOLD},
            "notice_sha256": one.notice_digest,
        }
        for one in events
    ]


def history_table(events: Sequence[ConsentEvent]) -> str:
    """Return the same as CSV; no cell of it is taken for a formula.

    Source: RFC 4180; OWASP, "CSV Injection".
    """
    names = ("id", "at", "recorded_at", *_TOLD, "notice_sha256")
    target = io.StringIO()
    writer = csv.DictWriter(target, names)
    writer.writeheader()
    for row in history_rows(events):
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return target.getvalue()


def scope_name(purpose: str | None, channel: str, words: Words) -> str:
    """Return what an act or link is about; ``purpose`` is its name, none for every one."""
    name = purpose if purpose is not None else words("every_purpose")
    if not channel:
        return name
    return words("what_on", purpose=name, channel=words.of("channel", channel))


def _offer_view(offer: Offer, words: Words) -> dict[str, Any]:
    purpose, shown = offer.purpose, offer.shown
    days = purpose.validity.days if purpose.validity is not None else None
    facts = [
        (words("ground"), words.of("basis", offer.basis)),
        (words("recipients"), ", ".join(purpose.recipients) or words("nobody")),
        (words("data_used"), ", ".join(purpose.data_categories) or words("none")),
    ]
    if offer.has_choice:
        facts.append((words("lasts"), words("days", count=days) if days else words("until_no")))
    if shown is not None:
        facts.append((words.of("field", "notice"), shown.notice))
    return {
        "key": purpose.key,
        "name": purpose.name,
        "has_choice": offer.has_choice,
        "text": offer.text,
        "locale": shown.locale if shown is not None else words.locale,
        "shown": _BETWEEN.join((shown.notice, shown.locale, shown.digest)) if shown else None,
        "facts": facts,
        "lines": [_line_view(purpose.key, line, words) for line in offer.lines],
    }


def _line_view(purpose: str, line: Line, words: Words) -> dict[str, Any]:
    return {
        "scope": f"{purpose}{_BETWEEN}{line.channel}",
        "channel": words.of("channel", line.channel),
        "state": line.state,
        "text": _line_text(line, words),
        "can_allow": line.can_allow,
        "by_signal": line.by_signal,
    }


def _line_text(line: Line, words: Words) -> str:
    if line.by_signal and line.reason == "gpc":
        return words("gpc_line")
    known: dict[str, str] = words.found["reason"]
    text = known.get(line.reason, known["other"])
    if line.state == "open":
        return text
    if line.since is not None:
        return words("since", text=text, date=words.date(line.since))
    if line.state == "no" and line.reason in known and line.reason != "gpc":
        return words("elsewhere")
    return text


def _told(event: ConsentEvent, names: dict[str, str], words: Words) -> Told:
    act = event.act
    name = None if act.purpose == EVERY_PURPOSE else names.get(act.purpose, act.purpose)
    answer = words.of("state", STATES[act.action])
    return Told(event.id, scope_name(name, act.channel, words), answer, words.moment(act.at))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
