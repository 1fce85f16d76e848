"""Envoy's side of an authorization: messages compiled from the published protobufs."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # how its classes are validated
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.service.auth import v3 as auth

METHOD = "/envoy.service.auth.v3.Authorization/Check"


def check_request(
    context: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    header_map: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """Return a request as Envoy sends it, with more in it than a check reads."""
    raw = [core.HeaderValue(key=key, raw_value=value) for key, value in header_map]
    http = auth.AttributeContextHttpRequest(
        id="1",
        method="POST",
        headers={":path": "/orders/7", **headers},
        header_map=core.HeaderMap(headers=raw) if raw else None,
        path="/orders/7?page=2",
        host="shop.example.org",
        scheme="https",
        protocol="HTTP/2",
        body="{}",
    )
    peer = auth.AttributeContextPeer(
        address=core.Address(socket_address=core.SocketAddress(address="10.0.0.7", port_value=1)),
        service="mailer",
    )
    attributes = auth.AttributeContext(
        source=peer,
        destination=peer,
        request=auth.AttributeContextRequest(http=http),
        context_extensions=dict(context),
    )
    return bytes(auth.CheckRequest(attributes=attributes))


class Verdict:
    """What Envoy does with an answer: let the request pass, or answer it."""

    def __init__(self, response: bytes) -> None:
        told = auth.CheckResponse.parse(response)
        denied, passed = told.denied_response, told.ok_response
        self.code = told.status.code if told.status is not None else 0
        self.passes = self.code == 0 and denied is None
        self.status = int(denied.status.code) if denied is not None and denied.status else 200
        self.body = denied.body if denied is not None else ""
        self.removed = list(passed.headers_to_remove) if passed is not None else []
        said: Any = denied or passed
        options = said.headers if said is not None else []
        self.headers = {one.header.key: one.header.value for one in options}
        self.actions = {int(one.append_action) for one in options}


def check(channel: grpc.Channel, request: bytes, key: str | None) -> Verdict:
    """Return the verdict on a request."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    return Verdict(call(request, metadata=metadata, timeout=10))
