"""Signed webhooks: how an answer is understood, and when a failure is tried again."""

import base64
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from candor.kernel.backoff import pause_after
from candor.kernel.webhook import Outcome, post_signed, signature

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def posted(answer: httpx.Response | httpx.HTTPError) -> Outcome:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, httpx.HTTPError):
            raise answer
        return answer

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        return post_signed(client, "https://x.example.org", "s" * 16, {"id": "e1"}, NOON)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome(taken=True, told="status 200")),
        (204, Outcome(taken=True, told="status 204")),
        (400, Outcome(taken=False, told="status 400")),
        (422, Outcome(taken=False, told="status 422")),
        (301, Outcome(taken=False, told="status 301", blames_receiver=True)),
        (401, Outcome(taken=False, told="status 401", blames_receiver=True)),
        (429, Outcome(taken=False, told="status 429", blames_receiver=True)),
        (500, Outcome(taken=False, told="status 500", blames_receiver=True)),
        (503, Outcome(taken=False, told="status 503", blames_receiver=True)),
    ],
)
def test_a_refusal_is_told_from_a_receiver_that_takes_nothing(
    status: int, outcome: Outcome
) -> None:
    assert posted(httpx.Response(status, text="anna@example.org")) == outcome


def test_a_body_that_does_not_end_is_not_read() -> None:
    def forever() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    assert posted(httpx.Response(200, content=forever())).taken


def test_a_fault_is_told_by_its_kind_alone() -> None:
    fault = posted(httpx.ConnectTimeout("anna@example.org"))
    assert fault == Outcome(taken=False, told="ConnectTimeout", blames_receiver=True)


def test_a_signature_depends_on_secret_id_time_and_body() -> None:
    one = signature("s" * 16, "e1", NOON, b"{}")
    later = NOON + timedelta(seconds=1)
    others = {
        signature("t" * 16, "e1", NOON, b"{}"),
        signature("s" * 16, "e2", NOON, b"{}"),
        signature("s" * 16, "e1", later, b"{}"),
        signature("s" * 16, "e1", NOON, b"[]"),
    }
    assert one not in others
    assert len(others) == 4


def test_a_secret_in_the_form_of_standard_webhooks_is_the_key_that_it_stands_for() -> None:
    """The example of the specification's own libraries."""
    at = datetime.fromtimestamp(1614265330, UTC)
    secret, message = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek"
    signed = signature(secret, message, at, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    other = "whsec_no base64"
    digest = hmac.digest(other.encode(), f"e.{int(NOON.timestamp())}.".encode(), "sha256")
    assert signature(other, "e", NOON, b"") == "v1," + base64.b64encode(digest).decode()


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 200)]
    assert pauses[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)
    assert pause_after(9, timedelta(minutes=5)) == timedelta(minutes=5)
