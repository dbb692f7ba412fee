"""From one product, term or plan to another inside a term: upgrades, trials, terms, plans."""

from __future__ import annotations

from dataclasses import replace

from rating.domain.provider_lines.cycles import PLAN_MONTHS, TERM_MONTHS, Term
from rating.domain.provider_lines.history import DAY, History, advance, changed_plan
from rating.domain.provider_lines.lines import Any_, Span
from rating.domain.provider_lines.reading import Event
from rating.domain.provider_lines.subscriptions import Family, Subscription
from rating.domain.provider_lines.windows import (
    OUT_OF_RANGE,
    PLAN_TOO_LONG,
    SUSPENDED,
    Batch,
    No,
    plan_not_changeable,
    target_not_eligible,
    term_not_longer,
)

TRIAL_TERM_FIXED = "800107"


def unchangeable(subscription: Subscription) -> No | None:
    """What stands against any change of seats or product now."""
    if subscription.status == "suspended":
        return No(SUSPENDED)
    if subscription.status != "active":
        return No(None, f"the subscription is {subscription.status}")
    if subscription.trial:
        return No(None, "quantity is fixed during a trial")
    if subscription.family is Family.PERPETUAL:
        return No(None, "what is bought for good does not change: it is bought again")
    return None


def upgrade(history: History, event: Event) -> None:
    """R-UPG: everything, some seats into a new subscription, or into one that is there."""
    source = advance(history, history.of(event), event.day, event)
    if source.trial and source.status == "active":
        convert_trial(history, event)
        return
    moved = event.quantity() or source.quantity
    no = unchangeable(source) or (No(OUT_OF_RANGE) if moved > source.quantity else None)
    if no:
        history.refuse(event, no)
    elif event.text("to_subscription") is not None:
        _into_existing(history, source, event, moved)
    elif event.text("mode") == "partial" or moved < source.quantity:
        _partial(history, source, event, moved)
    else:
        _full(history, source, event)


def _full(history: History, source: Subscription, event: Event) -> None:
    target = _upgraded(source, event)
    _convert(history, source, target, event, source.quantity)
    history.keep(target)


def _partial(history: History, source: Subscription, event: Event, moved: int) -> None:
    left, taken = _split(source, moved)
    target = replace(
        _upgraded(source, event), name=history.next_name(), quantity=moved, batches=taken
    )
    _convert(history, source, target, event, moved)
    history.keep(replace(source, quantity=source.quantity - moved, batches=left, scheduled={}))
    history.keep(target)


def _convert(
    history: History, source: Subscription, target: Subscription, event: Event, moved: int
) -> None:
    """Both halves to the end of the running cycle; the refund is of the moved seats only."""
    history.charge(source, "convert", event, Span.rest(source.cycle, event.day), quantity=-moved)
    history.charge(target, "convert", event, Span.rest(target.cycle, event.day), quantity=moved)


def _upgraded(source: Subscription, event: Event) -> Subscription:
    price = event.needed_number("to_unit_price")
    return replace(
        source,
        price=price,
        list_price=price,
        title=event.text("to_sku"),
        promotion=None,
        trial=False,
        scheduled={},
        telecom=event.part("to_telecom_unit_price", price),
    )


def _split(source: Subscription, moved: int) -> tuple[tuple[Batch, ...], tuple[Batch, ...]]:
    """Seats take the windows they have with them: an upgrade opens none. Oldest first."""
    left, taken, open_ = [], [], moved
    for batch in sorted(source.batches, key=lambda one: one.since):
        seats = min(batch.quantity, open_)
        open_ -= seats
        if seats:
            taken.append(Batch(seats, batch.since))
        if batch.quantity > seats:
            left.append(Batch(batch.quantity - seats, batch.since))
    return tuple(left), tuple(taken)


def _into_existing(history: History, source: Subscription, event: Event, moved: int) -> None:
    no = target_not_eligible(
        status=event.text("to_status"),
        bought_at=event.instant("to_purchased_at"),
        term=event.text("to_term"),
        ends=event.day_of("to_term_end"),
        source=source.term,
        at=event.at,
    )
    if no:
        history.refuse(event, no)
        return
    target = _existing(history, source, event)
    left, taken = _split(source, moved)
    history.charge(
        source, "moveQuantity", event, Span.rest(source.cycle, event.day), quantity=-moved
    )
    # The file wipes the target's old count and charges the new one; this is the sum of both.
    history.charge(
        target,
        "moveQuantity",
        event,
        Span.rest(target.cycle, event.day),
        quantity=moved,
        extras=(("net", True),),
    )
    history.keep(replace(source, quantity=source.quantity - moved, batches=left, scheduled={}))
    grown = (*target.batches, *taken)
    history.keep(replace(target, quantity=target.quantity + moved, batches=grown, scheduled={}))


def _existing(history: History, source: Subscription, event: Event) -> Subscription:
    """The target as it is known, or as the event describes it."""
    name = event.text("to_subscription") or ""
    if name in history.subscriptions:
        return advance(history, history.subscriptions[name], event.day, event)
    start = event.day_of("to_cycle_start")
    term = source.term
    if start is not None:
        term = Term(start, event.text("to_term") or term.length, term.plan)
    cycle = term.cycle_on(event.day)
    return replace(
        _upgraded(source, event),
        name=name,
        term=term,
        quantity=event.quantity("to_existing_qty") or 0,
        batches=(),
        charged_until=cycle.end,
    )


