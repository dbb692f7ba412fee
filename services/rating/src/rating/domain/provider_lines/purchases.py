"""Where a history begins: a purchase, a migration, an extended service term."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

from rating.domain.provider_lines.cycles import TERM_MONTHS, Term
from rating.domain.provider_lines.history import History, first_term
from rating.domain.provider_lines.lines import Any_, Line, Span
from rating.domain.provider_lines.reading import Case, Event
from rating.domain.provider_lines.subscriptions import (
    Family,
    Promotion,
    Subscription,
    family_of,
    needs_a_base,
)
from rating.domain.provider_lines.windows import (
    ADD_ON_WITHOUT_BASE,
    END_NOT_ALLOWED,
    Batch,
    No,
    end_not_allowed,
)
from shared.kernel.errors import Invalid
from shared.kernel.periods import add_months

NO_CHOSEN_END = "software is not aligned with other subscriptions"
_ENDING = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")


def purchase(history: History, event: Event) -> None:
    case = history.case
    bought = _bought(history, event)
    if bought.family is Family.PERPETUAL:
        _for_good(history, bought, event)
        return
    # Whatever follows it, a trial is a month (R-TRIAL).
    length, plan = ("P1M", "monthly") if bought.trial else (case.term, case.plan)
    bought = replace(bought, term=first_term(event.day, length, plan))
    no = (
        None if case.happened else _without_base(history, bought, event) or _not_sold(bought, event)
    )
    if no:
        history.refuse(event, no)
        return
    chosen = event.day_of("custom_term_end_date")
    term = replace(bought.term, chosen_end=chosen)
    _begin(history, replace(bought, term=term), event, "new")


def _for_good(history: History, bought: Subscription, event: Event) -> None:
    if event.day_of("custom_term_end_date") is not None:
        history.refuse(event, No(END_NOT_ALLOWED, NO_CHOSEN_END))
        return
    charge_for_good(history, bought, event, kind="new", quantity=bought.quantity)
    history.keep(bought)


def migrate(history: History, event: Event) -> None:
    """From the legacy offer: the new term ends with the old one, unless a full term is bought."""
    case = history.case
    full = first_term(event.day, case.term, case.plan)
    end = None if event.flag("purchase_full_term") is not False else _legacy_end(event, full)
    term = replace(full, chosen_end=end)
    _begin(history, replace(_bought(history, event), term=term), event, "new")


def est_start(history: History, event: Event) -> None:
    """A history that begins inside an extended service term, at its uplifted price."""
    bought = replace(_bought(history, event), term=Term(event.day, "P1M", "monthly"), extended=True)
    _begin(history, bought, event, Any_)


def charge_for_good(
    history: History, subscription: Subscription, event: Event, *, kind: str, quantity: int
) -> None:
    """A line without an end: perpetual software."""
    span = Span.for_good(subscription.term.start)
    history.charge(subscription, kind, event, span, quantity=quantity)


def only_one_day(history: History, subscription: Subscription, event: Event) -> None:
    """Bought and cancelled on one day, the marketplace shows both for that day alone."""
    span = Span.one(event.day)
    history.outcomes = [
        replace(one, span=span, figure=replace(one.figure, share=span.share))
        if isinstance(one, Line) and one.subscription == subscription.name
        else one
        for one in history.outcomes
    ]
    quantity = -subscription.quantity
    history.charge(subscription, "cancelImmediate", event, span, quantity=quantity)


def _bought(history: History, event: Event) -> Subscription:
    case, quantity = history.case, event.seats()
    name = event.subscription or history.next_name()
    if name in history.subscriptions:
        raise Invalid("subscription_known", f"event {event.index} ({event.type}): {name}")
    trial = event.flag("trial") is True
    price = Decimal(0) if trial else _price(case, event)
    return Subscription(
        name=name,
        family=family_of(case.term, case.title),
        term=Term(event.day, "P1M", "monthly"),
        committed_at=event.at,
        price=price,
        list_price=_price(case, event),
        quantity=quantity,
        batches=(Batch(quantity, event.at),),
        charged_until=event.day,
        promotion=None if trial else _promotion(event),
        trial=trial,
        add_on=needs_a_base(case.title) or event.flag("add_on") is True,
        telecom=event.part("telecom_unit_price", _price(case, event)),
    )


def _begin(history: History, subscription: Subscription, event: Event, kind: str) -> None:
    cycle = next(subscription.term.cycles())
    kept = replace(subscription, charged_until=cycle.end)
    history.charge(kept, kind, event, Span.whole(cycle))
    history.keep(kept)


def _price(case: Case, event: Event) -> Decimal:
    told = event.number("unit_price")
    return case.unit_price if told is None else told


def _promotion(event: Event) -> Promotion | None:
    percent = event.number("promotion_percent")
    if percent is None:
        return None
    if not 0 <= percent <= 1:
        raise event.fault("promotion_percent", "is no share of 1")
    return Promotion(percent, event.day_of("promotion_end"), event.quantity("promotion_max_seats"))


def _without_base(history: History, bought: Subscription, event: Event) -> No | None:
    """An add-on's base: checked where the event says which one it has (`base`; null: none)."""
    if not bought.add_on or "base" not in event.fields:
        return None
    base = history.subscriptions.get(event.text("base") or "")
    if base is not None and base.status == "active" and not base.add_on:
        return None
    return No(ADD_ON_WITHOUT_BASE, "an add-on needs an active subscription of its base")


def _not_sold(bought: Subscription, event: Event) -> No | None:
    if bought.promotion is not None and not bought.promotion.holds_for(bought.quantity):
        return No(
            None,
            "discount applied and the desired quantity is not within the allowed minimum and "
            "maximum",
        )
    end = event.day_of("custom_term_end_date")
    if end is None:
        return None
    if bought.trial:
        return No(END_NOT_ALLOWED, "a trial has its own end")
    if bought.family is Family.SOFTWARE:
        return No(END_NOT_ALLOWED, NO_CHOSEN_END)
    return end_not_allowed(bought.term, end, event.days_of("existing_end_dates"))


def _legacy_end(event: Event, term: Term) -> date:
    """The legacy term's last day, or for monthly terms the next day of that number."""
    found = event.day_of("legacy_end")
    told = _ENDING.search(event.text("from_term") or "")
    if found is None and told is None:
        raise Invalid("event_field_missing", f"event {event.index} ({event.type}): legacy_end")
    legacy = found or date.fromisoformat(told[1] if told else "")
    months = range(TERM_MONTHS["P3Y"], -1, -1) if term.length == "P1M" else (0,)
    ends = (add_months(legacy, -n) for n in months)
    return next((end for end in ends if term.start <= end <= term.full_end), term.full_end)
