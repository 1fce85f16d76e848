"""The ledger of this machine's state store, for commands that need no server."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from candor.commands.console import installed_settings, settings
from candor.commands.keys import open_state, prepared_state

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from candor.kernel.secrets import Secrets
    from privacy.consent.ledger import Ledger

ACTOR = "command line"


class LedgerHere:
    """The ledger in one transaction, also beside a running server."""

    def __init__(
        self, session: "Session", secrets: "Secrets", ledger: "Ledger", now: datetime
    ) -> None:
        self._session = session
        self._secrets = secrets
        self._ledger = ledger
        self._now = now

    def apply(self, text: bytes, *, dry_run: bool) -> dict[str, Any]:
        """Return what putting a YAML document changes."""
        from privacy.consent.importing import apply_text  # noqa: PLC0415 - keeps --help quick

        return apply_text(self._session, text, self._now, ACTOR, dry_run=dry_run)

    def record(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return an act as it is on record now."""
        from privacy.consent.assembly import issuer_of  # noqa: PLC0415 - keeps --help quick
        from privacy.consent.importing import read_act  # noqa: PLC0415 - as above
        from privacy.consent.schemas import recorded_document  # noqa: PLC0415 - as above
        from privacy.subjects.originals import keep_originals  # noqa: PLC0415 - as above

        act = read_act(body, self._secrets, self._now)
        recorded = self._ledger.record(self._session, act, self._now, ACTOR)
        said = [(act.subject_type, body["subject"]["value"])]
        keep_originals(self._session, self._secrets, said, self._now)
        issuer = issuer_of(settings(), self._secrets, self._ledger.policies)
        return recorded_document(recorded, issuer.of_recorded(self._session, recorded))

    def show(self, subject: dict[str, str], *, history: bool) -> list[dict[str, Any]]:
        """Return what a person allows, or every act of theirs."""
        from privacy.consent.looking import consents_of, history_of  # noqa: PLC0415 - as above

        key = self._secrets.subject_key(subject["type"], subject["value"])
        if history:
            return history_of(self._session, key, self._now)
        return consents_of(self._session, self._ledger.policies, key, self._now)

    def export(self, *, whole: bool) -> Iterator[dict[str, Any]]:
        """Yield every act in the order of recording, or all that decisions follow from."""
        from privacy.consent.moving import exported_acts, exported_whole  # noqa: PLC0415 - as above

        return (exported_whole if whole else exported_acts)(self._session, self._secrets)

    def bring_in(self, block: bytes, *, dry_run: bool) -> dict[str, Any]:
        """Return what became of rows, one JSON object a line."""
        from privacy.consent.importing import import_rows, lines_of  # noqa: PLC0415 - as above

        rows = lines_of(block)
        return import_rows(
            self._session,
            self._ledger,
            rows,
            self._secrets,
            at=self._now,
            by=ACTOR,
            dry_run=dry_run,
            takes_exported=True,
        )


def move_in(rows: list[bytes]) -> dict[str, Any]:
    """Return what was new of a whole ledger, one JSON object a row."""
    from dataclasses import asdict  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from privacy.consent.importing import lines_of  # noqa: PLC0415 - as above
    from privacy.consent.ledger import Ledger  # noqa: PLC0415 - as above
    from privacy.consent.moving import bring_in_whole  # noqa: PLC0415 - as above
    from privacy.consent.register import PolicyRegister  # noqa: PLC0415 - as above

    with prepared_state(settings()) as (engine, secrets):
        ledger = Ledger(PolicyRegister(engine))
        lines = lines_of(b"\n".join(rows))
        return asdict(bring_in_whole(engine, ledger, secrets, lines, at=utc_now(), by=ACTOR))


@contextmanager
def open_ledger(*, may_create: bool = True) -> Iterator[LedgerHere]:
    """Give the ledger of the settings' state store, committed at the end of the block."""
    from sqlalchemy import Engine  # noqa: PLC0415 - keeps --help quick

    from candor.kernel.clock import utc_now  # noqa: PLC0415 - as above
    from privacy.consent.ledger import Ledger  # noqa: PLC0415 - as above
    from privacy.consent.register import PolicyRegister  # noqa: PLC0415 - as above

    effective = settings() if may_create else installed_settings()
    with open_state(effective) as (session, secrets):
        engine = session.get_bind()
        if not isinstance(engine, Engine):
            raise TypeError(type(engine))
        yield LedgerHere(session, secrets, Ledger(PolicyRegister(engine)), utc_now())
