"""Signed webhooks: CloudEvents that their receiver can tell from anybody else's.

A fault is told by its kind alone: the other side's text may hold anything.
"""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import httpx

_KEY_PREFIX = "whsec_"
_MOST_BYTES = 4096
_READING_SECONDS = 2.0
_ABOUT_THE_RECEIVER = frozenset({401, 403, 404, 405, 407, 408, 410, 421, 425, 429})


class Outcome(NamedTuple):
    """Whether a message was taken, and how that ended.

    ``blames_receiver`` tells an address that takes nothing now from one that refused this message.
    """

    taken: bool
    told: str
    blames_receiver: bool = False


def signature(secret: str, message_id: str, at: datetime, body: bytes) -> str:
    """Return the signature of a message: ``v1,`` and HMAC-SHA-256 over id, time and body.

    The key is what ``whsec_`` and base64 stand for, as libraries of Standard Webhooks expect; of a
    secret in any other form, the bytes of its text.

    Source: Standard Webhooks 1.0, "Signature scheme".
    """
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(_key_of(secret), signed, sha256)).decode()


def post_signed(
    client: httpx.Client, url: str, secret: str, event: Mapping[str, Any], at: datetime
) -> Outcome:
    """Send a CloudEvent in structured mode once; its id tells a receiver that it came before.

    The status decides; of the body only a little is read, so that the connection serves again.
    """
    body = json.dumps(event).encode()
    message_id = str(event["id"])
    headers = {
        "content-type": "application/cloudevents+json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(secret, message_id, at, body),
    }
    try:
        with client.stream("POST", url, content=body, headers=headers) as answer:
            _read_little(answer)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return Outcome(
            taken=False, told=type(error.__cause__ or error).__name__, blames_receiver=True
        )
    status = answer.status_code
    is_refusal = answer.is_client_error and status not in _ABOUT_THE_RECEIVER
    return Outcome(answer.is_success, f"status {status}", not (answer.is_success or is_refusal))


def _read_little(answer: httpx.Response) -> None:
    """Read a body that is short and comes soon; leave any other, and its connection, alone."""
    if answer.is_stream_consumed:
        return
    until, read = time.monotonic() + _READING_SECONDS, 0
    with suppress(httpx.HTTPError):  # the status said what there is to know
        for piece in answer.iter_raw():
            read += len(piece)
            if read > _MOST_BYTES or time.monotonic() > until:
                return


def _key_of(secret: str) -> bytes:
    encoded = secret.removeprefix(_KEY_PREFIX)
    if encoded != secret:
        try:
            return base64.b64decode(encoded, validate=True)
        except ValueError:  # it only begins like one
            return secret.encode()
    return secret.encode()
