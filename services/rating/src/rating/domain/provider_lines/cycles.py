"""Terms and charge cycles as the provider counts them: UTC days, both ends included.

A monthly term moves on from the day it was clipped to; a longer term billed monthly keeps "the
last day of the month" and "the day before it" as anchors. A chosen end date shortens the first
cycle, and every later one ends with the term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import count

from shared.kernel.errors import Invalid
from shared.kernel.periods import add_months, days_in_month

TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36}
PLAN_MONTHS = {"monthly": 1, "annual": 12, "triennial": 36, "none": 1}
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cycle:
    """What one charge is for. `full_days` is the length it would have had uncut (R-DAYS)."""

    start: date
    end: date  # inclusive
    full_days: int

    def days_from(self, day: date) -> int:
        """Billable days from `day` on: the day itself counts to the new state (R-EUP)."""
        return (self.end - day).days + 1

    def share_from(self, day: date) -> Fraction:
        return Fraction(self.days_from(day), self.full_days)


@dataclass(frozen=True, slots=True)
class Term:
    """One commitment."""

    start: date
    length: str  # P1M, P1Y, P3Y
    plan: str  # monthly, annual, triennial
    chosen_end: date | None = None  # inclusive (R-COTERM)

    @property
    def end(self) -> date:
        """Its last day."""
        return self.chosen_end or self.full_end

    @property
    def full_end(self) -> date:
        return _step(self.start, TERM_MONTHS[self.length], self._keeps_month_end) - _DAY

    def cycle_on(self, day: date) -> Cycle:
        """The charge cycle that contains a day of the term.

        Raises:
            Invalid: `day_outside_term`.
        """
        for cycle in self.cycles():
            if cycle.start <= day <= cycle.end:
                return cycle
        raise Invalid("day_outside_term", f"{day} is not in {self.start}..{self.end}")

    def cycles(self) -> Iterator[Cycle]:
        """Every charge cycle of the term, in order; they tile it."""
        start = self.start
        for following in self._boundaries():
            end = min(following - _DAY, self.end)
            yield Cycle(start, end, max(self._full_days(start), (end - start).days + 1))
            start = end + _DAY
            if start > self.end:
                return

    def months_until(self, day: date) -> int:
        """Whole months from the start of the term to a cycle that begins on `day`."""
        return (day.year - self.start.year) * 12 + day.month - self.start.month

    def _boundaries(self) -> Iterator[date]:
        months = min(PLAN_MONTHS[self.plan], TERM_MONTHS[self.length])
        if self.chosen_end is None:
            for number in count(1):
                yield _step(self.start, number * months, self._keeps_month_end)
        after = self.chosen_end + _DAY if self.chosen_end else self.start
        back = range(TERM_MONTHS[self.length] // months, -1, -1)
        yield from (found for n in back if (found := add_months(after, -n * months)) > self.start)

    def _full_days(self, start: date) -> int:
        if self.chosen_end is not None and PLAN_MONTHS[self.plan] == 1:
            # What is cut has no anchor of its own: the month that it begins in (R-DAYS).
            return days_in_month(start.year, start.month)
        months = min(PLAN_MONTHS[self.plan], TERM_MONTHS[self.length])
        return (_step(start, months, self._keeps_month_end and _from_end(start) < 2) - start).days

    @property
    def _keeps_month_end(self) -> bool:
        return self.length != "P1M" and self.plan == "monthly" and _from_end(self.start) < 2


def _from_end(day: date) -> int:
    """Days that the month still has after this one."""
    return days_in_month(day.year, day.month) - day.day


def _step(start: date, months: int, keeps_month_end: bool) -> date:
    moved = add_months(start, months)
    if not keeps_month_end:
        return moved
    return moved.replace(day=days_in_month(moved.year, moved.month) - _from_end(start))
