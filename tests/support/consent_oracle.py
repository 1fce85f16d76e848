"""A second opinion on every decision: keeps everything, forgets nothing, and is slow.

It knows the rules and none of the code: acts are a list, and every question goes through all of it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

STRICTEST_FIRST = (
    *("suppressed", "restricted", "objection", "global_opt_out", "withdrawn"),
    *("gpc", "refused", "channel_opt_out"),
)
NEEDED, ENOUGH, NONE = 2, 1, 0
CHOICE = {"consent": NEEDED, "legitimate_interests": ENOUGH, "contract": NONE}
NO = ("refuse", "withdraw", "object")


@dataclass(frozen=True)
class Said:
    """One recorded act."""

    order: int
    event: str
    who: str
    purpose: str
    channel: str
    action: str
    at: datetime
    starts: datetime
    notice: str | None


@dataclass(frozen=True)
class Asking:
    """One question."""

    purpose: str
    channel: str
    jurisdiction: str
    recipient: str | None
    gpc: bool


@dataclass(frozen=True)
class Answer:
    """What of a decision the oracle vouches for."""

    allow: bool
    reason: str
    valid_until: datetime | None = None
    obligations: tuple[str, ...] = ()


def denied(reason: str) -> Answer:
    return Answer(allow=False, reason=reason)


def allowed(reason: str, until: datetime | None, obligations: tuple[str, ...]) -> Answer:
    return Answer(allow=True, reason=reason, valid_until=until, obligations=obligations)


@dataclass
class Oracle:
    """All that was ever said and put, in order."""

    acts: list[Said] = field(default_factory=list)
    purposes: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(  # noqa: PLR0911 - a return for each rule
        self, who: Collection[str], asking: Asking, now: datetime
    ) -> Answer:
        purpose = self.purposes.get(asking.purpose)
        if purpose is None:
            return denied("purpose_unknown")
        if asking.recipient is not None and asking.recipient not in purpose["recipients"]:
            return denied("recipient_not_covered")
        bases = purpose["legal_basis"]
        basis = bases.get(asking.jurisdiction, bases.get("default"))
        if basis is None:
            return denied("jurisdiction_not_covered")
        choice = CHOICE[basis]
        denials = [reason for one in who for reason in self.denials(one, asking, now, choice)]
        for reason in STRICTEST_FIRST:
            if reason in denials:
                return denied(reason)
        if asking.channel and purpose["channels"] and asking.channel not in purpose["channels"]:
            return denied("never_asked")
        if choice >= ENOUGH and asking.gpc and purpose["honours_gpc"]:
            return denied("gpc")
        return self.without_no(who, asking, now, choice)

    def without_no(
        self, who: Collection[str], asking: Asking, now: datetime, choice: int
    ) -> Answer:
        purpose = self.purposes[asking.purpose]
        found = []
        if choice >= ENOUGH:
            found = [
                (answer.allow, yes.at, yes.event, answer)
                for one in who
                for yes in self.yeses(one, asking)
                if (answer := self.on_yes(yes, asking, now)) is not None
            ]
        best = max(found, key=lambda one: one[:3])[3] if found else None
        if best is not None and best.allow:
            return best
        default = allowed("opt_out_default", None, tuple(purpose["obligations"]))
        if choice >= ENOUGH and purpose["mechanism"] == "opt_out":
            return default
        if choice < NEEDED:
            return allowed("legal_basis", None, default.obligations)
        ended = any(act.action == "expire" and act.who in who for act in self.bearing(who, asking))
        return best or denied("expired" if ended else "never_asked")

    def bearing(self, who: Collection[str], asking: Asking) -> list[Said]:
        return [
            act
            for act in self.acts
            if act.who in who
            and act.purpose in {asking.purpose, "*"}
            and act.channel in {"", asking.channel}
        ]

    def yeses(self, who: str, asking: Asking) -> Iterable[Said]:
        """Yield every yes that no later no of its very scope took back."""
        acts = [act for act in self.bearing([who], asking) if act.purpose == asking.purpose]
        for yes in acts:
            if yes.action in {"grant", "import"} and not any(
                no.action in NO and no.channel == yes.channel and no.at >= yes.at for no in acts
            ):
                yield yes

    def undone(self, who: str, purpose: str, channel: str) -> bool:
        """Whether no yes in this scope or a narrower one bears a later time than a no of it."""
        acts = [act for act in self.acts if act.who == who]
        nos = [
            act.at
            for act in acts
            if act.action in NO and (act.purpose, act.channel) == (purpose, channel)
        ]
        return all(
            act.at <= max(nos)
            for act in acts
            if act.action in {"grant", "import"}
            and purpose in {act.purpose, "*"}
            and channel in {act.channel, ""}
        )

    def in_force(self, who: str, asking: Asking, now: datetime) -> dict[str, Said]:
        """Return the last yes that began, by scope."""
        began = [yes for yes in self.yeses(who, asking) if yes.starts <= now]
        return {yes.channel: yes for yes in sorted(began, key=lambda one: (one.at, one.order))}

    def denials(self, who: str, asking: Asking, now: datetime, choice: int) -> list[str]:
        acts = self.bearing([who], asking)
        reasons = []
        for on, off, reason in (
            ("suppress", "release", "suppressed"),
            ("restrict", "lift", "restricted"),
        ):
            bars = [act for act in acts if act.action in {on, off}]
            last = max(bars, key=lambda one: (one.at, one.action == on, one.order), default=None)
            if last is not None and last.action == on:
                reasons.append(reason)
        if choice < ENOUGH:
            return reasons
        lifting = self.in_force(who, asking, now)
        for purpose, channel in {(act.purpose, act.channel) for act in acts}:
            scope = [
                act
                for act in acts
                if (act.purpose, act.channel) == (purpose, channel) and act.action in NO
            ]
            if not scope:
                continue
            no = max(scope, key=lambda one: (one.at, NO.index(one.action), one.order))
            narrower = [yes for yes in lifting.values() if yes.channel or not channel]
            if not any(yes.at > no.at for yes in narrower):
                reasons.append(self.reason(no, has_wide="" in lifting))
        return reasons

    def reason(self, no: Said, *, has_wide: bool) -> str:
        if no.action == "object":
            return "objection"
        if no.purpose == "*":
            return "channel_opt_out" if no.channel else "global_opt_out"
        if no.channel and has_wide:
            return "channel_opt_out"
        return "refused" if no.action == "refuse" else "withdrawn"

    def on_yes(  # noqa: PLR0911 - as answer
        self, yes: Said, asking: Asking, now: datetime
    ) -> Answer | None:
        """Return what a yes gives; none when another began later in its scope."""
        if yes.starts <= now and self.in_force(yes.who, asking, now).get(yes.channel) != yes:
            return None
        if any(
            act.action == "expire" and act.purpose == yes.purpose and act.at >= yes.at
            for act in self.bearing([yes.who], asking)
            if act.channel in {"", yes.channel}
        ):
            return denied("expired")
        if yes.starts > now:
            return denied("not_yet_effective")
        purpose, told = self.purposes[yes.purpose], self.shown[yes.notice or ""]
        if asking.channel and told["channels"] and asking.channel not in told["channels"]:
            return denied("stale_notice")
        if asking.recipient is not None and asking.recipient not in told["recipients"]:
            return denied("stale_notice")
        days = [one["days"] for one in (purpose, told) if one["days"] is not None]
        ends = yes.at + timedelta(days=min(days)) if days else None
        if ends is not None and ends <= now:
            return denied("expired")
        added = [one for one in purpose["data"] if one not in told["data"]]
        obligations = (*purpose["obligations"], *(f"exclude:{one}" for one in added))
        return allowed("granted", ends, obligations)
