"""The provider's own rules, asked before the provider is: what would be refused, and what instead.

Everything is decided from a fresh resource. `refundableQuantity` and `cancellationAllowedUntilDate`
are the provider's word on its windows and are believed over any arithmetic of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.domain.documents import Fields
from ingest.domain.order_outcomes import thing
from ingest.domain.order_wishes import ACTIONS, Actual, Ending, OrderKind, Wish, is_so

Offer = Mapping[str, Any]
_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36}
_PLAN_MONTHS = {"monthly": 1, "annual": 12, "triennial": 36}


@dataclass(frozen=True, slots=True)
class Refused:
    """What the provider would say no to. `offer` is an order that it would take instead."""

    code: str
    detail: str
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """It is so already; there is nothing to send."""


@dataclass(frozen=True, slots=True)
class Send:
    """The whole resource with one thing changed."""

    body: Mapping[str, Any]


Verdict = Refused | Done | Send


def examine(kind: OrderKind, wish: Wish, actual: Actual, now: datetime) -> Verdict:
    """Whether a change may be sent, and with which body."""
    state = actual.state
    if is_so(kind, wish, actual):
        return Done()
    if state.gone:
        return Refused("subscription_ended", f"the subscription is {state.status}")
    if state.status == "suspended" and kind not in (OrderKind.RESUME, OrderKind.CANCEL):
        offer = {"kind": OrderKind.RESUME.value}
        return Refused("subscription_suspended", "a suspended subscription takes no change", offer)
    refused = _rule_of(kind, wish, actual, now)
    return refused or Send({**actual.resource, **_changed(kind, wish, actual)})


def _rule_of(kind: OrderKind, wish: Wish, actual: Actual, now: datetime) -> Refused | None:
    match kind:
        case OrderKind.QUANTITY:
            return _quantity(wish.quantity or 0, actual)
        case OrderKind.CANCEL:
            return _cancel(actual, now)
        case OrderKind.TERM:
            return _term(wish, actual)
        case OrderKind.BILLING_PLAN:
            return _plan(wish, actual)
        case OrderKind.SCHEDULE if not wish.clear:
            return _schedule(wish, actual)
    return None


def _quantity(quantity: int, actual: Actual) -> Refused | None:
    if quantity < 1:
        return Refused("quantity_out_of_range", "a subscription has at least one seat")
    removed = actual.state.seats - quantity
    if removed <= actual.refundable:
        return None
    offer = {"kind": OrderKind.SCHEDULE.value, "quantity": quantity}
    detail = f"{actual.refundable} seats may be removed now, not {removed}; the rest at renewal"
    return Refused("seats_not_removable", detail, offer)


def _cancel(actual: Actual, now: datetime) -> Refused | None:
    until = actual.cancellable_until
    if until is not None and now <= until:
        return None
    offer = {"kind": OrderKind.RENEWAL_INSTRUCTION.value, "ending": Ending.CANCEL.value}
    return Refused("cancellation_window_closed", f"it could be cancelled until {until}", offer)


def _term(wish: Wish, actual: Actual) -> Refused | None:
    term = wish.term or ""
    if actual.state.trial:
        return Refused("trial_term_fixed", "a trial is converted by an upgrade, not lengthened")
    if _MONTHS.get(term, 0) <= _MONTHS.get(actual.state.term, 0):
        offer = {"kind": OrderKind.SCHEDULE.value, "term": term}
        return Refused("term_not_longer", "only a longer term can begin now", offer)
    return _fits(wish.billing_plan or actual.state.billing_plan, term)


def _plan(wish: Wish, actual: Actual) -> Refused | None:
    plans = {wish.billing_plan, actual.state.billing_plan}
    if actual.state.term == "P3Y" and plans == {"monthly", "annual"}:
        return None
    offer = {"kind": OrderKind.SCHEDULE.value, "billing_plan": wish.billing_plan}
    return Refused("billing_plan_fixed", "the plan changes at renewal only", offer)


def _schedule(wish: Wish, actual: Actual) -> Refused | None:
    if not actual.state.auto_renew:
        offer = {"kind": OrderKind.RENEWAL_INSTRUCTION.value, "ending": Ending.RENEW.value}
        return Refused("renewal_is_off", "changes are scheduled for a renewal; it is off", offer)
    if wish.quantity is not None and wish.quantity < 1:
        return Refused("quantity_out_of_range", "a subscription has at least one seat")
    return _fits(wish.billing_plan or actual.state.billing_plan, wish.term or actual.state.term)


def _fits(plan: str, term: str) -> Refused | None:
    if _PLAN_MONTHS.get(plan, 0) <= _MONTHS.get(term, 0):
        return None
    return Refused("billing_plan_longer_than_term", f"{plan} charges do not fit a term of {term}")


def _changed(kind: OrderKind, wish: Wish, actual: Actual) -> dict[str, Any]:
    match kind:
        case OrderKind.QUANTITY:
            return {"quantity": wish.quantity}
        case OrderKind.CANCEL:
            return {"status": "deleted"}
        case OrderKind.SUSPEND:
            return {"status": "suspended"}
        case OrderKind.RESUME:
            return {"status": "active"}
        case OrderKind.TERM:
            plan = wish.billing_plan or actual.state.billing_plan
            return {"termDuration": wish.term, "billingCycle": plan}
        case OrderKind.BILLING_PLAN:
            return {"billingCycle": wish.billing_plan}
        case OrderKind.RENEWAL_INSTRUCTION:
            ending = Ending(wish.ending or Ending.RENEW)
            action = {"scheduleType": "TermEnd", "actionType": ACTIONS[ending]}
            renews = ending is Ending.RENEW
            gone = {} if renews else {"scheduledNextTermInstructions": None}
            return {"autoRenewEnabled": renews, "scheduledActions": [action], **gone}
    return {"scheduledNextTermInstructions": None if wish.clear else _instructions(wish, actual)}


def _instructions(wish: Wish, actual: Actual) -> dict[str, Any]:
    state = actual.state
    held = [*actual.fields.text("offerId").split(":"), "", "", ""][2]
    other = wish.product_id not in (None, state.product_id)
    return {
        "product": {
            "productId": wish.product_id or state.product_id,
            "skuId": wish.sku_id or state.sku_id,
            "availabilityId": wish.availability_id or ("" if other else held),
            "billingCycle": wish.billing_plan or state.billing_plan,
            "termDuration": wish.term or state.term,
            "promotionId": wish.promotion_id or "",
        },
        "quantity": wish.quantity if wish.quantity is not None else state.seats,
        "customTermEndDate": wish.custom_term_end,
    }


def dropped_by(
    kind: OrderKind, wish: Wish, before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """What the change deleted along the way: the provider drops schedules and end-of-term choices
    with every immediate change, and with a suspension. What the order itself sets is no loss."""
    lost: dict[str, Any] = {}
    for name in ("scheduledNextTermInstructions", "scheduledActions"):
        held = Fields(before).value(name)
        if held and not Fields(after).value(name) and name not in _meant(kind, wish):
            lost[name] = held
    return lost


def _meant(kind: OrderKind, wish: Wish) -> tuple[str, ...]:
    match kind:
        case OrderKind.SCHEDULE:
            return ("scheduledNextTermInstructions",)
        case OrderKind.RENEWAL_INSTRUCTION:
            renews = wish.ending == Ending.RENEW
            return ("scheduledActions", *(() if renews else ("scheduledNextTermInstructions",)))
        case OrderKind.CANCEL:
            return ("scheduledActions", "scheduledNextTermInstructions")
    return ()


def overruled(
    kind: OrderKind, wish: Wish, before: Mapping[str, Any], now: Actual
) -> Refused | None:
    """The very thing that is to be changed was changed by somebody since it was checked: theirs is
    never overwritten; whoever ordered this decides again."""
    if not before or thing(kind, before) == thing(kind, now.resource):
        return None
    was, held = (", ".join(map(str, thing(kind, r))) for r in (before, now.resource))
    detail = f"it was {was or 'empty'} when this was checked; somebody made it {held or 'empty'}"
    return Refused("changed_meanwhile", detail, {"kind": kind.value, **wish.to_json()})
