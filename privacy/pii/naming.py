"""Persons and places without a model: by the names of fields, and by lists of first and last names.

A field that says that it holds a name is believed, and its whole value is the finding. In free text
only two names in a row count, of which the first is a first name and the second a last name, or one
behind a title; a single capitalised word is nobody, or every host and browser would be somebody.

Source: Faker, the providers of persons, for the lists.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from privacy.pii.finding import Finding
from privacy.pii.policy import BIRTH, LOCATION, PERSON

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_APART = re.compile(r"[^a-z0-9]+")
_PERSONS = frozenset(
    [
        "first_name",
        "firstname",
        "given_name",
        "givenname",
        "forename",
        "middle_name",
        "middlename",
        "last_name",
        "lastname",
        "surname",
        "family_name",
        "familyname",
        "full_name",
        "fullname",
        "maiden_name",
        "birth_name",
        "customer_name",
        "contact_name",
        "recipient_name",
        "cardholder_name",
        "card_holder",
        "cardholder",
        "account_holder",
        "holder_name",
        "patient_name",
        "employee_name",
        "person_name",
        "passenger_name",
        "guest_name",
        "vorname",
        "nachname",
    ]
)
_PLACES = frozenset(
    [
        "street",
        "street_address",
        "streetaddress",
        "address",
        "address_line",
        "address_line_1",
        "address_line_2",
        "address_line1",
        "address_line2",
        "address1",
        "address2",
        "home_address",
        "postal_address",
        "mailing_address",
        "shipping_address",
        "billing_address",
        "delivery_address",
        "city",
        "town",
        "postcode",
        "postal_code",
        "zip_code",
        "zipcode",
        "strasse",
        "adresse",
    ]
)
_BIRTHS = frozenset(["dob", "date_of_birth", "dateofbirth", "birth_date", "birthdate", "birthday"])
_ENDINGS = tuple(
    f"_{name}"
    for name in (
        "first_name",
        "last_name",
        "full_name",
        "surname",
        "date_of_birth",
        "street_address",
    )
)
_TITLED = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof)\.? ([A-Z][\w'\u2019-]+(?: [A-Z][\w'\u2019-]+)?)")
_IN_A_ROW = re.compile(r"\b([A-Z][\w'\u2019-]+)(?= ([A-Z][\w'\u2019-]+))")
_SCORE_OF_KEY, _SCORE_IN_TEXT, _SCORE_OF_TITLE = 0.85, 0.6, 0.7
FREE_TEXT_BLANKS = 2
"""From how many blanks on a text is free text: three words."""


def entity_of_key(key: str) -> str | None:
    """Return the entity that the name of a field promises, if it promises any."""
    name = _APART.sub("_", _HUMP.sub("_", key).lower()).strip("_")
    if name in _PERSONS:
        return PERSON
    if name in _PLACES:
        return LOCATION
    if name in _BIRTHS:
        return BIRTH
    if name.endswith(_ENDINGS):
        return {"birth": BIRTH, "address": LOCATION}.get(name.rsplit("_", 1)[-1], PERSON)
    return None


@cache
def promising() -> bytes:
    """Return an expression for lines in which such a name stands: before a colon, or in a URL.

    It matches too much, and misses none: case and what stands between words are left open, and so
    is what stands before the names that count as endings.
    """
    exact = b"|".join(map(_spelled, sorted(_PERSONS | _PLACES | _BIRTHS)))
    endings = b"|".join(_spelled(ending[1:]) for ending in _ENDINGS)
    apart = rb"[^A-Za-z0-9\"\n]*"
    opened = rb"[\"?&;#]" + apart + b"(?:" + exact + b")"
    return rb"(?i)(?:" + opened + b"|" + endings + b")" + apart + rb"(?:\"\s*:|=)"


def find_by_key(key: str, text: str) -> Finding | None:
    """Return the whole text as a finding if its field says so and it says anything."""
    entity = entity_of_key(key)
    if entity is None or not any(sign.isalnum() for sign in text):
        return None
    return Finding(entity, 0, len(text), _SCORE_OF_KEY, "FieldNameRule")


def find_names(text: str) -> Iterator[Finding]:
    """Yield the persons that a free text names by first and last name, or behind a title."""
    for match in _TITLED.finditer(text):
        yield Finding(PERSON, *match.span(1), _SCORE_OF_TITLE, "TitleRule")
    for match in _IN_A_ROW.finditer(text):
        first, last = match[1], match[2]
        if first.lower() in first_names() and last.lower() in last_names():
            yield Finding(PERSON, match.start(1), match.end(2), _SCORE_IN_TEXT, "NameList")


@cache
def first_names() -> frozenset[str]:
    """Return the first names of all countries, in lower case."""
    return _listed("first_names")


@cache
def last_names() -> frozenset[str]:
    """Return the last names of all countries, in lower case."""
    return _listed("last_names")


def _spelled(name: str) -> bytes:
    return rb"[^A-Za-z0-9\"\n]*".join(name.encode().split(b"_"))


def _listed(ending: str) -> frozenset[str]:
    found: set[str] = set()
    for provider in _providers():
        for attribute in dir(provider):
            if attribute == ending or attribute.startswith(f"{ending}_"):
                names: Any = getattr(provider, attribute)
                listed = names if isinstance(names, (list, tuple, dict)) else ()
                found.update(name.lower() for name in listed if isinstance(name, str))
    return frozenset(found)


@cache
def _providers() -> tuple[Any, ...]:
    package: Any = importlib.import_module("faker.providers.person")
    return tuple(
        importlib.import_module(f"{package.__name__}.{one.name}").Provider
        for one in pkgutil.iter_modules(package.__path__)
    )
