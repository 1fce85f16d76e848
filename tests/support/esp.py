"""Small servers that answer as ESPs and CDPs do, on the loopback, with a state that can change.

Their answers have the shapes that the public API documentation of each describes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.loopback import Received, Reply, answering, json_reply

Answer = tuple[int, Any]


@dataclass
class Asked:
    """One request, its path split and unquoted."""

    method: str
    path: list[str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Esp:
    """People by identifier, each with a state in the system's own words."""

    url: str = ""
    people: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)


@contextmanager
def esp(answer: Callable[[Esp, Asked], Answer]) -> Iterator[Esp]:
    kept = Esp()

    def reply(received: Received) -> Reply:
        asked = _asked(received)
        kept.asked.append(asked)
        status, told = (kept.faults.pop(0), None) if kept.faults else answer(kept, asked)
        wait = {"retry-after": "7"} if status == 429 else {}
        return json_reply(status, told, **wait)

    with answering(reply) as kept.url:
        yield kept


def _asked(received: Received) -> Asked:
    parts = urlsplit(received.path)
    return Asked(
        received.method,
        [unquote(part) for part in parts.path.split("/")[1:]],
        {name: values[0] for name, values in parse_qs(parts.query).items()},
        received.headers,
        received.json() if received.body else None,
    )


def braze(kept: Esp, asked: Asked) -> Answer:
    """A subscription group; people are Subscribed or Unsubscribed."""
    if asked.headers.get("authorization") != "Bearer a key":
        return 401, {"message": "Invalid API Key"}
    if asked.path == ["subscription", "status", "get"]:
        who = asked.query["external_id"]
        return 200, {"status": {who: kept.people.get(who, "Unknown")}, "message": "success"}
    if asked.path == ["subscription", "status", "set"]:
        for who in asked.body["external_id"]:
            kept.people[who] = asked.body["subscription_state"].capitalize()
        return 201, {"message": "success"}
    return 404, None


def iterable(kept: Esp, asked: Asked) -> Answer:
    """Users by e-mail; a person's state is the list of channels that they unsubscribed from."""
    if asked.headers.get("api-key") != "a key":
        return 401, {"code": "BadApiKey"}
    if asked.method == "GET" and asked.path[:2] == ["api", "users"]:
        who = asked.path[2]
        if who not in kept.people:
            return 200, {}
        fields = {"unsubscribedChannelIds": kept.people[who], "emailListIds": [1]}
        return 200, {"user": {"email": who, "dataFields": fields}}
    if asked.path == ["api", "users", "updateSubscriptions"]:
        assert all(isinstance(one, int) for one in asked.body["unsubscribedChannelIds"])
        kept.people[asked.body["email"]] = asked.body["unsubscribedChannelIds"]
        return 200, {"msg": "", "code": "Success", "params": {}}
    return 404, None


def salesforce(kept: Esp, asked: Asked) -> Answer:
    """Contacts by an external id; a person's state is whether they opted out of e-mail."""
    if asked.headers.get("authorization") != "Bearer a key":
        return 401, [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}]
    place = asked.path[4:]
    if asked.method == "GET" and place[:2] == ["Contact", "Customer_Number__c"]:
        who = place[2]
        if who not in kept.people:
            return 404, [{"errorCode": "NOT_FOUND", "message": "Provided external ID"}]
        return 200, {
            "attributes": {"type": "Contact"},
            "Id": f"003{who}",
            "HasOptedOutOfEmail": kept.people[who],
            "LastModifiedDate": "2026-11-20T08:14:00.000+0000",
        }
    if asked.method == "PATCH" and place[0] == "Contact":
        kept.people[place[1].removeprefix("003")] = asked.body["HasOptedOutOfEmail"]
        return 204, None
    return 404, None


def segment(kept: Esp, asked: Asked) -> Answer:
    """Messaging subscriptions of a space; people are SUBSCRIBED, UNSUBSCRIBED or neither."""
    if asked.headers.get("authorization") != "Bearer a key":
        return 401, {"errors": [{"type": "unauthorized"}]}
    if asked.headers["content-type"] != "application/vnd.segment.v1alpha+json":
        return 415, None
    (one,) = asked.body["subscriptions"]
    if asked.method == "PUT":
        kept.people[one["key"]] = one["status"]
        return 200, {"data": {"subscriptions": [one], "status": "SUCCESS"}}
    if asked.path != ["spaces", "a-space", "messaging-subscriptions", "batch"]:
        return 404, None
    if one["key"] not in kept.people:
        fault = {"code": "NOT_FOUND", "message": "No such key"}
        failures = [{"key": one["key"], "type": "EMAIL", "errors": [fault]}]
        return 200, {"data": {"successes": [], "failures": failures}}
    told = one | {"status": kept.people[one["key"]], "updatedAt": "2026-11-20T08:14:00.000Z"}
    return 200, {"data": {"successes": [told], "failures": []}}
