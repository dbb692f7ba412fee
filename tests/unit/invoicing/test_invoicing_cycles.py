"""Invoice dates follow from terms: whole cycles, tiled time, nothing outside the contract."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.domain.cycles import (
    CATCH_UP_MAX,
    Due,
    due_dates,
    due_on,
    missed_and_due,
    next_invoice_date,
)
from invoicing.domain.terms import Terms, next_version, require_valid, terms_of
from shared.contracts.invoicing import Timing
from shared.kernel.errors import Conflict, Invalid
from shared.kernel.periods import Period, monthly_cycle
from support.billing_facts import contract, day


def terms(**changes: Any) -> Terms:
    return terms_of(contract(**changes))


def span(start: str, end: str) -> Period:
    return Period(day(start), day(end))


def test_advance_bills_the_cycle_that_starts_and_closes_the_one_before() -> None:
    """Scenario 1: the invoice of 1 May holds May's seats and April's changes."""
    due = due_on(terms(), day("2026-05-01"))

    expected = Due(
        day("2026-05-01"), span("2026-05-01", "2026-06-01"), span("2026-04-01", "2026-05-01")
    )
    assert expected == due


def test_arrears_bills_the_cycle_that_ended_before_the_offset() -> None:
    """Scenario 2: April's usage is invoiced on 15 May, 14 days after the boundary."""
    birch = terms(timing=Timing.ARREARS, invoice_offset_days=14, billed_through=day("2026-04-01"))

    due = due_on(birch, day("2026-05-15"))

    april = span("2026-04-01", "2026-05-01")
    assert Due(day("2026-05-15"), april, april) == due


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"starts_on": day("2026-04-01"), "billed_through": day("2026-04-01")}, "2026-04-01"),
        ({"starts_on": day("2026-04-01"), "billed_through": day("2026-05-01")}, "2026-05-01"),
        ({"starts_on": day("2026-04-14"), "billed_through": day("2026-04-14")}, "2026-05-01"),
        ({"anchor_day": 12, "billed_through": day("2026-06-12")}, "2026-06-12"),
        ({"anchor_day": 31, "billed_through": day("2026-02-28")}, "2026-04-30"),
        (
            {
                "anchor_day": 31,
                "starts_on": day("2026-02-01"),
                "billed_through": day("2026-02-28"),
            },
            "2026-02-28",
        ),
        ({"timing": Timing.ARREARS, "billed_through": day("2026-04-01")}, "2026-05-01"),
        ({"timing": Timing.ARREARS, "billed_through": day("2026-04-14")}, "2026-05-01"),
        ({"timing": Timing.ARREARS, "billed_through": day("2026-05-01")}, "2026-06-01"),
        (
            {
                "timing": Timing.ARREARS,
                "billed_through": day("2026-04-01"),
                "invoice_offset_days": 14,
            },
            "2026-05-15",
        ),
    ],
)
def test_the_first_invoice_follows_from_billed_through(changes: dict[str, Any], first: str) -> None:
    """Recurring service before billed_through was billed elsewhere; a begun cycle is settled."""
    dates = [due.invoice_date for due in due_dates(terms(**changes), through=day("2026-07-31"))]

    assert day(first) == dates[0]


@pytest.mark.parametrize(
    ("timing", "ends_on", "last"),
    [
        (Timing.ADVANCE, "2026-07-01", "2026-07-01"),  # settles June's changes
        (Timing.ADVANCE, "2026-07-02", "2026-08-01"),
        (Timing.ARREARS, "2026-07-01", "2026-07-01"),
        (Timing.ARREARS, "2026-07-02", "2026-08-01"),
    ],
)
def test_the_last_invoice_settles_the_last_cycle_with_a_day_of_the_contract(
    timing: Timing, ends_on: str, last: str
) -> None:
    """After the end of the cycle in which a contract ends, nothing is due any more."""
    ending = terms(timing=timing, ends_on=day(ends_on))

    dates = [due.invoice_date for due in due_dates(ending, through=day("2027-12-31"))]

    assert day(last) == dates[-1]


def test_full_period_denominator() -> None:
    """A contract that starts and ends inside a cycle closes the whole cycle, never a clipped one:
    the denominators of start, change and end are the same."""
    short = terms(
        timing=Timing.ARREARS,
        starts_on=day("2026-04-10"),
        billed_through=day("2026-04-10"),
        ends_on=day("2026-04-20"),
    )

    dues = list(due_dates(short, through=day("2026-12-31")))

    assert [span("2026-04-01", "2026-05-01")] == [due.closed for due in dues]


def test_a_day_that_is_no_boundary_plus_offset_is_no_invoice_date() -> None:
    """Dates between boundaries are refused by name."""
    with pytest.raises(Invalid, match="not_an_invoice_date"):
        missed_and_due(terms(), invoice_date=day("2026-05-02"), last_run=None)


def test_missed_dates_are_billed_each_on_its_own() -> None:
    """A scheduler that was down for a quarter loses nothing: every date gets its run."""
    dues = missed_and_due(terms(), invoice_date=day("2026-08-01"), last_run=day("2026-05-01"))

    expected = ["2026-06-01", "2026-07-01", "2026-08-01"]
    assert expected == [due.invoice_date.isoformat() for due in dues]


def test_a_date_that_has_a_run_asks_for_nothing_new() -> None:
    """Requesting a date twice, or an older one, adds no run."""
    assert missed_and_due(terms(), invoice_date=day("2026-05-01"), last_run=day("2026-06-01")) == []


def test_years_of_missed_dates_are_refused() -> None:
    """They mean a wrong billed_through, and would send out years of invoices."""
    old = terms(starts_on=day("2020-01-01"), billed_through=day("2020-01-01"))

    with pytest.raises(Invalid, match="too_many_missed_dates"):
        missed_and_due(old, invoice_date=day("2026-05-01"), last_run=None)


