"""Upgrades: what a move of seats to another product does to the two subscriptions, or a refusal.

All seats keep their subscription; some of them get a new one that ends on the same day; both may go
into an existing one instead. An upgrade opens no window: seats arrive with the window they had.
Codes and texts of the refused targets follow the project's collection of the vendor's error table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.kernel.periods import start_of, utc_day
from simulators.partner_center.records import (
    WINDOW,
    Kind,
    Plan,
    SeatBatch,
    Subscription,
    Term,
    availability_of,
)
from simulators.partner_center.refusals import Refusal
from simulators.partner_center.rules import MAX_CHANGES, drop_scheduled
from simulators.partner_center.terms import last_day_of_term, longer, plan_fits

TRIAL_BECOMES: tuple[Term, Plan] = ("P1Y", "monthly")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which product the seats shall have. `into` is an existing subscription of that product."""

    product_id: str
    sku_id: str
    name: str
    quantity: int | None = None  # None: all
    term: Term | None = None
    billing_plan: Plan | None = None
    into: Subscription | None = None
    new_id: str = ""
    availability_id: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The subscriptions afterwards. `target` is the source itself when all seats stay in it."""

    source: Subscription
    target: Subscription
    quantity: int
    converted: bool  # a trial was made a paid subscription


def move(source: Subscription, wish: Wish, at: datetime) -> Moved:
    """Carry out an upgrade on copies.

    Raises:
        Refusal: with the vendor's code.
    """
    _require_movable(source, wish, at)
    quantity = source.quantity if wish.quantity is None else wish.quantity
    if not 1 <= quantity <= source.quantity:
        raise Refusal(2002)
    changed = source.model_copy(deep=True)
    _touched(changed, at)
    if wish.into is not None:
        return _into(changed, wish.into, quantity, at)
    if quantity == source.quantity:
        return _whole(changed, wish, at)
    return _part(changed, wish, quantity, at)


def target_problem(source: Subscription, target: Subscription, at: datetime) -> int | None:
    """Why seats cannot go there: 1 not active, 2 in its window, 3 shorter term, 4 ends earlier."""
    if target.status != "active":
        return 1
    if at <= target.window_opened_at + WINDOW:
        return 2
    if longer(source.term, target.term):
        return 3
    return 4 if target.commitment_end < source.commitment_end else None


_TARGET_CODES = {1: 900236, 2: 900258, 3: 900259, 4: 900260}


def _require_movable(source: Subscription, wish: Wish, at: datetime) -> None:
    if source.status != "active":
        raise Refusal(2001 if source.status == "suspended" else 900277)
    if source.kind is not Kind.LICENCE:
        raise Refusal(900279)
    if at >= start_of(source.commitment_end + timedelta(days=1)):
        raise Refusal(900278)
    if source.changes >= MAX_CHANGES:
        raise Refusal(900311)
    term = wish.term or source.term
    if longer(source.term, term):
        raise Refusal(800122)
    if not plan_fits(wish.billing_plan or source.billing_plan, term):
        raise Refusal(900270)
    if wish.into is not None:
        problem = target_problem(source, wish.into, at)
        if problem is not None:
            raise Refusal(_TARGET_CODES[problem])
        if (wish.into.product_id, wish.into.sku_id) != (wish.product_id, wish.sku_id):
            raise Refusal(3000)


def _whole(changed: Subscription, wish: Wish, at: datetime) -> Moved:
    """The same subscription with another product; a trial begins its first paid term."""
    converted = changed.is_trial
    _become(changed, wish)
    changed.is_trial = False
    if converted:
        usual_term, usual_plan = TRIAL_BECOMES
        changed.term = wish.term or usual_term
        changed.billing_plan = wish.billing_plan or usual_plan
        _new_term(changed, at)
        changed.opened_at = at
        changed.batches = [SeatBatch(quantity=changed.quantity, added_at=at)]
    elif wish.term is not None and wish.term != changed.term:
        changed.term, changed.billing_plan = wish.term, wish.billing_plan or changed.billing_plan
        _new_term(changed, at)
    return Moved(changed, changed, changed.quantity, converted)


def _part(changed: Subscription, wish: Wish, quantity: int, at: datetime) -> Moved:
    """Some seats leave for a subscription of their own, which ends with the old one."""
    new = changed.model_copy(deep=True)
    new.id = wish.new_id
    _become(new, wish)
    new.friendly_name = new.name
    new.quantity = quantity
    new.batches = _taken(changed, quantity)
    new.purchased_at, new.changed_at = at, at
    new.changes, new.version = 0, 1
    new.auto_renew, new.auto_renew_off_at = True, None
    return Moved(changed, new, quantity, converted=False)


def _into(changed: Subscription, target: Subscription, quantity: int, at: datetime) -> Moved:
    """Seats join an existing subscription; a source that is left empty ends."""
    into = target.model_copy(deep=True)
    into.seat_batches.extend(_taken(changed, quantity))
    into.quantity += quantity
    _touched(into, at)
    if changed.quantity == 0:
        changed.status, changed.ended_at, changed.auto_renew = "deleted", at, False
        changed.quantity = quantity  # an ended subscription shows the seats it had
    return Moved(changed, into, quantity, converted=False)


def _become(subscription: Subscription, wish: Wish) -> None:
    if subscription.friendly_name == subscription.name:
        subscription.friendly_name = wish.name
    subscription.name = wish.name
    subscription.product_id, subscription.sku_id = wish.product_id, wish.sku_id
    subscription.availability_id = wish.availability_id or availability_of(
        wish.product_id, wish.sku_id
    )
    subscription.promotion_id = ""
    subscription.unit_price = None


def _new_term(subscription: Subscription, at: datetime) -> None:
    subscription.term_start = utc_day(at)
    subscription.term_end = last_day_of_term(utc_day(at), subscription.term)


def _taken(changed: Subscription, quantity: int) -> list[SeatBatch]:
    """Seats of the oldest batches, each with the window it has."""
    taken = []
    left = quantity
    for batch in sorted(changed.seat_batches, key=lambda b: b.added_at):
        seats = min(batch.quantity, left)
        if seats:
            taken.append(SeatBatch(quantity=seats, added_at=batch.added_at))
        batch.quantity -= seats
        left -= seats
    changed.quantity -= quantity
    return taken


def _touched(subscription: Subscription, at: datetime) -> None:
    drop_scheduled(subscription)
    subscription.changes += 1
    subscription.version += 1
    subscription.changed_at = at
