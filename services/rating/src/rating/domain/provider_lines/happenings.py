"""What each kind of event does to a subscription, and which lines it makes (R-WIPE … R-EST)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta

from rating.domain.provider_lines import cancelling, conversions, moves, purchases
from rating.domain.provider_lines.cycles import PLAN_MONTHS, TERM_MONTHS
from rating.domain.provider_lines.history import (
    BILLED,
    History,
    advance,
    changed_plan,
    charge_cycle,
    is_billed,
    renewed,
)
from rating.domain.provider_lines.lines import Outcome, Span
from rating.domain.provider_lines.reading import Case, Event
from rating.domain.provider_lines.renewals import (
    CANCEL,
    DAY,
    DISABLED_DAYS,
    EXPIRED_DAYS,
    extended,
    is_extended,
)
from rating.domain.provider_lines.subscriptions import Family, Subscription
from rating.domain.provider_lines.windows import (
    OUT_OF_RANGE,
    PLAN_TOO_LONG,
    SEATS_FIXED,
    SUSPENDED,
    Batch,
    No,
    end_not_allowed,
    month_not_alignable,
    no_longer_removable,
    without,
)
from shared.kernel.errors import Invalid

Handler = Callable[[History, Event], None]


def expected_lines(case: Case, *, through: date | None = None) -> list[Outcome]:
    """Every line, refusal and state, in the order of their causes; with `through`, also the charges
    that begin until that day without an event.

    Raises:
        Invalid: an event lacks what it needs, or cannot be where it stands.
    """
    history = History(case)
    for event in case.events:
        HANDLERS[event.type](history, event)
    if through is None:
        _conclude(history)
    else:
        for one in tuple(history.subscriptions.values()):
            advance(history, one, through, case.events[-1])
    return history.outcomes


def _conclude(history: History) -> None:
    """A change of plan was accepted: the cycle that it waits for comes without another event."""
    for one in tuple(history.subscriptions.values()):
        following = one.charged_until + DAY
        if one.next_plan is not None and is_billed(one) and following <= one.term.end:
            changed_plan(history, one, one.next_plan)


def add_seats(history: History, event: Event) -> None:
    """R-WIPE: a pair with one reference, the old count back and the new count on."""
    subscription = advance(history, history.of(event), event.day, event)
    wanted = subscription.quantity + event.seats()
    if no := conversions.unchangeable(subscription) or _over_promotion(subscription, wanted):
        history.refuse(event, no)
        return
    batch = Batch(event.seats(), event.at)
    _recount(history, subscription, event, "addQuantity", wanted, (*subscription.batches, batch))


def remove_seats(history: History, event: Event) -> None:
    subscription = advance(history, history.of(event), event.day, event)
    seats = event.seats()
    no = conversions.unchangeable(subscription)
    if no is None and not history.case.happened:
        no = _not_removable(subscription, seats, event)
    if no:
        history.refuse(event, no)
        return
    left = without(subscription.batches, seats, event.at)
    _recount(history, subscription, event, "removeQuantity", subscription.quantity - seats, left)


def _not_removable(subscription: Subscription, seats: int, event: Event) -> No | None:
    if subscription.family is Family.SOFTWARE:
        return No(SEATS_FIXED, "seats of software subscriptions are not reduced")
    if subscription.extended:
        return No(OUT_OF_RANGE) if seats >= subscription.quantity else None
    return no_longer_removable(subscription.batches, seats, event.at)


def _recount(
    history: History,
    subscription: Subscription,
    event: Event,
    kind: str,
    wanted: int,
    batches: tuple[Batch, ...],
) -> None:
    day = event.day
    history.charge(
        subscription,
        kind,
        event,
        Span.rest(subscription.cycle, day),
        quantity=-subscription.quantity,
    )
    history.charge(subscription, kind, event, Span.rest(subscription.cycle, day), quantity=wanted)
    # An immediate change takes what was scheduled with it (R-SCHED-DROP).
    history.keep(replace(subscription, quantity=wanted, batches=batches, scheduled={}))


def _over_promotion(subscription: Subscription, seats: int) -> No | None:
    if subscription.promotion is None or subscription.promotion.holds_for(seats):
        return None
    return No(
        None,
        "discount applied and the desired quantity is not within the allowed minimum and maximum",
    )


def cycle(history: History, event: Event) -> None:
    """The next charge cycle of a running term, of all subscriptions it begins for."""
    charged = False
    for one in history.all_of(event):
        subscription = advance(history, one, event.day - DAY, event)
        following = subscription.charged_until + DAY
        if following <= min(event.day, subscription.term.end) and is_billed(subscription):
            charge_cycle(history, subscription, event, order_date=event.day)
            charged = True
        elif subscription.cycle.start == event.day:
            charged = True  # a change earlier this day has brought it about
        elif not is_billed(subscription):
            charged = True  # it has ended: nothing is charged, and that is the answer
    if not charged:
        raise Invalid("cycle_not_due", f"event {event.index}: no cycle begins on {event.day}")


def renew(history: History, event: Event) -> None:
    """R-SCHED: the order may be written up to a day after the term begins."""
    subscription = history.of(event)
    subscription = advance(
        history, subscription, min(event.day - DAY, subscription.term.end), event
    )
    if subscription.term.start == event.day and subscription.charged_until >= event.day:
        return
    if subscription.status not in BILLED:
        return  # it has ended: nothing follows
    if not subscription.auto_renew or subscription.status != "active":
        history.refuse(event, No(None, f"{subscription.status}, auto-renew off: nothing renews"))
        return
    if event.day <= subscription.term.end:
        raise Invalid("renewal_not_due", f"event {event.index}: {subscription.term.end} is the end")
    completed = event.instant("completed_at")
    ordered = completed.date() if completed else event.day
    renewed(history, subscription, event, order_date=ordered)
    if event.subscription is None:
        _renew_with_it(history, subscription, event, order_date=ordered)


def _renew_with_it(
    history: History, leader: Subscription, event: Event, *, order_date: date
) -> None:
    """What came from it by a partial upgrade ends on the same day: it renews too, as it is, by the
    same order."""
    told = {name: event.fields[name] for name in ("completed_at",) if name in event.fields}
    alike = replace(event, fields=told)
    for one in tuple(history.subscriptions.values()):
        if one.name == leader.name or one.term.end != leader.term.end:
            continue
        ended = advance(history, one, one.term.end, alike)
        if is_billed(ended) and ended.auto_renew and not ended.trial:
            following = renewed(history, ended, alike, order_date=order_date)
            advance(history, following, event.day, alike)


def schedule_change(history: History, event: Event) -> None:
    subscription = advance(history, history.of(event), event.day, event)
    if no := _not_schedulable(subscription, event):
        history.refuse(event, no)
        return
    names = (
        "qty", "to_term", "to_billing_plan", "to_unit_price", "to_sku", "custom_term_end_date",
        "promotion_percent",
    )  # fmt: skip
    wanted = {n: event.fields[n] for n in names if event.fields.get(n) is not None}
    event.quantity(), event.number("to_unit_price"), event.day_of("custom_term_end_date")
    history.keep(replace(subscription, scheduled={**subscription.scheduled, **wanted}))


def _not_schedulable(subscription: Subscription, event: Event) -> No | None:
    if subscription.status == "suspended":
        return No(SUSPENDED)
    if subscription.status != "active" or not subscription.auto_renew:
        return No(None, "a change at renewal needs an active subscription with auto-renew on")
    length = event.text("to_term") or subscription.term.length
    plan = event.text("to_billing_plan") or subscription.term.plan
    if PLAN_MONTHS[plan] > TERM_MONTHS[length]:
        return No(PLAN_TOO_LONG)
    end = event.day_of("custom_term_end_date")
    if end is None:
        return None
    following = replace(
        subscription.term, start=subscription.term.end + DAY, length=length, chosen_end=None
    )
    return month_not_alignable(length, end) or end_not_allowed(
        following, end, event.days_of("existing_end_dates")
    )


def schedule_action(history: History, event: Event) -> None:
    """What happens at the end of the term, in so many words."""
    subscription = advance(history, history.of(event), event.day, event)
    action = event.text("action_type")
    renews = action == "RenewToNewTerm"
    kept = replace(subscription, auto_renew=renews, at_term_end=action)
    history.keep(kept if renews else replace(kept, scheduled={}))


def set_auto_renew(history: History, event: Event) -> None:
    subscription = advance(history, history.of(event), event.day, event)
    if subscription.status == "suspended":
        history.refuse(event, No(SUSPENDED))
        return
    on = event.flag("value")
    if on is None:
        raise Invalid("event_field_missing", f"event {event.index} ({event.type}): value")
    kept = replace(subscription, auto_renew=on)
    history.keep(kept if on else replace(kept, scheduled={}))


def suspend(history: History, event: Event) -> None:
    """R-SUSP: billed on, never renewed, nothing scheduled any more."""
    subscription = advance(history, history.of(event), event.day, event)
    if subscription.status != "active":
        history.refuse(event, No(SUSPENDED))
        return
    history.stand(event, event.day, "suspended", auto_renew=False)
    history.keep(replace(subscription, status="suspended", auto_renew=False, scheduled={}))


def resume(history: History, event: Event) -> None:
    subscription = advance(history, history.of(event), event.day, event)
    if subscription.status != "suspended":
        history.refuse(event, No(None, f"the subscription is {subscription.status}"))
        return
    history.stand(event, event.day, "active", auto_renew=False)
    history.keep(replace(subscription, status="active"))


def price_list_change(history: History, event: Event) -> None:
    """R-LOCK: felt at the next renewal only."""
    price = event.needed_number("to_unit_price")
    for one in history.all_of(event):
        subscription = advance(history, one, event.day - DAY, event)
        history.keep(replace(subscription, list_price=price))


def end_of_term(history: History, event: Event) -> None:
    """What follows the last day. An event that states `auto_renew` asks for nothing but that: the
    lines of the term itself are left out."""
    told = event.flag("auto_renew")
    for one in history.all_of(event):
        subscription = advance(history, one, min(event.day, one.term.end), event)
        if told is not None:
            history.outcomes.clear()
        renews = subscription.auto_renew if told is None else told
        if renews:
            if told:
                _goes_on(history, subscription, event)
            continue
        _ends(history, subscription, event, whole_story=told is None)


def _goes_on(history: History, subscription: Subscription, event: Event) -> None:
    renewed(history, subscription, event, order_date=subscription.term.end + DAY)


def _ends(history: History, subscription: Subscription, event: Event, *, whole_story: bool) -> None:
    action = event.text("scheduled_action") or subscription.at_term_end
    if is_extended(subscription, action):
        following = extended(subscription, event, history.case.currency)
        charge_cycle(history, following, event, order_date=following.term.start)
        return
    ended = subscription.term.end + DAY
    free = {"billing": False} if action == CANCEL else {}
    history.stand(event, ended, "expired", **free)
    if whole_story:
        history.stand(event, ended + timedelta(days=EXPIRED_DAYS), "disabled")
        history.stand(event, ended + timedelta(days=EXPIRED_DAYS + DISABLED_DAYS), "deleted")
    history.keep(replace(subscription, status="expired"))


HANDLERS: Mapping[str, Handler] = {
    "purchase": purchases.purchase,
    "migrate": purchases.migrate,
    "est_start": purchases.est_start,
    "add_seats": add_seats,
    "remove_seats": remove_seats,
    "cancel": cancelling.cancel,
    "cycle": cycle,
    "renew": renew,
    "schedule_change": schedule_change,
    "schedule_action": schedule_action,
    "set_auto_renew": set_auto_renew,
    "suspend": suspend,
    "resume": resume,
    "price_list_change": price_list_change,
    "end_of_term": end_of_term,
    "upgrade": conversions.upgrade,
    "change_term": conversions.change_term,
    "change_billing_plan": conversions.change_billing_plan,
    "convert_trial": conversions.convert_trial,
    "trial_end": conversions.trial_end,
    "extend_trial": conversions.extend_trial,
    "convert": conversions.convert,
    "moved_out": moves.moved_out,
    "moved_in": moves.moved_in,
    "transferred_out": moves.transferred_out,
}
