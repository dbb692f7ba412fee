"""Half-open days, anchors and month ends: every day belongs to exactly one cycle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Invalid
from shared.kernel.periods import (
    Period,
    add_months,
    cycles_between,
    month_of,
    monthly_cycle,
    next_cycle,
    previous_cycle,
    utc_day,
)

days = st.dates(min_value=date(2019, 1, 1), max_value=date(2033, 12, 31))
anchors = st.integers(1, 31)


def test_month_end_anchor_returns() -> None:
    """Anchor 31 through a leap and a common February: no day billed twice or never (lesson 1)."""
    starts = [c.start for c in cycles_between(31, date(2027, 12, 31), date(2029, 1, 1))]

    assert [str(s) for s in starts] == [
        "2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31",
        "2028-06-30", "2028-07-31", "2028-08-31", "2028-09-30", "2028-10-31", "2028-11-30",
        "2028-12-31",
    ]  # fmt: skip


@given(anchors, days)
def test_cycles_tile_the_calendar(anchor: int, day: date) -> None:
    """The cycle of a day contains it, and its neighbours touch it without a gap."""
    cycle = monthly_cycle(anchor, day)

    assert day in cycle
    assert cycle.end == next_cycle(cycle, anchor).start
    assert cycle.start == previous_cycle(cycle, anchor).end
    assert 28 <= cycle.days <= 31


@given(anchors, days, st.integers(1, 400))
def test_cycles_between_are_consecutive_and_inside(anchor: int, start: date, span: int) -> None:
    """Only cycles that start in the span, in order, none left out."""
    end = start + timedelta(days=span)

    cycles = list(cycles_between(anchor, start, end))

    assert all(start <= c.start < end for c in cycles)
    assert all(a.end == b.start for a, b in pairwise(cycles))


@given(days, days, days)
def test_a_split_prorates_like_the_union(a: date, b: date, c: date) -> None:
    """Shares of adjoining parts add up to the share of the whole."""
    start, middle, end = sorted((a, b, c))
    if not start < middle < end:
        return
    whole, first, second = Period(start, end), Period(start, middle), Period(middle, end)

    assert Fraction(1) == first.share_of(whole) + second.share_of(whole)


@pytest.mark.parametrize(
    ("day", "months", "anchor", "expected"),
    [
        ("2026-01-31", 1, None, "2026-02-28"),
        ("2028-01-31", 1, None, "2028-02-29"),
        ("2026-02-28", 1, 31, "2026-03-31"),
        ("2026-03-31", -1, None, "2026-02-28"),
        ("2026-12-15", 1, None, "2027-01-15"),
        ("2026-01-15", -1, None, "2025-12-15"),
    ],
)
def test_months_are_added_by_calendar(
    day: str, months: int, anchor: int | None, expected: str
) -> None:
    """Clipped to the month, back on the anchor afterwards."""
    assert expected == str(add_months(date.fromisoformat(day), months, anchor))


def test_an_empty_period_does_not_exist() -> None:
    """A period holds at least one day."""
    with pytest.raises(Invalid, match="period_empty"):
        Period(date(2026, 5, 1), date(2026, 5, 1))


def test_provider_dates_are_inclusive() -> None:
    """Internal end = printed end + 1 day."""
    period = Period.inclusive(date(2026, 4, 1), date(2026, 4, 30))

    assert month_of(date(2026, 4, 15)) == period
    assert date(2026, 4, 30) == period.last_day


def test_an_evening_in_new_york_is_the_next_utc_day() -> None:
    """Provider days are UTC days."""
    new_york = timezone(timedelta(hours=-4))

    assert date(2026, 4, 15) == utc_day(datetime(2026, 4, 14, 23, 30, tzinfo=new_york))
    assert date(2026, 4, 14) == utc_day(datetime(2026, 4, 14, 23, 30, tzinfo=UTC))
