"""The provider's refusals in our words: stable codes, what may be done, what we do ourselves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ingest.domain.order_rules import Offer
from ingest.domain.order_wishes import Ending, OrderKind, Wish


class Then(StrEnum):
    """What follows from an answer."""

    REFUSE = "refuse"
    READ_AGAIN = "read_again"  # the resource moved: check and send anew
    WAIT = "wait"  # the provider is busy with this subscription
    PAUSE = "pause"  # throttled: nothing happened
    ASK_BACK = "ask_back"  # it may have happened
    FIND = "find"  # it was done before: find what came of it


@dataclass(frozen=True, slots=True)
class Reaction:
    then: Then
    code: str = ""
    alert: bool = False  # a person of the partner has to do something


_BUSY = ("800060", "800064", "800082", "900278", "900261")
_REASONS = {
    "2001": "subscription_suspended", "800091": "subscription_suspended",
    "2002": "quantity_out_of_range", "900275": "quantity_out_of_range",
    "2011": "subscription_ended", "20002": "customer_relationship_missing",
    "20003": "subscription_unknown_to_provider", "800090": "seats_not_removable",
    "900214": "seats_not_removable", "900257": "seats_not_removable",
    "900213": "cancellation_window_closed", "900117": "cancellation_window_closed",
    "900277": "subscription_ending", "900279": "subscription_not_updatable",
    "900280": "subscription_not_updatable", "900311": "too_many_changes",
    "800121": "term_invalid", "900268": "term_invalid", "800122": "term_not_longer",
    "900267": "term_not_longer", "800097": "billing_plan_fixed", "900269": "billing_plan_invalid",
    "900270": "billing_plan_longer_than_term", "800107": "trial_term_fixed",
    "800093": "renewal_is_off", "900242": "term_end_not_on_offer",
    "900244": "term_end_not_on_offer", "900245": "term_end_not_on_offer",
    "900246": "term_end_not_on_offer", "400019": "product_not_on_offer",
    "400041": "add_on_without_base", "800023": "credit_line_too_low",
    "800025": "credit_line_too_low", "900121": "credit_line_too_low",
    "800066": "subscription_limit", "800067": "seat_limit", "800069": "risk_check_failed",
    "13605": "customer_agreement_missing", "900123": "partner_agreement_missing",
    "900124": "partner_agreement_missing", "900206": "partner_attestation_missing",
    "900236": "upgrade_target_not_active", "900258": "upgrade_target_not_ready",
    "900259": "upgrade_target_term_shorter", "900260": "upgrade_target_ends_earlier",
    "900308": "access_denied", "900309": "access_denied", "900421": "mfa_missing",
}  # fmt: skip
_ALERTS = frozenset({
    "customer_relationship_missing", "credit_line_too_low", "risk_check_failed", "mfa_missing",
    "partner_agreement_missing", "access_denied", "too_many_changes",
})  # fmt: skip


def reaction_to(status: int, code: str) -> Reaction:
    """What an answer that is no success means."""
    if status == 429:
        return Reaction(Then.PAUSE)
    if code == "2055" or status == 412:
        return Reaction(Then.READ_AGAIN)
    if code == "800065":
        return Reaction(Then.FIND)
    if code in _BUSY or status == 409:
        return Reaction(Then.WAIT, "provider_busy")
    if status >= 500 or status == 408:
        return Reaction(Then.ASK_BACK)
    reason = _REASONS.get(code, "provider_refused")
    return Reaction(Then.REFUSE, reason, reason in _ALERTS)


def offer_for(reason: str, wish: Wish) -> Offer | None:
    """An order that leads to the same end by a way the provider allows."""
    match reason:
        case "seats_not_removable":
            return {"kind": OrderKind.SCHEDULE.value, "quantity": wish.quantity}
        case "cancellation_window_closed":
            kind = OrderKind.RENEWAL_INSTRUCTION.value
            return {"kind": kind, "ending": Ending.CANCEL.value}
        case "term_not_longer":
            return {"kind": OrderKind.SCHEDULE.value, "term": wish.term}
        case "billing_plan_fixed":
            return {"kind": OrderKind.SCHEDULE.value, "billing_plan": wish.billing_plan}
        case "renewal_is_off":
            kind = OrderKind.RENEWAL_INSTRUCTION.value
            return {"kind": kind, "ending": Ending.RENEW.value}
        case "subscription_suspended":
            return {"kind": OrderKind.RESUME.value}
    return None
