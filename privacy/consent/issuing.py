"""Receipts are made from the ledger whenever they are asked for."""

from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from candor.kernel.errors import NotFoundError
from privacy.audit.head import key_id, public_key
from privacy.audit.store import content_at
from privacy.consent import store
from privacy.consent.act import ConsentEvent
from privacy.consent.ledger import Recorded
from privacy.consent.receipt import AuditPlace, Controller, Receipt, receipt_of, signed
from privacy.consent.register import PolicyRegister


@dataclass(frozen=True, slots=True)
class Issuer:
    """Makes signed receipts. ``seed`` is the private key of the audit log."""

    policies: PolicyRegister
    controller: Controller
    seed: bytes = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """With what receipts are checked: 32 bytes that may be told to everybody."""
        return public_key(self.seed)

    def of_recorded(self, session: Session, recorded: Recorded) -> Receipt:
        """Return the receipt of an act that was recorded just now."""
        place = AuditPlace(recorded.audit_index, recorded.content)
        return self._receipt(session, recorded.event, place)

    def find(self, session: Session, event_id: str, subject_key: str | None = None) -> Receipt:
        """Return the receipt of an act on record; of this identifier alone, if one is given.

        Raises:
            NotFoundError: no act bears that id, or it is somebody else's.
        """
        found = store.find_event(session, event_id)
        if found is None or subject_key not in {None, found[0].act.subject_key}:
            raise NotFoundError("No act of consent bears that id.")
        event, index = found
        place = None if index is None else AuditPlace(index, content_at(session, index))
        return self._receipt(session, event, place)

    def _receipt(self, session: Session, event: ConsentEvent, place: AuditPlace | None) -> Receipt:
        history = self.policies.history(store.current_turn(session).policy)
        receipt = receipt_of(event, history.at_turn(event.turn), self.controller, place)
        return signed(receipt, self.seed, key_id(self.public_key))
