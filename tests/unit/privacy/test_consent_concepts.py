"""Purposes, notices, acts and signals: what is one, and what a change of one adds."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.kernel.errors import InvalidInputError
from privacy.consent.act import Act, MissingElementError, check_act
from privacy.consent.notice import Notice, coverage_of, notice_of
from privacy.consent.purpose import (
    Purpose,
    parse_period,
    period_text,
    purpose_of,
    widening,
)
from privacy.consent.signals import is_gpc
from tests.support.stores import NOON

FIELDS: dict[str, Any] = {
    "key": "marketing",
    "name": "Marketing",
    "mechanism": "opt_in",
    "legal_basis": {"default": "consent"},
}


def purpose(**fields: Any) -> Purpose:  # noqa: ANN401 - any field
    return Purpose(**(FIELDS | fields))


def notice(**fields: Any) -> Notice:  # noqa: ANN401 - any field
    told: dict[str, Any] = {
        "key": "newsletter",
        "version": "1",
        "purposes": ("marketing",),
        "texts": {"en": "May we?"},
    }
    return Notice(**(told | fields))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"key": "Marketing"}, "key"),
        ({"key": "x" * 64}, "key"),
        ({"legal_basis": {}}, "legal_basis"),
        ({"legal_basis": {"AU": "because"}}, "legal_basis.AU"),
        ({"legal_basis": {"jane doe": "because"}}, "legal_basis.?"),
        ({"channels": ("e mail",)}, "channels.0"),
        ({"recipients": ("esp", "")}, "recipients.1"),
        ({"data_categories": ("a/b",)}, "data_categories.0"),
        ({"obligations": (" ",)}, "obligations.0"),
    ],
)
def test_a_purpose_that_is_none_is_refused_at_its_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        purpose(**fields)
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"key": ""}, "key"),
        ({"version": "a/b"}, "version"),
        ({"purposes": ()}, "purposes"),
        ({"texts": {}}, "texts"),
        ({"texts": {"english!": "May we?"}}, "texts"),
        ({"texts": {"en": " "}}, "texts.en"),
        ({"recipients": ("e s p",)}, "recipients.0"),
    ],
)
def test_a_notice_that_is_none_is_refused_at_its_place(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        notice(**fields)
    assert refused.value.path == path


def test_purposes_and_notices_are_what_their_definitions_say() -> None:
    one = purpose(
        channels=("email",), validity=timedelta(days=2), retired_at=NOON, obligations=("x",)
    )
    assert purpose_of("marketing", one.definition()) == one
    other = notice(recipients=("esp",), effective_from=NOON)
    assert notice_of("newsletter", "1", other.definition()) == other
    assert notice_of("newsletter", "1", notice().definition()) == notice()
    assert other.digest("en") != other.digest(None) == other.digest("fr")
    unbound = coverage_of(other, purpose())
    assert unbound.channels is None
    assert unbound.recipients == {"esp"}


def test_a_change_adds_what_was_not_there() -> None:
    before = purpose(channels=("email",), validity=timedelta(days=1))
    assert not widening(before, before).is_any
    assert widening(before, purpose(validity=timedelta(days=1))).channels == ("*",)
    assert widening(before, purpose(channels=("email",))).lasts_longer
    assert widening(before, purpose(channels=("email",), validity=timedelta(days=2))).lasts_longer
    assert not widening(purpose(), purpose(channels=("sms",))).is_any


@given(st.integers(1, 50_000_000).map(lambda minutes: timedelta(minutes=minutes)))
def test_a_period_is_read_as_it_is_written(period: timedelta) -> None:
    assert parse_period(period_text(period)) == period


@pytest.mark.parametrize("text", ["", "0d", "1y", "-1d", "1.5d", "99999w", "P1D"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_period(text)
    assert parse_period(None) is None
    assert period_text(None) is None


def test_only_an_exact_one_is_a_gpc_signal() -> None:
    assert is_gpc([b"0", b"1"])
    assert not is_gpc([b"1 ", b"true", b""])


def act(**fields: Any) -> Act:  # noqa: ANN401 - any field
    told: dict[str, Any] = {
        "subject_key": "k",
        "subject_type": "email",
        "purpose": "marketing",
        "action": "grant",
        "at": NOON,
        "source": "api",
        "notice": "newsletter/1",
    }
    return Act(**(told | fields))


def test_what_restricts_needs_no_notice_and_what_gives_does() -> None:
    check_act(act(), purpose(), notice())
    check_act(act(action="withdraw", notice=None), purpose(), None)
    check_act(act(action="object", notice=None, purpose="*"), None, None)
    check_act(
        act(ip_prefix="2001:db8::/32", user_agent_hash="sha256:" + "a" * 64), purpose(), notice()
    )
    for bad, known in (
        (act(action="withdraw", notice=None), None),
        (act(action="expire", notice=None, purpose="*"), None),
        (act(notice=None), purpose()),
        (act(action="withdraw"), purpose()),
        (act(ip_prefix="2001:db8::/64"), purpose()),
    ):
        with pytest.raises(MissingElementError):
            check_act(bad, known, None)
