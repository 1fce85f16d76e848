"""Checks as they are written: YAML, with every fault named by its line, path and rule."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonpointer import JsonPointer, JsonPointerException

from candor.kernel.document import Finding, Value, read_documents, report_of
from candor.kernel.errors import InvalidInputError
from collector.check import (
    Body,
    BodyKind,
    Check,
    Expectation,
    FromEnvironment,
    Request,
    Save,
    SaveKind,
    Scalar,
    Step,
    places_in,
)

Placed = tuple[str, Finding]
"""A finding and the name of the text that it is about."""

_NAME = re.compile(r"[A-Za-z0-9][-_.A-Za-z0-9]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,62}")
_SPAN = re.compile(r"([1-9]\d{0,5})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_BODIES: tuple[BodyKind, ...] = ("json", "form", "text")
_SAVES: tuple[SaveKind, ...] = ("json", "header", "regex")
_STATUSES = range(100, 600)
_EVERY = timedelta(minutes=1)
_TIMEOUT = timedelta(seconds=10)
_LONGEST_TIMEOUT = timedelta(minutes=5)


def open_checks(paths: Iterable[Path]) -> list[Check]:
    """Return the checks of files.

    Raises:
        InvalidInputError: a file cannot be read, or has a fault; the first is named.
    """
    try:
        texts = {str(path): path.read_text(encoding="utf-8") for path in paths}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(
            f"A file of checks cannot be read ({type(error).__name__}). Mend CANDOR_CHECKS__FILES."
        ) from None
    checks, findings = read_checks(texts)
    for file, finding in findings:
        raise InvalidInputError(
            f"{file}:{finding.line}: {finding.path}: {finding.message} All faults are named by"
            " `candor checks validate`."
        )
    return checks


def require_environment(checks: Iterable[Check], environment: Mapping[str, str]) -> None:
    """Return when every variable that a check takes from the environment is there.

    Raises:
        InvalidInputError: one is missing; it is named.
    """
    for check in checks:
        for value in check.variables.values():
            if isinstance(value, FromEnvironment) and value.name not in environment:
                raise InvalidInputError(
                    f"Check {check.name} needs the environment variable {value.name}. Set it."
                )


def read_checks(texts: Mapping[str, str]) -> tuple[list[Check], list[Placed]]:
    """Return the checks of a set of named texts, and the faults by text and line.

    Names are unique over all the texts. A check with a fault is left out.
    """
    checks: list[Check] = []
    findings: list[Placed] = []
    taken: set[str] = set()
    for file, text in texts.items():
        documents, unreadable = read_documents(text)
        faults = list(unreadable)
        for document in documents:
            entries = document.fields(("checks",)).get("checks")
            listed = entries.items() if entries is not None else []
            if not listed:
                (entries or document).fault("required", "checks must hold at least one check.")
            found = [_read_check(entry, taken) for entry in listed]
            checks += [check for check in found if check is not None]
            faults += report_of(document).findings
        findings += ((file, fault) for fault in sorted(faults, key=lambda one: one.line))
    return checks, findings


@dataclass(slots=True)
class _Reader:
    """Reads the steps of one check; ``known`` grows by what each step saves."""

    timeout: timedelta
    known: set[str]
    taken: set[str] = field(default_factory=set)

    def step(self, place: Value) -> Step | None:
        fields = place.fields(("name", "request", "expect", "save", "timeout"))
        name = _name(fields.get("name"), place, self.taken)
        timeout = _span(fields.get("timeout"), self.timeout, _LONGEST_TIMEOUT)
        request = fields.get("request")
        if request is None:
            place.fault("required", "request is required.")
        asked = self._request(request) if request is not None else None
        expect = self._expectation(fields.get("expect"))
        saves = _saves(fields.get("save"))
        self.known |= {save.name for save in saves}
        if name is None or asked is None:
            return None
        return Step(name, asked, expect, saves, timeout)

    def _request(self, place: Value) -> Request | None:
        fields = place.fields(("method", "url", "headers", "follow_redirects", *_BODIES))
        method = fields["method"].text() if "method" in fields else "GET"
        if method is not None and method.upper() not in _METHODS:
            fields["method"].fault("one-of", f"method is one of {', '.join(_METHODS)}.")
        url = self._url(fields.get("url"), place)
        headers = self._texts(fields.get("headers"))
        follows = fields["follow_redirects"].boolean() if "follow_redirects" in fields else True
        body = self._body(place, fields)
        if method is None or url is None:
            return None
        return Request(method.upper(), url, headers, body, follows is not False)

    def _url(self, value: Value | None, place: Value) -> str | None:
        url = value.text() if value is not None else None
        if value is None:
            place.fault("required", "url is required.")
        elif url is not None:
            self._check_places(value, url)
            if not url.startswith("{{") and not _is_http(url):
                value.fault("format", "A url begins with http:// or https:// and names a host.")
        return url

    def _body(self, place: Value, fields: Mapping[str, Value]) -> Body | None:
        kinds = [kind for kind in _BODIES if kind in fields]
        if len(kinds) > 1:
            place.fault("one-of", f"A request has one body: {', '.join(_BODIES)}.")
        if not kinds:
            return None
        kind, value = kinds[0], fields[kinds[0]]
        if kind == "form":
            return Body(kind, self._texts(value))
        content = value.plain() if kind == "json" else value.text()
        self._check_places(value, content)
        return Body(kind, content)

    def _expectation(self, place: Value | None) -> Expectation:
        known = ("status", "max_ms", "header", "contains", "json")
        fields = place.fields(known) if place is not None else {}
        limit = fields["max_ms"].number() if "max_ms" in fields else None
        if limit is not None and limit <= 0:
            fields["max_ms"].fault("range", "A limit of time is above zero.")
        pointers: dict[str, Scalar | None] = {}
        for pointer, value in fields["json"].pairs() if "json" in fields else ():
            _check_pointer(value, pointer)
            pointers[pointer] = None if value.is_null else value.scalar()
            self._check_places(value, pointers[pointer])
        contains = fields.get("contains")
        texts = [one.text() or "" for one in _listed(contains)]
        if contains is not None:
            self._check_places(contains, texts)
        return Expectation(
            status=_statuses(fields.get("status")),
            max_ms=None if limit is None else float(limit),
            header=self._texts(fields.get("header")),
            contains=tuple(texts),
            json=pointers,
        )

    def _texts(self, place: Value | None) -> dict[str, str]:
        texts: dict[str, str] = {}
        for name, value in _pairs(place):
            texts[name] = value.text() or ""
            self._check_places(value, texts[name])
        return texts

    def _check_places(self, value: Value, template: Any) -> None:  # noqa: ANN401 - any JSON value
        for name in sorted(places_in(template) - self.known):
            value.fault("unknown-variable", f"No variable {name} is declared or saved before this.")


def _read_check(place: Value, taken: set[str]) -> Check | None:
    before = len(report_of(place).findings)
    fields = place.fields(("name", "journey", "every", "timeout", "variables", "steps"))
    name = _name(fields.get("name"), place, taken)
    journey = _name(fields["journey"], place, set()) if "journey" in fields else ""
    every = _span(fields.get("every"), _EVERY)
    timeout = _span(fields.get("timeout"), _TIMEOUT, _LONGEST_TIMEOUT)
    variables = _variables(fields.get("variables"))
    reader = _Reader(timeout, set(variables))
    entries = fields["steps"].items() if "steps" in fields else []
    if not entries:
        fields.get("steps", place).fault("required", "steps must hold at least one step.")
    steps = [reader.step(entry) for entry in entries]
    if len(report_of(place).findings) > before:
        return None
    whole = tuple(step for step in steps if step is not None)
    return Check(name or "", journey or "", every, variables, whole)


def _name(value: Value | None, place: Value, taken: set[str]) -> str | None:
    text = value.text() if value is not None else None
    if value is None:
        place.fault("required", "name is required.")
    elif text is not None and not _NAME.fullmatch(text):
        value.fault("format", "A name has 1 to 63 letters, digits, and -_. inside.")
    elif text in taken:
        value.fault("duplicate", "This name stands here twice.")
    elif text is not None:
        taken.add(text)
    return text


def _span(value: Value | None, default: timedelta, longest: timedelta | None = None) -> timedelta:
    text = value.text() if value is not None else None
    if value is None or text is None:
        return default
    match = _SPAN.fullmatch(text)
    if match is None:
        value.fault("format", "A time is a number and one of s m h d, such as 60s.")
        return default
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if longest is not None and span > longest:
        value.fault("range", f"A timeout is at most {longest.total_seconds():g}s.")
    return span


def _variables(place: Value | None) -> dict[str, Scalar | FromEnvironment]:
    variables: dict[str, Scalar | FromEnvironment] = {}
    for name, value in _pairs(place):
        _check_variable(name, value)
        if not value.is_mapping:
            scalar = value.scalar()
            variables[name] = "" if scalar is None else scalar
            continue
        fields = value.fields(("env",))
        text = fields["env"].text() if "env" in fields else None
        if text is None:
            value.fault("required", "A variable is a value, or {env: NAME}.")
        variables[name] = FromEnvironment(text or "")
    return variables


def _saves(place: Value | None) -> tuple[Save, ...]:
    saves: list[Save] = []
    for name, value in _pairs(place):
        _check_variable(name, value)
        fields = value.fields(_SAVES)
        kinds = [kind for kind in _SAVES if kind in fields]
        if len(kinds) != 1:
            value.fault("one-of", f"A variable is saved from one of {', '.join(_SAVES)}.")
            continue
        source = fields[kinds[0]]
        text = source.text() or ""
        if kinds[0] == "json":
            _check_pointer(source, text)
        elif kinds[0] == "regex":
            _check_expression(source, text)
        saves.append(Save(name, kinds[0], text))
    return tuple(saves)


def _statuses(place: Value | None) -> frozenset[int]:
    statuses: set[int] = set()
    for value in _listed(place):
        number = value.number()
        if number is not None and number in _STATUSES:
            statuses.add(int(number))
        elif number is not None:
            value.fault("range", "A status lies between 100 and 599.")
    return frozenset(statuses)


def _check_variable(name: str, value: Value) -> None:
    if not _VARIABLE.fullmatch(name):
        value.fault("format", "A variable's name has letters, digits and _, no digit first.")


def _check_pointer(value: Value, text: str) -> None:
    try:
        JsonPointer(text)
    except JsonPointerException:
        value.fault("format", "This must be a JSON pointer such as /cart/id.")


def _check_expression(value: Value, text: str) -> None:
    try:
        re.compile(text)
    except re.error:
        value.fault("format", "This must be a regular expression.")


def _pairs(place: Value | None) -> Iterable[tuple[str, Value]]:
    return place.fields().items() if place is not None else ()


def _listed(place: Value | None) -> Sequence[Value]:
    """Return the entries of a list, or the one value that stands in its stead."""
    if place is None:
        return ()
    return place.items() if place.is_list else [place]


def _is_http(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)