def convert_trial(history: History, event: Event) -> None:
    """R-TRIAL: nothing back for the trial, the paid product to the end of its cycle."""
    trial = advance(history, history.of(event), event.day, event)
    if not trial.trial or trial.status != "active":
        history.refuse(event, No(None, "only a running trial can be converted"))
        return
    price = event.number("to_unit_price")
    price = trial.list_price if price is None else price
    seats = event.quantity() or trial.quantity
    paid = replace(
        trial,
        price=price,
        list_price=price,
        quantity=seats,
        batches=(Batch(seats, event.at),),
        committed_at=event.at,
        title=event.text("to_sku"),
        trial=False,
    )
    history.charge(
        trial, "convert", event, Span.rest(trial.cycle, event.day), quantity=-trial.quantity
    )
    length = event.text("to_term")
    if length is not None:
        plan = event.text("to_billing_plan") or "monthly"
        _begin_term(history, paid, event, Term(event.day, _term(event, length), plan), "convert")
        return
    history.charge(paid, "convert", event, Span.rest(paid.cycle, event.day))
    history.keep(paid)


def trial_end(history: History, event: Event) -> None:
    """A trial that nobody ended becomes a paid term."""
    trial = history.of(event)
    if not trial.trial or trial.status != "active":
        history.refuse(event, No(None, "only a running trial can end"))
        return
    start = trial.term.end + DAY
    length = event.text("to_term") or trial.term.length
    plan = event.text("to_billing_plan") or trial.term.plan
    price = event.number("to_unit_price")
    paid = replace(
        trial, price=trial.list_price if price is None else price, trial=False,
        title=event.text("to_sku"),
    )  # fmt: skip
    _begin_term(history, paid, event, Term(start, _term(event, length), plan))


def extend_trial(history: History, event: Event) -> None:
    """Another month for nothing."""
    trial = history.of(event)
    if not trial.trial or trial.status != "active":
        history.refuse(event, No(None, "only a running trial can be extended"))
        return
    longer = replace(trial, term=replace(trial.term, start=trial.term.end + DAY))
    cycle = next(longer.term.cycles())
    history.charge(longer, "extendTerm", event, Span.whole(cycle))
    history.keep(replace(longer, charged_until=cycle.end))


def change_term(history: History, event: Event) -> None:
    """R-TERM: a longer one at once, the old cycle's rest back; never a shorter one."""
    subscription = advance(history, history.of(event), event.day, event)
    wanted = _term(event, event.text("to_term") or "")
    no = (
        No(TRIAL_TERM_FIXED)
        if subscription.trial
        else unchangeable(subscription) or _too_short(subscription, wanted)
    )
    plan = event.text("to_billing_plan") or subscription.term.plan
    if no is None and PLAN_MONTHS.get(plan, 99) > TERM_MONTHS[wanted]:
        no = No(PLAN_TOO_LONG)
    if no:
        history.refuse(event, no)
        return
    price = event.needed_number("to_unit_price")
    history.charge(
        subscription,
        Any_,
        event,
        Span.rest(subscription.cycle, event.day),
        quantity=-subscription.quantity,
    )
    longer = replace(
        subscription, price=price, list_price=price, promotion=None, extended=False, scheduled={}
    )
    _begin_term(history, longer, event, Term(event.day, wanted, plan))


def _too_short(subscription: Subscription, wanted: str) -> No | None:
    """An extended service term is no commitment: any term may follow it (R-EST)."""
    return None if subscription.extended else term_not_longer(subscription.term.length, wanted)


def _begin_term(
    history: History, subscription: Subscription, event: Event, term: Term, kind: str = Any_
) -> None:
    cycle = next(term.cycles())
    begun = replace(
        subscription,
        term=term,
        charged_until=cycle.end,
        committed_at=event.at,
        batches=(Batch(subscription.quantity, event.at),),
    )
    history.charge(begun, kind, event, Span.whole(cycle))
    history.keep(begun)


def change_billing_plan(history: History, event: Event) -> None:
    """R-PLAN: from the next charge cycle, by whole months and not by days."""
    subscription = advance(history, history.of(event), event.day - DAY, event)
    wanted = event.text("to") or event.text("to_billing_plan") or ""
    no = unchangeable(subscription) or plan_not_changeable(subscription.term, wanted)
    if no:
        history.refuse(event, no)
        return
    event.needed_number("to_unit_price")
    # Like any change in the middle of a term it drops what was scheduled (R-SCHED-DROP).
    asked = replace(subscription, next_plan=event, scheduled={})
    history.keep(asked)
    if subscription.charged_until + DAY == event.day:
        changed_plan(history, asked, event)


def convert(history: History, event: Event) -> None:
    """Whatever the subscription is now: a trial, an extended term, or a product to be upgraded."""
    subscription = history.of(event)
    if subscription.trial:
        convert_trial(history, event)
    elif event.text("to_term") is not None and event.text("to_sku") is None:
        change_term(history, event)
    else:
        upgrade(history, event)


def _term(event: Event, length: str) -> str:
    if length not in TERM_MONTHS:
        raise event.fault("to_term", f"{length!r} is none of {', '.join(TERM_MONTHS)}")
    return length
