"""Positions, subscribers, lanes and what they tell."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from candor.kernel.errors import ConflictError, InvalidInputError
from candor.kernel.ports import Original
from candor.kernel.webhook import Outcome
from privacy.consent.act import Act, Action, ConsentEvent
from privacy.propagation.change import change_event
from privacy.propagation.lane import (
    MOST_ATTEMPTS,
    MOST_REFUSALS,
    Lane,
    Sent,
    Waiting,
    settled,
)
from privacy.propagation.position import BEGINNING, Position, end_of, position_of
from privacy.propagation.sealing import open_sealed, seal
from privacy.propagation.subscriber import Subscriber, subscriber_of

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REFUSED = Outcome(taken=False, told="status 422")
AWAY = Outcome(taken=False, told="ConnectError", blames_receiver=True)


def event(
    turn: int = 1, purpose: str = "m", channel: str = "", action: Action = "withdraw"
) -> ConsentEvent:
    act = Act("k", "email", purpose, action, NOON, "api", channel, ip_prefix="192.0.2.0/24")
    return ConsentEvent(f"e{turn}", turn, 3, act, NOON, NOON, "shop")


def subscriber(**fields: Any) -> Subscriber:  # noqa: ANN401 - any field
    known: dict[str, Any] = {"address": "https://crm.example.org/x", "secret": "s" * 16}
    return Subscriber("crm", **({"kind": "webhook"} | known | fields))


def test_positions_are_written_and_sort_as_the_ledger_does() -> None:
    assert position_of("120") == Position(120, 0)
    assert position_of("120.3") == Position(120, 3)
    assert str(Position(120, 3)) == "120.3"
    places = [BEGINNING, Position(0, 0), Position(9, 10), Position(10, 2), end_of(10)]
    assert places == sorted(places)
    told = [place.sequence for place in places[1:4]]
    assert told == sorted(told)
    assert Position(4, 1).preceding < Position(4, 1) < Position(4, 1).following


@pytest.mark.parametrize("text", ["", "-1", "1.2.3", "one", "1.", ".1", "9" * 20])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        position_of(text)


@pytest.mark.parametrize(
    ("fields", "purpose", "channel", "wants"),
    [
        ({}, "m", "sms", True),
        ({"purposes": ("m",)}, "m", "sms", True),
        ({"purposes": ("n",)}, "m", "sms", False),
        ({"purposes": ("n",)}, "*", "", True),
        ({"channels": ("email",)}, "m", "sms", False),
        ({"channels": ("email",)}, "m", "", True),
        ({"channels": ("email",), "purposes": ("m",)}, "m", "email", True),
    ],
)
def test_a_subscriber_wants_what_concerns_it(
    fields: Any,  # noqa: ANN401 - any field
    purpose: str,
    channel: str,
    *,
    wants: bool,
) -> None:
    assert subscriber(**fields).wants(event(purpose=purpose, channel=channel)) is wants


KAFKA = {"kind": "kafka", "address": "b:9092", "topic": "t"}


@pytest.mark.parametrize(
    "fields",
    [
        {"address": "ftp://crm.example.org"},
        {"address": "https://crm.example.org:port/"},
        {"address": "https://[::/"},
        {"address": "https://xn--\u2603.example.org/\x00"},
        {"address": "https://"},
        {"address": "https://user:word@crm.example.org/"},
        {"address": "http://crm.example.org/", "identifiers": ("email",)},
        {"secret": "short"},
        {"kind": "kafka", "address": "", "topic": "t"},
        {"kind": "kafka", "address": "b:9092"},
        KAFKA | {"properties": {"plugin.library.paths": "x.so"}},
        KAFKA | {"properties": {"ssl.ca.location": "/etc/passwd"}},
        KAFKA | {"properties": {"sasl.kerberos.kinit.cmd": "id"}},
        KAFKA | {"properties": {"sasl.mechanisms": "GSSAPI"}},
        KAFKA | {"identifiers": ("email",)},
        KAFKA | {"identifiers": ("email",), "properties": {"security.protocol": "SASL_PLAINTEXT"}},
    ],
)
def test_a_subscriber_that_cannot_be_served_safely_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        subscriber(**fields)


def test_names_are_plain_words() -> None:
    with pytest.raises(InvalidInputError):
        Subscriber("Anna@example.org", "webhook", "https://a.example.org", secret="s" * 16)


def test_a_subscriber_is_made_again_from_what_is_stored() -> None:
    properties: dict[str, str | int | bool] = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "PLAIN",
        "linger.ms": 1,
    }
    kafka = Subscriber(
        "w", "kafka", "b:9092", "topic", ("m",), ("sms",), ("email",), properties=properties
    )
    for one in (subscriber(identifiers=("email",)), kafka):
        assert subscriber_of(one.name, one.definition(), one.secrets()) == one
        assert "secret" not in str(one.definition())
        assert "s" * 16 not in repr(one)


def test_secrets_open_for_their_subscriber_alone() -> None:
    key = bytes(32)
    sealed = seal(key, "crm", {"secret": "of the receiver"})
    assert b"receiver" not in sealed
    assert open_sealed(key, "crm", sealed) == {"secret": "of the receiver"}
    for other, name in ((bytes(31) + b"1", "crm"), (key, "erp")):
        with pytest.raises(ConflictError, match="Apply the subscriber again"):
            open_sealed(other, name, sealed)


def test_a_change_is_told_by_pseudonym_and_with_identifiers_only_when_given() -> None:
    told = change_event(event(7))
    assert (told["id"], told["subject"], told["type"]) == (
        "e7",
        "k",
        "dev.candor.consent.withdraw",
    )
    assert told["sequence"] == "000000000000007.000000003"
    assert told["data"]["position"] == "7.3"
    assert "identifiers" not in told["data"]
    assert "192.0.2" not in str(told)
    assert change_event(event(), [Original("email", "a@b")])["data"]["identifiers"] == [
        {"type": "email", "value": "a@b"}
    ]


EVENTS = [event(1), event(2)]


def waiting(attempts: int = 0) -> Waiting:
    return Waiting("k", Position(1, 3), attempts, NOON, "")


def test_a_lane_that_was_taken_waits_no_more() -> None:
    assert settled(Lane("k", EVENTS, waiting()), Sent(2), NOON) == (None, None)
    more = Lane("k", EVENTS, waiting(), rest=Position(9, 0))
    assert settled(more, Sent(2), NOON) == (Waiting("k", Position(9, 0), 0, NOON, ""), None)


def test_a_lane_waits_from_its_first_failure_on() -> None:
    later = NOON + timedelta(seconds=30)
    assert settled(Lane("k", EVENTS), Sent(1, REFUSED), NOON) == (
        Waiting("k", Position(2, 3), 1, later, "status 422"),
        None,
    )
    again, dead = settled(Lane("k", EVENTS, waiting(1)), Sent(0, REFUSED), NOON)
    assert again is not None
    assert (again.attempts, again.next_at, dead) == (2, NOON + timedelta(minutes=1), None)
    further, _ = settled(Lane("k", EVENTS, waiting(8)), Sent(1, REFUSED), NOON)
    assert further is not None
    assert further.attempts == 1


def test_a_receiver_that_takes_nothing_from_anybody_loses_nothing() -> None:
    lane = Lane("k", EVENTS, waiting(5 * MOST_ATTEMPTS))
    again, dead = settled(lane, Sent(0, AWAY), NOON, others_taken=False)
    assert again is not None
    assert (again.position, dead) == (Position(1, 3), None)
    _, refused = settled(lane, Sent(0, REFUSED), NOON, others_taken=False)
    assert refused is not None


@pytest.mark.parametrize(("fault", "most"), [(REFUSED, MOST_REFUSALS), (AWAY, MOST_ATTEMPTS)])
def test_what_was_tried_often_enough_is_given_up_and_the_next_goes_on(
    fault: Outcome, most: int
) -> None:
    last, nothing = settled(Lane("k", EVENTS, waiting(most - 2)), Sent(0, fault), NOON)
    assert last is not None
    assert nothing is None
    next_one, dead = settled(Lane("k", EVENTS, waiting(most - 1)), Sent(0, fault), NOON)
    assert dead is not None
    assert (dead.event, dead.position, dead.attempts) == ("e1", Position(1, 3), most)
    assert next_one == Waiting("k", Position(1, 4), 0, NOON, "")
