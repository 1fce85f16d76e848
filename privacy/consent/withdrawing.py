"""What one press on a link in a message does: it takes back, once, and asks for nothing else."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from privacy.consent.act import Act, ConsentEvent
from privacy.consent.ledger import Ledger
from privacy.consent.link import Link
from privacy.consent.policy import Policy
from privacy.consent.standing import Standings, standing_no

SOURCE = "one_click"


def withdraw_by_link(
    session: Session, ledger: Ledger, link: Link, at: datetime
) -> ConsentEvent | None:
    """Take back what the link is about, and return the act; none when it was taken back already.

    Source: RFC 8058, section 3.2.
    """
    act = Act(
        link.subject_key,
        link.subject_type,
        link.purpose,
        "withdraw",
        at,
        SOURCE,
        channel=link.channel,
        method=SOURCE,
        actor="person",
        jurisdiction=link.jurisdiction or None,
    )

    def choose(policy: Policy, people: Mapping[str, Standings]) -> list[Act]:
        del policy
        known = people.get(link.subject_key, ())
        return [act] if standing_no(known, act.purpose, act.channel) is None else []

    recorded = ledger.record_chosen(session, [link.subject_key], choose, at, SOURCE)
    return recorded[0].event if recorded else None
