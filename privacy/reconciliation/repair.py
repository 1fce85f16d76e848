"""How two records of a person compare, and so what the stricter way is: either no is a no on both.

A yes that is found only over there never grants anything here.
"""

from collections.abc import Iterable
from typing import Literal

from privacy.consent.act import EVERY_CHANNEL, NO
from privacy.consent.decision import Decision
from privacy.consent.purpose import EVERY_PURPOSE
from privacy.consent.standing import Standing, Standings
from privacy.reconciliation.connector import Theirs

Finding = Literal[
    "agree",
    "absent",
    "denied_there_only",
    "denied_here_only",
    "unproven_there",
    "denied_by_repair",
]


def finding_of(  # noqa: PLR0913 - two records, and what tells whose no it is
    ours: Decision,
    theirs: Theirs,
    person: Iterable[Standings],
    purpose: str,
    channel: str,
    *,
    repaired: bool,
) -> Finding:
    """Return how two records of a person compare.

    A no over there counts as unknown here as long as no no is on record, even where something else
    denies already: it would be missed when that ends. A person's no is nothing where the legal
    basis leaves them no choice, but it is kept once. With ``repaired`` Candor itself wrote the no
    over there: it is nobody's act, and left alone.
    """
    if theirs == "absent":
        return "absent"
    if theirs == "denies":
        is_allowed_by_choice = ours.allow and ours.reason != "legal_basis"
        is_known = any(_is_no(one, purpose, channel) for acts in person for one in acts)
        if is_known and not is_allowed_by_choice:
            return "agree"
        if repaired:
            return "denied_by_repair" if ours.allow else "agree"
        return "denied_there_only"
    if ours.allow:
        return "agree"
    return "unproven_there" if ours.reason == "never_asked" else "denied_here_only"


def _is_no(one: Standing, purpose: str, channel: str) -> bool:
    return (
        one.action in NO
        and one.purpose in {purpose, EVERY_PURPOSE}
        and one.channel in {EVERY_CHANNEL, channel}
    )
