"""Which changes of a subscription the vendor accepts, and what they do to it.

Every rule either changes the copy it is given or raises a `Refusal`; the caller keeps the original.
Rule names in comments are those of the vendor's documentation as collected by the project.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.kernel.periods import start_of, utc_day
from simulators.partner_center.records import (
    WINDOW,
    ActionType,
    Instructions,
    Kind,
    Plan,
    ScheduledAction,
    SeatBatch,
    Subscription,
    Term,
)
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.terms import last_day_of_term, longer, plan_fits

WINDOW_DAYS = 7
MAX_CHANGES = 1_200


class Change(BaseModel):
    """One wish of a person or program; absent fields are not touched.

    `clear_*` exist because leaving a field out of a PATCH body resets it, which is not the same as
    not wishing anything.
    """

    model_config = ConfigDict(extra="forbid")

    quantity: int | None = None
    status: Literal["active", "suspended", "deleted"] | None = None
    friendly_name: str | None = None
    auto_renew: bool | None = None
    term: Term | None = None
    billing_plan: Plan | None = None
    next_term: Instructions | None = None
    clear_next_term: bool = False
    clear_next_charge: bool = False
    scheduled_actions: list[ScheduledAction] | None = None

    @property
    def immediate(self) -> int:
        """How many separate immediate changes this is; the vendor takes one a call."""
        wishes = (self.quantity, self.status, self.friendly_name, self.term or self.billing_plan)
        return sum(w is not None for w in wishes)


def apply(subscription: Subscription, change: Change, at: datetime) -> None:
    """Carry out a change, or refuse it.

    Raises:
        Refusal: with the vendor's code.
    """
    _require_changeable(subscription, change, at)
    if change.immediate > 1:
        raise Refusal(800002)
    if change.status is not None:
        _change_status(subscription, change.status, at)
    if change.quantity is not None:
        _change_quantity(subscription, change.quantity, at)
    if change.friendly_name is not None:
        subscription.friendly_name = change.friendly_name
    if change.term is not None or change.billing_plan is not None:
        _change_term(subscription, change, at)
    _change_renewal(subscription, change, at)
    subscription.changes += 1
    subscription.version += 1
    subscription.changed_at = at


def _require_changeable(subscription: Subscription, change: Change, at: datetime) -> None:
    if subscription.status == "deleted":
        raise Refusal(2011, subscription.id)
    if subscription.status == "expired":
        raise Refusal(900277)
    if subscription.status == "disabled" or subscription.kind is Kind.AZURE_PLAN:
        raise Refusal(900279)
    if at >= start_of(subscription.commitment_end + timedelta(days=1)):
        raise Refusal(900278)  # the term is over and its renewal has not been processed yet
    if subscription.changes >= MAX_CHANGES:
        raise Refusal(900311)
    if subscription.status == "suspended" and change.status is None:
        raise Refusal(2001 if change.quantity is not None else 800091)


def _change_quantity(subscription: Subscription, quantity: int, at: datetime) -> None:
    if quantity < subscription.min_quantity:
        raise Refusal(2002)
    if quantity > subscription.max_quantity:
        raise Refusal(900275, 0)
    delta = quantity - subscription.quantity
    if delta > 0:
        subscription.seat_batches.append(SeatBatch(quantity=delta, added_at=at))
    elif delta < 0:
        _remove_seats(subscription, -delta, at)
    subscription.quantity = quantity
    drop_scheduled(subscription)


def _remove_seats(subscription: Subscription, seats: int, at: datetime) -> None:
    """R-WIN-SEATS. Which open batch is used up first is not documented: the one closing first."""
    if seats > subscription.refundable(at):
        if not subscription.open_batches(at):
            raise Refusal(900257, WINDOW_DAYS)
        raise Refusal(800090)
    for batch in subscription.open_batches(at):
        taken = min(batch.quantity, seats)
        batch.quantity -= taken
        seats -= taken


def _change_status(subscription: Subscription, status: str, at: datetime) -> None:
    if status == "deleted":
        if not subscription.in_extended_service and at > subscription.window_opened_at + WINDOW:
            raise Refusal(900117, WINDOW_DAYS)
        subscription.ended_at = at
        subscription.auto_renew = False
    elif status == "suspended":
        subscription.auto_renew = False  # R-SUSP: billed on, never renewed
        subscription.suspension_reasons = ["Paused by partner"]
    else:
        if subscription.status != "suspended":
            raise Refusal(800096)
        subscription.suspension_reasons = []
    subscription.status = "active" if status == "active" else _ended(status)
    drop_scheduled(subscription)


def _ended(status: str) -> Literal["suspended", "deleted"]:
    return "deleted" if status == "deleted" else "suspended"


def _change_term(subscription: Subscription, change: Change, at: datetime) -> None:
    """R-TERM and R-PLAN: a longer term now, another plan (three-year term only) next cycle."""
    if subscription.is_trial:
        raise Refusal(800107)
    term, plan = change.term or subscription.term, change.billing_plan or subscription.billing_plan
    if term == subscription.term:
        if term != "P3Y" or {plan, subscription.billing_plan} != {"monthly", "annual"}:
            raise Refusal(800097)
        subscription.next_charge_plan = plan
        return
    if not longer(term, subscription.term):
        raise Refusal(800122)
    if not plan_fits(plan, term):
        raise Refusal(900270)
    subscription.term, subscription.billing_plan = term, plan
    subscription.term_start = utc_day(at)
    subscription.term_end = last_day_of_term(utc_day(at), term)
    drop_scheduled(subscription)


def _change_renewal(subscription: Subscription, change: Change, at: datetime) -> None:
    """Auto-renewal, the end-of-term choice and scheduled changes, R-SCHED and R-SCHED-DROP."""
    if change.auto_renew is not None and change.auto_renew != subscription.auto_renew:
        if change.auto_renew and subscription.status != "active":
            raise Refusal(800093)
        subscription.auto_renew = change.auto_renew
        subscription.auto_renew_off_at = None if change.auto_renew else at
        if not change.auto_renew:
            drop_scheduled(subscription)
    if change.scheduled_actions is not None:
        _choose_end(subscription, change.scheduled_actions)
    if change.clear_next_term:
        subscription.next_term = None
    if change.clear_next_charge:
        subscription.next_charge_plan = None
    if change.next_term is not None:
        _schedule(subscription, change.next_term)


def _choose_end(subscription: Subscription, actions: list[ScheduledAction]) -> None:
    """Renewal goes with auto-renew on, cancelling and extended service with auto-renew off."""
    for action in actions:
        if (action.action_type is ActionType.RENEW) != subscription.auto_renew:
            raise Refusal(3000)
    subscription.scheduled_actions = list(actions)


def _schedule(subscription: Subscription, wanted: Instructions) -> None:
    if not subscription.auto_renew or subscription.status != "active":
        raise Refusal(800093)
    if wanted.quantity is not None and not (
        subscription.min_quantity <= wanted.quantity <= subscription.max_quantity
    ):
        raise Refusal(900275, 0)
    term = wanted.term or subscription.term
    if not plan_fits(wanted.billing_plan or subscription.billing_plan, term):
        raise Refusal(900270)
    subscription.next_term = wanted


def drop_scheduled(subscription: Subscription) -> None:
    """An immediate change deletes what was scheduled; instructions for the next charge survive."""
    subscription.next_term = None
    subscription.scheduled_actions = []
