"""What Autotask will bill for the licences of a contract, by the records that it holds.

Approve and post bills the units at the start of a period whole, and each adjustment inside the
period for the days that are left of it. Computed from units, prices and adjustments alone, so that
it can be held against our invoices.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from shared.kernel.money import Rounding, exponent, round_to
from shared.kernel.periods import Period


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Units that come or go; a price holds for all units from its day on."""

    effective: date
    units: int
    unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A service on the contract: the units it began with, and every adjustment since, in order."""

    unit_price: Decimal
    opening_units: int = 0
    opened_on: date = date.min
    adjustments: tuple[Adjustment, ...] = ()

    def level(self, day: date) -> tuple[int, Decimal]:
        """Units and price in force on a day."""
        units = self.opening_units if self.opened_on <= day else 0
        price = self.unit_price
        for adjustment in sorted(self.adjustments, key=lambda one: one.effective):
            if adjustment.effective <= day:
                units += adjustment.units
                price = adjustment.unit_price or price
        return units, price


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one invoice covers: whole units of a period, and the changes inside one."""

    recurring: Period
    closed: Period


def licences_billed(
    services: Iterable[Service],
    cycles: Sequence[Cycle],
    *,
    recurring_from: date,
    changes_from: date,
    currency: str,
) -> Decimal:
    """The sum over these cycles; each item is rounded as Autotask rounds it."""
    digits = exponent(currency)
    total = Decimal(0)
    for service in services:
        for cycle in cycles:
            if cycle.recurring.start >= recurring_from:
                units, price = service.level(cycle.recurring.start)
                total += round_to(units * price, digits, Rounding.HALF_AWAY)
            for exact in _changes(service, cycle.closed, changes_from):
                total += round_to(exact, digits, Rounding.HALF_AWAY)
    return total


def _changes(service: Service, period: Period, first: date) -> Iterable[Fraction]:
    units, price = service.level(period.start)
    for adjustment in sorted(service.adjustments, key=lambda one: one.effective):
        if not period.start < adjustment.effective < period.end:
            continue
        before = units * price
        units += adjustment.units
        price = adjustment.unit_price or price
        if adjustment.effective >= first:
            share = period.from_day(adjustment.effective).share_of(period)
            yield Fraction(units * price - before) * share
