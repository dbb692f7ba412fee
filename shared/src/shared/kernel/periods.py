"""Calendar time for billing: half-open date periods, month arithmetic, anchors, day counts.

All dates are UTC days; a period `[start, end)` contains `start` and not `end`. Provider files print
inclusive end dates: internal end = file end + 1 day (`Period.inclusive`).
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache

from shared.kernel.errors import Invalid


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Half-open span of days `[start, end)`; never empty, never reversed."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise Invalid("period_empty", f"[{self.start}, {self.end}) holds no day")

    @classmethod
    def inclusive(cls, first: date, last: date) -> Period:
        """From the inclusive dates a provider prints."""
        return cls(first, last + timedelta(days=1))

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def last_day(self) -> date:
        """The inclusive end, for display and for vendors that think that way."""
        return self.end - timedelta(days=1)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def intersect(self, other: Period) -> Period | None:
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None

    def from_day(self, day: date) -> Period:
        """What is left of this period from `day` on."""
        if day not in self:
            raise Invalid("day_outside_period", f"{day} is not in {self}")
        return Period(day, self.end)

    def share_of(self, whole: Period) -> Fraction:
        """Days of this period over the days of the whole period that contains it."""
        return Fraction(self.days, whole.days)

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


def add_months(day: date, months: int, anchor_day: int | None = None) -> date:
    """`day` moved by whole months, on `anchor_day` (default: its own day), clipped to the month.

    Pass the anchor when stepping repeatedly: 31 Jan → 28 Feb → 31 Mar needs anchor 31.
    """
    index = day.year * 12 + (day.month - 1) + months
    year, month = divmod(index, 12)
    wanted = anchor_day or day.day
    return date(year, month + 1, min(wanted, days_in_month(year, month + 1)))


def days_in_month(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def month_of(day: date) -> Period:
    """The calendar month that contains `day`."""
    first = day.replace(day=1)
    return Period(first, add_months(first, 1))


@lru_cache(maxsize=8_192)  # a contract asks for the same few cycles for every charge
def monthly_cycle(anchor_day: int, day: date) -> Period:
    """The monthly cycle with this anchor that contains `day`.

    Cycles run from the anchor day to the same day of the next month, clipped to the last day of a
    shorter month, and tile the calendar: every day is in exactly one.
    """
    if not 1 <= anchor_day <= 31:
        raise Invalid("anchor_day_invalid", f"anchor day {anchor_day} is not 1..31")
    return anchored_cycle(day, 1, day, anchor_day)


def anchored_cycle(first: date, months: int, day: date, anchor_day: int | None = None) -> Period:
    """The cycle of `months` that contains `day`, of those that begin in the month of `first` and
    every `months` before and after it, on the anchor day (default: that of `first`)."""
    anchor = anchor_day or first.day
    apart = (day.year - first.year) * 12 + day.month - first.month
    number = apart // months
    start = add_months(first, number * months, anchor)
    if day < start:
        number -= 1
        start = add_months(first, number * months, anchor)
    return Period(start, add_months(first, (number + 1) * months, anchor))


def boundary_on_or_after(day: date, anchor_day: int, months: int = 1) -> date:
    """The first day on or after `day` on which a cycle begins: in its own month, if the anchor day
    is not over, else `months` later."""
    boundary = add_months(day, 0, anchor_day)
    return boundary if boundary >= day else add_months(day, months, anchor_day)


def next_cycle(cycle: Period, anchor_day: int) -> Period:
    return monthly_cycle(anchor_day, cycle.end)


def previous_cycle(cycle: Period, anchor_day: int) -> Period:
    return monthly_cycle(anchor_day, cycle.start - timedelta(days=1))


def cycles_between(anchor_day: int, start: date, end: date) -> Iterator[Period]:
    """Every cycle that starts in `[start, end)`, in order."""
    cycle = monthly_cycle(anchor_day, start)
    if cycle.start < start:
        cycle = next_cycle(cycle, anchor_day)
    while cycle.start < end:
        yield cycle
        cycle = next_cycle(cycle, anchor_day)


def utc_day(instant: datetime) -> date:
    """The UTC day of an aware instant; a click at 23:30 in New York belongs to the next day."""
    if instant.tzinfo is None:
        raise Invalid("instant_naive", f"{instant} has no time zone")
    return instant.astimezone(UTC).date()


def start_of(day: date) -> datetime:
    """Midnight UTC at which `day` begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
