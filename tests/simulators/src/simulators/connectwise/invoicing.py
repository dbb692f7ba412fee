"""What an agreement bills: its periods, which additions are due, and ConnectWise's own proration.

An addition does nothing until the agreement is invoiced. `cancelledDate` is the last billed day.
Without proration a line bills in full or not at all; with it, the next invoice carries the part of
each period since the effective date that was not billed yet, added to the full period.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from shared.kernel.periods import Period, add_months

CENT = Decimal("0.01")
_MONTHS = {"Monthly": 1, "BiMonthly": 2, "Quarterly": 3, "SemiAnnual": 6, "Yearly": 12}
_DAYS = {"Weekly": 7, "BiWeekly": 14}


@dataclass(frozen=True, slots=True)
class Terms:
    """How an agreement bills."""

    cycle: str  # billingOptions of its billing cycle
    starts_on: date
    ends_on: date | None = None
    prorate: bool = False
    prorated_apart: bool = False  # invoiceProratedAdditionsFlag
    contract_year: bool = False  # periods count from the start month instead of January
    amount: Decimal = Decimal(0)

    @property
    def recurs(self) -> bool:
        return self.cycle != "NotRecurring"


@dataclass(frozen=True, slots=True)
class Due:
    """An addition as invoicing sees it."""

    id: int
    quantity: Decimal
    unit_price: Decimal
    effective: date
    cancelled: date | None = None
    bills: str = "Billable"
    sequence: Decimal = Decimal(0)
    taxable: bool = False
    description: str = ""

    def days_in(self, period: Period) -> Period | None:
        """The billed days of this addition inside a period."""
        last = self.cancelled or date.max - timedelta(days=1)
        if last < self.effective:
            return None
        return Period.inclusive(self.effective, last).intersect(period)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an agreement invoice; `addition` is None for the agreement's own amount."""

    addition: int | None
    periods: tuple[Period, ...]
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    taxable: bool
    description: str


def period_of(terms: Terms, day: date) -> Period:
    """The billing period of a recurring agreement that contains `day`."""
    if terms.cycle in _DAYS:
        length = _DAYS[terms.cycle]
        start = day - timedelta(days=(day - terms.starts_on).days % length)
        return Period(start, start + timedelta(days=length))
    months = _MONTHS[terms.cycle]
    base = terms.starts_on.month - 1 if terms.contract_year else 0
    back = (day.month - 1 - base) % months
    start = add_months(day.replace(day=1), -back)
    return Period(start, add_months(start, months))


def next_period(terms: Terms, billed: frozenset[date], today: date) -> Period | None:
    """The earliest period that no invoice bills; None when the agreement has none left.

    A one-time agreement has no periods: whatever is due until today is billed when somebody asks.
    """
    if not terms.recurs:
        return Period.inclusive(min(terms.starts_on, today), today)
    period = period_of(terms, terms.starts_on)
    while period.start in billed:
        period = period_of(terms, period.end)
    return period if terms.ends_on is None or period.start <= terms.ends_on else None


def lines_for(
    terms: Terms,
    period: Period,
    additions: Sequence[Due],
    billed: Mapping[int, frozenset[date]],
) -> tuple[list[Line], list[Line]]:
    """The lines of the regular invoice of a period, and of the invoice of prorations set apart.

    `billed` says which periods (by first day) of an addition are on an invoice already.
    """
    regular, apart = _own_amount(terms, period), []
    for due in sorted(additions, key=lambda one: (one.sequence, one.id)):
        if due.bills == "DoNotBill":
            continue
        done = billed.get(due.id, frozenset())
        now = _share_now(terms, period, due, done)
        late = _missed(terms, period, due, done) if terms.prorate and terms.recurs else {}
        if terms.prorated_apart and late:
            apart.append(_line(due, late))
            late = {}
        shares = {**late, **now}
        if shares:
            regular.append(_line(due, shares))
    return regular, apart


def _own_amount(terms: Terms, period: Period) -> list[Line]:
    if not terms.amount:
        return []
    amount = terms.amount.quantize(CENT, ROUND_HALF_UP)
    return [Line(None, (period,), Decimal(1), amount, amount, False, "Agreement amount")]


def _share_now(
    terms: Terms, period: Period, due: Due, done: frozenset[date]
) -> dict[Period, Fraction]:
    days = due.days_in(period)
    if days is None or (done and not terms.recurs) or period.start in done:
        return {}
    prorated = terms.prorate and terms.recurs
    return {period: days.share_of(period) if prorated else Fraction(1)}


def _missed(
    terms: Terms, period: Period, due: Due, done: frozenset[date]
) -> dict[Period, Fraction]:
    """Shares of earlier periods since the effective date that were never billed."""
    found: dict[Period, Fraction] = {}
    earlier = period_of(terms, max(due.effective, terms.starts_on))
    while earlier.start < period.start:
        days = due.days_in(earlier)
        if days is not None and earlier.start not in done:
            found[earlier] = days.share_of(earlier)
        earlier = period_of(terms, earlier.end)
    return found


def _line(due: Due, shares: Mapping[Period, Fraction]) -> Line:
    share = sum(shares.values(), Fraction(0))
    price = _share_of_price(due.unit_price, share)
    line = Line(
        addition=due.id,
        periods=tuple(shares),
        quantity=due.quantity,
        unit_price=price,
        amount=(price * due.quantity).quantize(CENT, ROUND_HALF_UP),
        taxable=due.taxable,
        description=due.description,
    )
    if due.bills == "NoCharge":
        return replace(line, unit_price=Decimal(0), amount=Decimal(0))
    if share != len(shares):
        note = f"This item has been prorated with a start date of {due.effective:%m/%d/%Y}."
        return replace(line, description=f"{due.description} {note}".strip())
    return line


def _share_of_price(price: Decimal, share: Fraction) -> Decimal:
    """Whole periods keep the price's own decimals; parts of a period are rounded to the cent."""
    if share.denominator == 1:
        return price * share.numerator
    exact = price * share.numerator / share.denominator
    return exact.quantize(CENT, ROUND_HALF_UP)
