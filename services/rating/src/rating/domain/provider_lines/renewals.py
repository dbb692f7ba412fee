"""What follows a term: the next one as scheduled, an extended service term, or the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from rating.domain.provider_lines.cycles import PLAN_MONTHS, Term
from rating.domain.provider_lines.reading import Event
from rating.domain.provider_lines.subscriptions import Family, Promotion, Subscription
from rating.domain.provider_lines.windows import Batch
from shared.kernel.errors import Invalid
from shared.kernel.money import EXACT, Rounding, exponent, round_to
from shared.kernel.periods import start_of

DAY = timedelta(days=1)
EXTENDED_IF_BOUGHT_FROM = date(2025, 4, 1)
EXTENDED_EXISTS_FROM = date(2026, 2, 16)
EXTENDED_IF_ENDING_FROM = date(2026, 5, 4)
UPLIFT, UPLIFT_WITHOUT_MONTHLY_TERM = Decimal("1.03"), Decimal("1.23")
CANCEL, EXTEND = "Cancel", "RenewToExtendedServiceTerm"
EXPIRED_DAYS, DISABLED_DAYS = 30, 90


def next_term(subscription: Subscription, event: Event) -> Subscription:
    """The subscription as a renewal begins (R-SCHED, R-LOCK, R-PROMO); nothing is charged yet."""
    wanted = {**subscription.scheduled, **_of_renewal(event)}
    start = subscription.term.end + DAY
    length = str(wanted.get("to_term") or subscription.term.length)
    plan = str(wanted.get("to_billing_plan") or subscription.term.plan)
    chosen = wanted.get("custom_term_end_date")
    completed = (event.instant("completed_at") if event.type == "renew" else None) or start_of(
        start
    )
    quantity = int(wanted.get("qty") or subscription.quantity)
    promotion = subscription.promotion.at_renewal(start) if subscription.promotion else None
    if wanted.get("promotion_percent") is not None:
        promotion = Promotion(Decimal(str(wanted["promotion_percent"])))
    price = subscription.list_price
    if wanted.get("to_unit_price") is not None:
        price = Decimal(str(wanted["to_unit_price"]))
    return replace(
        subscription,
        term=Term(start, length, plan, date.fromisoformat(str(chosen)) if chosen else None),
        committed_at=completed,
        price=price,
        list_price=price,
        quantity=quantity,
        batches=(Batch(quantity, completed),),
        charged_until=start - DAY,
        title=str(wanted["to_sku"]) if wanted.get("to_sku") else subscription.title,
        promotion=promotion,
        trial=False,
        scheduled={},
        telecom=_telecom(subscription, event, price),
    )


def _telecom(subscription: Subscription, event: Event, price: Decimal) -> Fraction | None:
    """As it was, unless the renewal tells another split."""
    told = event.part("to_telecom_unit_price", price) if event.type == "renew" else None
    return told or subscription.telecom


def _of_renewal(event: Event) -> dict[str, object]:
    """What the renewal itself says, over what was scheduled."""
    if event.type != "renew":
        return {}
    names = (
        "to_term", "to_billing_plan", "to_unit_price", "to_sku", "qty", "custom_term_end_date",
    )  # fmt: skip
    return {name: event.fields[name] for name in names if event.fields.get(name) is not None}


def is_extended(subscription: Subscription, action: str | None) -> bool:
    """R-EST: whether a term that is not renewed goes on month by month, for money. Who asked for it
    gets it as soon as there is such a thing, whenever the licence was bought."""
    extendable = (
        subscription.family is Family.LICENCE
        and not subscription.trial
        and subscription.status == "active"
    )
    if action == EXTEND:
        return extendable and subscription.term.end >= EXTENDED_EXISTS_FROM
    return (
        extendable
        and action != CANCEL
        and subscription.committed_at.date() >= EXTENDED_IF_BOUGHT_FROM
        and subscription.term.end >= EXTENDED_IF_ENDING_FROM
    )


def extended(subscription: Subscription, event: Event, currency: str) -> Subscription:
    """The extended service term that follows, with nothing charged yet.

    Raises:
        Invalid: `event_field_missing` where the monthly-term price is not told.
    """
    start = subscription.term.end + DAY
    price = round_to(_uplifted(subscription, event), exponent(currency), Rounding.HALF_AWAY)
    return replace(
        subscription,
        term=Term(start, "P1M", "monthly"),
        committed_at=start_of(start),
        price=price,
        list_price=price,
        charged_until=start - DAY,
        promotion=None,
        extended=True,
        auto_renew=True,  # month by month, until it is cancelled or turned into a term
        scheduled={},
    )


def _uplifted(subscription: Subscription, event: Event) -> Decimal:
    own = event.number("est_unit_price")  # of the price sheet that extended terms have
    if own is not None:
        return own
    if "monthly_term_unit_price" in event.fields:
        monthly = event.number("monthly_term_unit_price")
        if monthly is not None:
            return EXACT.multiply(monthly, UPLIFT)
        months = Decimal(PLAN_MONTHS[subscription.term.plan])
        a_month = EXACT.divide(subscription.list_price, months)
        return EXACT.multiply(a_month, UPLIFT_WITHOUT_MONTHLY_TERM)
    if subscription.term.length == "P1M":
        return EXACT.multiply(subscription.list_price, UPLIFT)
    raise Invalid(
        "event_field_missing",
        f"event {event.index} ({event.type}): monthly_term_unit_price, null where there is none",
    )
