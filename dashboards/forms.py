"""Forms that pages and mail programs send, read with nothing but the standard library."""

from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl, urlsplit

from fastapi import Request

from candor.kernel.errors import ForbiddenError, MalformedError, UnsupportedTypeError
from candor.kernel.http import DoorRequest

_MOST_BYTES = 256 * 1024
_MOST_FIELDS = 5000
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"

Form = dict[str, str]


async def read_form(request: Request) -> Form:
    """Return the fields of a form; of a field that comes twice, the last value.

    What names no type counts as the usual one: whoever unsubscribes must not fail over a header.

    Raises:
        UnsupportedTypeError: it is no form.
        TooLargeError: it is far over what a page has.
        MalformedError: it cannot be read.
    """
    door = DoorRequest(request.scope, request.receive)
    kind = door.media_type or _URLENCODED
    if kind not in {_URLENCODED, _MULTIPART}:
        raise UnsupportedTypeError(f"Send a form, as {_URLENCODED} or {_MULTIPART}.")
    body = await door.body(_MOST_BYTES)
    try:
        if kind == _URLENCODED:
            text = body.decode("ascii")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
        return _parts(door.header(b"content-type"), body)
    except ValueError:
        raise MalformedError("The form cannot be read.") from None


def check_same_origin(request: Request) -> None:
    """Return when a form came from a page of ours, as far as the browser says where it came from.

    Pages are sent with ``Referrer-Policy: no-referrer``, so a browser says ``Origin: null`` of its
    own forms; it is ``Sec-Fetch-Site`` that tells. What tells nothing is no browser of today: there
    the token, which nobody else knows, has to do.

    Raises:
        ForbiddenError: it came from somewhere else.

    Source: Fetch standard, "append a request Origin header"; W3C, Fetch Metadata Request Headers.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site != "same-origin":
            raise ForbiddenError("This did not come from our page.")
        return
    origin = request.headers.get("origin")
    if origin not in {None, "null"} and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForbiddenError("This did not come from our page.")


def _parts(content_type: str, body: bytes) -> Form:
    """Return the fields of a multipart body. Source: RFC 7578."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise ValueError
    found: Form = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = content.decode().removesuffix("\r\n")
    return found
