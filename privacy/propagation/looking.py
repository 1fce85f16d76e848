"""Subscribers for somebody who looks at them, or puts a file of them."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from privacy.propagation import schemas, store
from privacy.propagation.position import BEGINNING, position_of
from privacy.propagation.register import put_all

_MOST = 1000


def described(session: Session, name: str) -> dict[str, Any]:
    """Return a subscriber and how far it is, as a document.

    Raises:
        NotFoundError: nobody bears that name.
    """
    session.expire_all()
    definition, progress = store.known(session, name)
    behind_since = store.oldest_untold(session, name, progress.position)
    counts = store.counts(session, name)
    return schemas.subscriber_document(name, definition, progress, counts, behind_since)


def apply_text(  # noqa: PLR0913 - the text, and all that is stamped on it
    session: Session, key: bytes, text: bytes, at: datetime, by: str, *, dry_run: bool
) -> dict[str, Any]:
    """Put the subscribers of a YAML document, and return what changes.

    Raises:
        MalformedError: it is no YAML.
        InvalidInputError: it holds something else than subscribers; the place is named.
    """
    changes = put_all(session, key, schemas.read_subscribers(text), at, by, dry_run=dry_run)
    return {"dry_run": dry_run, "changes": [schemas.change_document(one) for one in changes]}


def given_up(session: Session, name: str, after: str | None) -> list[dict[str, Any]]:
    """Return the next thousand acts that were given up, as documents.

    Raises:
        NotFoundError: nobody bears that name.
    """
    store.known(session, name)
    place = BEGINNING if after is None else position_of(after)
    return [schemas.dead_document(one) for one in store.dead_letters(session, name, place, _MOST)]
