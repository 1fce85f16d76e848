"""What pages for people say, by language; the texts of notices come as they are."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from privacy.consent.language import best_language

_FOLDER = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language. ``locale`` is its tag."""

    locale: str
    found: dict[str, Any]

    def __call__(self, name: str, /, **values: object) -> str:
        """Return a text with what belongs into its gaps."""
        text: str = self.found[name]
        return text.format(**values) if values else text

    def of(self, kind: str, name: str) -> str:
        """Return the word for one value of a closed list, or the value itself."""
        found: dict[str, str] = self.found[kind]
        return found.get(name, name)

    def date(self, at: datetime) -> str:
        """Return a day as people write it, in UTC."""
        day = at.astimezone(UTC)
        month = self("months").split()[day.month - 1]
        return self("date", day=day.day, month=month, year=day.year)

    def moment(self, at: datetime) -> str:
        """Return a minute as people write it, in UTC, which is said."""
        return f"{self.date(at)}, {at.astimezone(UTC):%H:%M} UTC"


def words_for(languages: str) -> Words:
    """Return the words that somebody reads best who asks for these, as Accept-Language says."""
    return words_in(best_language(languages, list(languages_spoken())))


@cache
def words_in(locale: str) -> Words:
    """Return the words of a language that is spoken."""
    text = (_FOLDER / f"{locale}.json").read_text(encoding="utf-8")
    return Words(locale, json.loads(text))


@cache
def languages_spoken() -> tuple[str, ...]:
    """Return the tags of the languages that pages speak."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))
