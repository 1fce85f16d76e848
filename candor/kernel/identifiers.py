"""The one spelling of an identifier, from which the pseudonym of its person is made.

Two spellings of one address or number become the same, and two addresses or numbers never do: where
that cannot be told, they stay apart. To canonicalise twice changes nothing.

Source: RFC 5321, section 2.4, for mailboxes; RFC 6532, section 3.1, for normalising them; UTS #46
and RFC 5891 for domains; ITU-T E.164 as ``phonenumbers`` reads numbers.
"""

import re
import unicodedata

_ACE = "xn--"
_DIALLED = re.compile(r"[+\uff0b]?[\d\s()\[\]./~\u00b7\u2010-\u2015\u2212\uff0d\u30fc-]+")
_EXTENSION = re.compile(r"(?:;ext=|\s*(?:ext|x)\.?\s*)(?P<digits>\d{1,7})", re.IGNORECASE)
_INTERNATIONAL = ("+", "\uff0b")
_DIGIT = re.compile(r"\d")
_NOT_DIALLED = re.compile(r"[^\d+]")
_MOST_PHONE = 250
_MOST_DOMAIN = 253


def canonical_identifier(subject_type: str, value: str, phone_region: str | None = None) -> str:
    """Return the one spelling of an identifier.

    White space around it never counts. Of e-mail addresses the case does not count, nor how a
    domain is written: it becomes its ASCII form. Dots and ``+tags`` count, as they are different
    mailboxes to most hosts. Telephone numbers become E.164; those without a country are of
    ``phone_region`` (two letters, ISO 3166-1), or stay apart from every other without one.
    Everything else is opaque and keeps its case.
    """
    value = value.strip()
    if subject_type == "email":
        return _email(value)
    if subject_type == "phone":
        return _phone(value, phone_region)
    return value


def _email(value: str) -> str:
    value = value.lower()
    if _ACE not in value and value[-1:] != "." and value.isascii():
        return value  # as nearly every address is
    local, at, domain = unicodedata.normalize("NFC", value).rpartition("@")
    return local + at + _domain(domain).rstrip(".") if at else domain


def _domain(domain: str) -> str:
    """Return the ASCII form of a domain, or itself where it has none."""
    if len(domain) > _MOST_DOMAIN:
        return domain
    import idna  # noqa: PLC0415 - most domains never need its tables

    try:
        return idna.encode(
            domain.rstrip("."), uts46=True, std3_rules=False, transitional=False
        ).decode()
    except idna.IDNAError:
        return domain


def _phone(value: str, region: str | None) -> str:
    """Return a number in E.164, with its extension; what is no number is opaque.

    A national prefix may stand in front of another (``+49 (0)0...``): it is left out until none is
    left, so that a canonical number is canonical.
    """
    told = value[4:] if value[:4].lower() == "tel:" else value
    if len(value) > _MOST_PHONE:
        return value
    found = _EXTENSION.search(told)
    number, extension = told, ""
    if found and found.end() == len(told):
        number, extension = told[: found.start()], f";ext={found['digits']}"
    if not (_DIALLED.fullmatch(number) and _DIGIT.search(number)):
        return value
    one = _number(number, region)
    while len(shorter := _number(one, region)) < len(one):
        one = shorter
    return one + extension


def _number(number: str, region: str | None) -> str:
    import phonenumbers as numbers  # noqa: PLC0415 - many installations know no number

    dialled = _digits(number)
    tries = [(number, region)]
    if dialled.startswith("00"):
        dialled = "+" + dialled[2:]
        tries.append((dialled, None))
    for text, country in tries:
        try:
            parsed = numbers.parse(text, country)
        except numbers.NumberParseException:
            continue
        is_number = (
            numbers.is_possible_number
            if text.startswith(_INTERNATIONAL)
            else numbers.is_valid_number
        )
        if is_number(parsed):
            return numbers.format_number(parsed, numbers.PhoneNumberFormat.E164)
    return dialled


def _digits(number: str) -> str:
    """Return what is dialled, in ASCII: digits, and a leading plus."""
    kept = _NOT_DIALLED.sub("", number.replace("\uff0b", "+"))
    return "".join(one if one == "+" else str(unicodedata.decimal(one)) for one in kept)
