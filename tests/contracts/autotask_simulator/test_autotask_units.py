"""How adjustments split unit rows, in both readings, and what posting bills for them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.periods import Period
from simulators.autotask.units import Change, Level, Mode, items_of, level_on, periods, unit_rows

OPENING = Level(0, Decimal("22.55"), Decimal("18.04"))
APRIL = Period(date(2026, 4, 1), date(2026, 5, 1))
MAY = Period(date(2026, 5, 1), date(2026, 6, 1))
START = Change(APRIL.start, 40)
Rows = list[tuple[str, str, int]]


def _rows(changes: list[Change], mode: Mode) -> Rows:
    rows = unit_rows([APRIL, MAY], OPENING, changes, mode)
    return [(f"{r.start:%m-%d}", f"{r.end:%m-%d}", r.units) for r in rows]


@pytest.mark.parametrize(
    ("changes", "total", "delta"),
    [
        pytest.param(
            [],
            [("04-01", "04-30", 40), ("05-01", "05-31", 40)],
            [("04-01", "04-30", 40), ("05-01", "05-31", 40)],
            id="nothing changed",
        ),
        pytest.param(
            [Change(date(2026, 4, 14), 5)],
            [("04-01", "04-14", 40), ("04-14", "04-30", 45), ("05-01", "05-31", 45)],
            [("04-01", "04-30", 40), ("04-14", "04-30", 5), ("05-01", "05-31", 45)],
            id="one change inside a period",
        ),
        pytest.param(
            [Change(date(2026, 4, 14), 5), Change(date(2026, 4, 18), -2)],
            [
                ("04-01", "04-14", 40),
                ("04-14", "04-18", 45),
                ("04-18", "04-30", 43),
                ("05-01", "05-31", 43),
            ],
            [
                ("04-01", "04-30", 40),
                ("04-14", "04-30", 5),
                ("04-18", "04-30", -2),
                ("05-01", "05-31", 43),
            ],
            id="two changes",
        ),
        pytest.param(
            [Change(date(2026, 5, 1), 5)],
            [("04-01", "04-30", 40), ("05-01", "05-31", 45)],
            [("04-01", "04-30", 40), ("05-01", "05-31", 45)],
            id="on the first day of a period",
        ),
        pytest.param(
            [Change(date(2026, 4, 14), 5), Change(date(2026, 4, 14), 1)],
            [("04-01", "04-14", 40), ("04-14", "04-30", 46), ("05-01", "05-31", 46)],
            [("04-01", "04-30", 40), ("04-14", "04-30", 6), ("05-01", "05-31", 46)],
            id="two on one day both count",
        ),
    ],
)
def test_rows_of_a_service(changes: list[Change], total: Rows, delta: Rows) -> None:
    """A row ends on the day the next one starts, or lies under it until the period ends."""
    given_changes = [START, *changes]

    assert _rows(given_changes, Mode.TOTAL) == total
    assert _rows(given_changes, Mode.DELTA) == delta


def test_service_without_adjustments_has_no_rows() -> None:
    """An association alone carries no quantity."""
    assert _rows([], Mode.TOTAL) == []


def test_items_are_whole_units_and_one_prorated_item_per_change() -> None:
    """The first scenario: 40 × 22.55, +5 for 17 of 30 days, −2 for 13 of 30 days."""
    changes = [START, Change(date(2026, 4, 14), 5), Change(date(2026, 4, 18), -2)]

    items = items_of(APRIL, OPENING, changes)

    assert [(i.quantity, str(i.amount), str(i.cost)) for i in items] == [
        (40, "902.00", "721.60"),
        (5, "63.8917", "51.1133"),
        (-2, "-19.5433", "-15.6347"),
    ]


def test_price_of_an_adjustment_holds_for_all_units_from_its_day() -> None:
    """A price sent with a quantity change re-prices the whole service."""
    changes = [START, Change(date(2026, 4, 16), -10, price=Decimal(0))]

    items = items_of(APRIL, OPENING, changes)

    assert [str(i.amount) for i in items] == ["902.00", "-451.0000"]


def test_periods_count_from_the_first_day_and_end_with_the_contract() -> None:
    """A contract from the 31st keeps its anchor; the last period is cut."""
    found = list(periods(date(2026, 1, 31), date(2026, 4, 10), 1))

    assert [(p.start, p.last_day) for p in found] == [
        (date(2026, 1, 31), date(2026, 2, 27)),
        (date(2026, 2, 28), date(2026, 3, 30)),
        (date(2026, 3, 31), date(2026, 4, 10)),
    ]


CHANGES = st.lists(
    st.builds(
        Change,
        st.dates(APRIL.start, MAY.last_day),
        st.integers(-5, 20),
    ),
    max_size=6,
)


@given(CHANGES, st.dates(APRIL.start, MAY.last_day))
def test_both_readings_give_the_units_of_a_day(changes: list[Change], day: date) -> None:
    """Total: the row that starts last on or before the day. Delta: the sum of rows over it."""
    all_changes = [START, *changes]
    expected = level_on(day, OPENING, all_changes).units
    total = unit_rows([APRIL, MAY], OPENING, all_changes, Mode.TOTAL)
    delta = unit_rows([APRIL, MAY], OPENING, all_changes, Mode.DELTA)

    assert [r.units for r in total if r.start <= day <= r.end][-1] == expected
    assert sum(r.units for r in delta if r.start <= day <= r.end) == expected


@given(CHANGES)
def test_posted_items_sum_to_the_level_at_the_end(changes: list[Change]) -> None:
    """Quantities of one period's items add up to the units in force on its last day."""
    all_changes = [START, *changes]

    items = items_of(APRIL, OPENING, all_changes)

    assert sum(i.quantity for i in items) == level_on(APRIL.last_day, OPENING, all_changes).units
