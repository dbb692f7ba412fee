"""Terms and charge cycles in the vendor's inclusive dates, end-of-month purchases included."""

from __future__ import annotations

from datetime import date, timedelta

from shared.kernel.periods import add_months, days_in_month

_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36}
_PLAN_MONTHS = {"monthly": 1, "annual": 12, "triennial": 36}


def last_day_of_term(start: date, term: str) -> date:
    """Inclusive end; a month from 31 January ends on 27 February, the next starts on the 28th."""
    return add_months(start, _MONTHS[term]) - timedelta(days=1)


def longer(term: str, than: str) -> bool:
    return _MONTHS[term] > _MONTHS[than]


def plan_fits(plan: str, term: str) -> bool:
    """A billing cycle may not be longer than the term."""
    return _PLAN_MONTHS.get(plan, 0) <= _MONTHS[term]


def charge_cycle_end(term_start: date, term_end: date, plan: str, day: date) -> date:
    """Inclusive end of the charge cycle that contains `day`.

    A term bought on the last day of a month, or on the day before it, keeps that position in every
    month.
    """
    months = _PLAN_MONTHS.get(plan)
    if months is None:
        return term_end
    step = 1
    while _cycle_start(term_start, months * step) <= day:
        step += 1
    return min(_cycle_start(term_start, months * step) - timedelta(days=1), term_end)


def _cycle_start(anchor: date, months: int) -> date:
    from_end = days_in_month(anchor.year, anchor.month) - anchor.day
    moved = add_months(anchor, months)
    if from_end > 1:
        return moved
    return moved.replace(day=days_in_month(moved.year, moved.month) - from_end)