def test_the_next_invoice_date_is_found_before_and_after_the_first() -> None:
    """From before the contract, from inside it, and after its end."""
    ending = terms(ends_on=day("2026-07-01"))

    found = [
        next_invoice_date(ending, after=day(text))
        for text in ("2026-01-01", "2026-05-01", "2026-05-31", "2026-07-01")
    ]

    assert [day("2026-05-01"), day("2026-06-01"), day("2026-06-01"), None] == found


anchors = st.integers(1, 31)
timings = st.sampled_from(list(Timing))
offsets = st.integers(0, 45)
days = st.dates(min_value=date(2023, 1, 1), max_value=date(2029, 12, 31))


@given(anchor=anchors, timing=timings, offset=offsets, first=days)
def test_consecutive_invoice_dates_tile_time(
    anchor: int, timing: Timing, offset: int, first: date
) -> None:
    """Over leap and common years no day is closed or billed twice or never, whatever the anchor."""
    steady = Terms(timing, anchor, offset, first, first)

    dues = list(due_dates(steady, through=first + timedelta(days=800)))

    assert len(dues) >= 24
    for one, two in pairwise(dues):
        assert one.closed.end == two.closed.start
        assert one.recurring.end == two.recurring.start
        assert one.invoice_date < two.invoice_date
    for due in dues:
        assert monthly_cycle(anchor, due.closed.start) == due.closed
        assert due.invoice_date == due.closed.end + timedelta(days=offset)
    # The first day's own service is billed, or (advance, mid-cycle) prorated in the closed cycle.
    assert dues[0].closed.start <= first <= dues[0].recurring.end
    if timing is Timing.ADVANCE:
        assert first <= dues[0].recurring.start < first + timedelta(days=31)
    else:
        assert first in dues[0].recurring


@given(
    anchor=anchors,
    timing=timings,
    offset=offsets,
    first=days,
    length=st.integers(1, 500),
    asked=days,
)
def test_nothing_is_due_outside_the_contract(
    anchor: int, timing: Timing, offset: int, first: date, length: int, asked: date
) -> None:
    """A closed cycle always shares a day with the contract or ends where it begins."""
    ends_on = first + timedelta(days=length)
    due = due_on(Terms(timing, anchor, offset, first, first, ends_on), asked)

    if due is not None:
        assert due.closed.start < ends_on
        assert due.recurring.end > first


@given(anchor=anchors, timing=timings, offset=offsets, first=days, asked=days)
def test_due_on_and_due_dates_agree(
    anchor: int, timing: Timing, offset: int, first: date, asked: date
) -> None:
    """Asking for one day and listing all days are the same rule."""
    steady = Terms(timing, anchor, offset, first, first)

    listed = {due.invoice_date: due for due in due_dates(steady, through=asked)}

    assert listed.get(asked) == due_on(steady, asked)


def test_month_end_anchor_returns() -> None:
    """Anchor 31 bills on the last day of short months and comes back to the 31st."""
    dues = due_dates(
        terms(anchor_day=31, starts_on=day("2024-01-31"), billed_through=day("2024-01-31")),
        through=day("2024-06-30"),
    )

    expected = ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31", "2024-06-30"]
    assert expected == [due.invoice_date.isoformat() for due in dues]


def test_catch_up_reaches_back_two_years() -> None:
    """The bound is generous: it stops mistakes, not outages."""
    assert CATCH_UP_MAX == 24


def test_a_new_contract_is_version_one_and_the_same_terms_make_no_new_version() -> None:
    """Repeating a PUT is no news."""
    wanted = contract(version=0)

    first = next_version(None, wanted, has_runs=False)

    assert first is not None
    assert first.version == 1
    assert next_version(first, wanted, has_runs=True) is None


def test_a_changed_end_is_a_new_version_even_after_invoices() -> None:
    """Ending a contract is always possible."""
    changed = next_version(contract(), contract(ends_on=day("2026-12-01")), has_runs=True)

    assert changed is not None
    assert changed.version == 2


@pytest.mark.parametrize(
    "change",
    [
        {"anchor_day": 2},
        {"timing": Timing.ARREARS},
        {"currency": "EUR"},
        {"invoice_offset_days": 3},
        {"account_id": "other"},
        {"starts_on": day("2026-03-01")},
        {"billed_through": day("2026-04-01")},
        {"convention": "days/v1;rounding=half_even"},
    ],
)
def test_terms_that_invoices_rest_on_are_fixed_by_the_first_run(change: dict[str, Any]) -> None:
    """Before the first run they may change; after it they are history."""
    wanted = contract(**change)

    assert next_version(contract(), wanted, has_runs=False) is not None
    with pytest.raises(Conflict, match="terms_fixed"):
        next_version(contract(), wanted, has_runs=True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"anchor_day": 0}, "anchor_day_invalid"),
        ({"anchor_day": 32}, "anchor_day_invalid"),
        ({"invoice_offset_days": -1}, "invoice_offset_invalid"),
        ({"invoice_offset_days": 61}, "invoice_offset_invalid"),
        ({"ends_on": day("2026-04-01")}, "contract_ends_before_start"),
        ({"convention": "days/v9"}, "convention_unknown"),
        ({"convention": "days-of-30/v1", "anchor_day": 29}, "convention_needs_anchor"),
    ],
)
def test_terms_without_invoice_dates_are_refused(change: dict[str, Any], code: str) -> None:
    """Each with a code of its own."""
    with pytest.raises(Invalid, match=code):
        require_valid(contract(**change))
