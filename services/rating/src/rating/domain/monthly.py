"""What a subscription brings in a month if its term began on some day: the size of a price change
that running terms do not feel before they renew."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from rating.domain.cycles import UPFRONT_MONTHS
from rating.domain.licences import Terms
from rating.domain.pricing import licence_price, subject_of
from rating.domain.promotions import Subject, select
from rating.domain.timeline import State, Timeline
from shared.kernel.money import Rounding, exponent, round_to


def monthly_revenue(terms: Terms, timeline: Timeline, day: date) -> Decimal:
    """The seats of `day` at its prices, promotions taken off, a twelfth of what is paid for a year.

    Raises:
        Held: no price is known.
    """
    state = timeline.on(day)
    contract = terms.contract
    price = licence_price(terms.book, contract, state.product, day).price
    exact = Fraction(price) * state.quantity - _promoted(terms, timeline, state, price, day=day)
    months = UPFRONT_MONTHS.get(state.product.billing_plan, 1)
    return round_to(exact / months, exponent(contract.currency), Rounding.HALF_AWAY)


def _promoted(
    terms: Terms, timeline: Timeline, state: State, price: Decimal, *, day: date
) -> Fraction:
    subject = Subject(
        subject_of(terms.contract, state.product),
        replace(state, term_start=day),
        timeline.subscription_id,
        max(day, terms.contract.starts_on),
        terms.firsts,
    )
    found = select(terms.book.promotions, subject, day)
    if found is None:
        return Fraction(0)
    return found.seats(state.quantity) * Fraction(price) * Fraction(found.percent) / 100
