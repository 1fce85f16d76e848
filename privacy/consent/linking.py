"""The links of one message, and the headers by which mail programs unsubscribe."""

from datetime import datetime
from typing import Any

import msgspec

from candor.kernel.errors import InvalidInputError
from privacy.consent.link import Link, token_of
from privacy.consent.policy import Policy
from privacy.consent.purpose import EVERY_PURPOSE

ONE_CLICK = "List-Unsubscribe=One-Click"
_NO_ADDRESS = (
    "Set CANDOR_PUBLIC_URL to the https address of this server for the headers List-Unsubscribe and"
    " List-Unsubscribe-Post."
)


def check_scope(policy: Policy, purpose: str, channel: str) -> None:
    """Return when a person could take this back.

    Raises:
        InvalidInputError: there is no such purpose, or it does not use the channel.
    """
    if purpose == EVERY_PURPOSE:
        return
    found = policy.purposes.get(purpose)
    if found is None:
        raise InvalidInputError(
            "No purpose bears that key. Apply it first (candor consent apply FILE), or leave it"
            " out for all of them.",
            path="purpose",
        )
    if channel and found.channels and channel not in found.channels:
        raise InvalidInputError("The purpose does not use this channel.", path="channel")


def links_document(link: Link, key: bytes, base: str, until: datetime) -> dict[str, Any]:
    """Return the links as the interface spells them; ``base`` is our address for the outside.

    Where that is none by https, a note says so: mail programs would not take the headers.

    Source: RFC 8058, section 3.1, for the two headers; the address must be https, and both must be
    under the signature of the message (DKIM).
    """
    ending = msgspec.structs.replace(link, purpose=EVERY_PURPOSE, channel="", until=until)
    unsubscribe = f"/u/{token_of(link, 'unsubscribe', key)}"
    told = {
        "unsubscribe": unsubscribe,
        "preferences": f"/preferences/{token_of(ending, 'preferences', key)}",
        "preferences_until": until.isoformat(),
        "list_unsubscribe": f"<{base}{unsubscribe}>",
        "list_unsubscribe_post": ONE_CLICK,
    }
    return told if base.startswith("https://") else told | {"note": _NO_ADDRESS}
