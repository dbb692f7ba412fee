"""How service adjustments become ContractServiceUnits, one row per billing period and change.

A change inside a period starts a new row on its effective date. In `total` mode the new row holds
the new total and the old row ends on that very day; in `delta` mode the new row holds only the
change and lies over the old one until the period ends. Which of the two a real tenant does is not
documented, so both exist.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from fractions import Fraction

from shared.kernel.periods import Period, add_months

MONTHS = {1: 1, 2: 3, 3: 6, 4: 12}  # by contractPeriodType of the simulated tenant
FOUR_PLACES = Decimal("0.0001")


class Mode(StrEnum):
    TOTAL = "total"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Change:
    """One adjustment. A price or cost holds for all units from its day on."""

    effective: date
    units: int
    price: Decimal | None = None
    cost: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """Units and prices in force on a day."""

    units: int
    price: Decimal
    cost: Decimal

    def after(self, change: Change) -> Level:
        price = self.price if change.price is None else change.price
        cost = self.cost if change.cost is None else change.cost
        return Level(self.units + change.units, price, cost)

    @property
    def amount(self) -> Decimal:
        return self.units * self.price


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One row; `end` is the day the row shows, inclusive. Amounts are those of a whole period."""

    period: Period
    start: date
    end: date
    units: int
    price: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class Item:
    """One item of approve and post: the units at the start of a period, or one change in it."""

    on: date
    quantity: int
    rate: Decimal
    amount: Decimal  # rounded to four places; two when posted
    cost: Decimal


def periods(first: date, last: date, months: int) -> Iterator[Period]:
    """Billing periods of a contract, counted from its first day and cut at its last."""
    number = 0
    while True:
        start = add_months(first, number * months, first.day)
        if start > last:
            return
        following = add_months(first, (number + 1) * months, first.day)
        yield Period(start, min(following, last + timedelta(days=1)))
        number += 1


class Course:
    """Everything that happens to a contract service, with the level after each change."""

    def __init__(self, opening: Level, changes: Sequence[Change]) -> None:
        self.changes = _in_order(changes)
        self._days = [change.effective for change in self.changes]
        self._levels = [opening]
        for change in self.changes:
            self._levels.append(self._levels[-1].after(change))

    def level_on(self, day: date) -> Level:
        """What is in force on a day."""
        return self._levels[bisect_right(self._days, day)]


def level_on(day: date, opening: Level, changes: Sequence[Change]) -> Level:
    """What is in force on a day."""
    return Course(opening, changes).level_on(day)


def unit_rows(
    of: Sequence[Period], opening: Level, changes: Sequence[Change], mode: Mode
) -> list[UnitRow]:
    """All rows of a contract service, in order. Before the first change there are none."""
    if not changes:
        return []
    course = Course(opening, changes)
    begins = course.changes[0].effective
    rows: list[UnitRow] = []
    for period in of:
        if period.last_day >= begins:
            make = _total_rows if mode is Mode.TOTAL else _delta_rows
            rows += make(period, begins, course)
    return rows


def items_of(period: Period, opening: Level, changes: Sequence[Change]) -> list[Item]:
    """What approve and post bills for a period: whole units first, then each prorated change."""
    level = level_on(period.start, opening, changes)
    items = []
    if level.units:
        items.append(Item(period.start, level.units, level.price, level.amount, _cost(level)))
    for change in _in_order(changes):
        if period.start < change.effective <= period.last_day:
            after = level.after(change)
            share = period.from_day(change.effective).share_of(period)
            amount = _four_places((after.amount - level.amount), share)
            cost = _four_places(_cost(after) - _cost(level), share)
            items.append(Item(change.effective, change.units, after.price, amount, cost))
            level = after
    return items


def _total_rows(period: Period, begins: date, course: Course) -> Iterator[UnitRow]:
    starts = _starts(period, begins, course.changes)
    ends = [*starts[1:], period.last_day]
    for start, end in zip(starts, ends, strict=True):
        level = course.level_on(start)
        yield UnitRow(period, start, end, level.units, level.amount, _cost(level))


def _delta_rows(period: Period, begins: date, course: Course) -> Iterator[UnitRow]:
    changes = course.changes
    for number, start in enumerate(_starts(period, begins, changes)):
        level = course.level_on(start)
        units = (
            level.units if number == 0 else sum(c.units for c in changes if c.effective == start)
        )
        price, cost = units * level.price, units * level.cost
        yield UnitRow(period, start, period.last_day, units, price, cost)


def _starts(period: Period, begins: date, changes: Sequence[Change]) -> list[date]:
    inside = {c.effective for c in changes if period.start < c.effective <= period.last_day}
    return sorted(inside | {max(period.start, begins)})


def _in_order(changes: Sequence[Change]) -> list[Change]:
    """By day; on one day in the order they were made."""
    return sorted(changes, key=lambda c: c.effective)


def _cost(level: Level) -> Decimal:
    return level.units * level.cost


def _four_places(amount: Decimal, share: Fraction) -> Decimal:
    exact = amount * share.numerator / share.denominator
    return exact.quantize(FOUR_PLACES, ROUND_HALF_UP)
