"""Which row of the rate table is in force, and which rows may be entered."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.errors import Conflict, Invalid
from tax.clients.table import CATEGORIES, parse, read_shipped
from tax.domain.rates import Origin, Rate, RateTable, versioned

SHIPPED = read_shipped()
TODAY_BY_ANOTHER_SOURCE = Path(__file__).with_name("eu_standard_vat_2026-09-29.csv")


def row(
    fraction: str,
    since: date,
    *,
    rate_id: str = "own",
    version: int = 1,
    origin: Origin = Origin.ENTERED,
) -> Rate:
    return Rate(rate_id, "DE", "licence", "VAT", Decimal(fraction), since, version, origin)


def shipped_table(*more: Rate) -> RateTable:
    return RateTable("test", (*SHIPPED.rows, *more), frozenset(CATEGORIES))


@pytest.mark.parametrize(
    ("place", "day", "percent"),
    [
        ("DE", "2020-06-30", "19"),
        ("DE", "2020-07-01", "16"),
        ("DE", "2020-12-31", "16"),
        ("DE", "2021-01-01", "19"),
        ("EE", "2025-06-30", "22"),
        ("EE", "2025-07-01", "24"),
        ("FI", "2024-08-31", "24"),
        ("FI", "2024-09-01", "25.5"),
        ("GR", "2016-05-31", "23"),
        ("GR", "2016-06-01", "24"),
        ("IE", "2021-02-28", "21"),
        ("IE", "2021-03-01", "23"),
        ("NL", "2026-05-15", "21"),
    ],
)
def test_a_shipped_rate_changes_on_its_day(place: str, day: str, percent: str) -> None:
    """The history of the standard rates, at both sides of each change."""
    for category in (*CATEGORIES, "minimum"):
        found = shipped_table().find(place, category, date.fromisoformat(day))

        assert Decimal(percent) == found.rate * 100


def test_the_latest_shipped_rates_agree_with_an_independent_source() -> None:
    """Two public data sets of different origin name the same standard rate for all 27 states."""
    with TODAY_BY_ANOTHER_SOURCE.open() as file:
        lines = [line for line in file if not line.startswith("#")]
    other = {r["jurisdiction"]: Decimal(r["percent"]) for r in csv.DictReader(lines)}

    ours = {
        place: shipped_table().find(place, "licence", date(2026, 9, 29)).rate * 100
        for place in {r.jurisdiction for r in SHIPPED.rows}
    }

    assert len(other) == 27
    assert other == ours


def test_the_version_names_the_shipped_files() -> None:
    """A determination can be traced to the exact data of a release."""
    assert SHIPPED.version == "eu-vat-0.1.0"
    assert {"eu-vat-de-licence"} == {
        r.rate_id for r in SHIPPED.rows if (r.jurisdiction, r.category) == ("DE", "licence")
    }


def test_a_rate_file_names_its_version() -> None:
    """The header comment carries it; comments are no rows."""
    text = "# Version: x-1\njurisdiction,name,country,valid_from,percent\nXX,VAT,X,2020-01-01,7.5\n"

    version, rows = parse("own", text)

    assert version == "x-1"
    assert [("own-xx-licence", Decimal("0.075"))] == [(r.rate_id, r.rate) for r in rows[:1]]
    assert len(CATEGORIES) == len(rows)


def test_an_entered_rate_outranks_a_shipped_one() -> None:
    """An operator's decision wins from its day on, however old its day is."""
    own = row("0.07", date(2010, 1, 1))

    assert own == shipped_table(own).find("DE", "licence", date(2026, 5, 1))
    assert shipped_table(own).find("DE", "usage", date(2026, 5, 1)).rate_id == "eu-vat-de-usage"


def test_an_entered_rate_leaves_earlier_days_alone() -> None:
    """A rate announced for next year does not touch this year."""
    own = row("0.20", date(2027, 1, 1))

    assert Decimal("0.19") == shipped_table(own).find("DE", "licence", date(2026, 12, 31)).rate
    assert Decimal("0.20") == shipped_table(own).find("DE", "licence", date(2027, 1, 1)).rate


def test_the_latest_version_of_a_row_decides() -> None:
    """A correction replaces what it corrects."""
    wrong, right = row("0.91", date(2026, 1, 1)), row("0.19", date(2026, 1, 1), version=2)
    rows = RateTable("test", (right, wrong), frozenset({"licence"}))

    assert right == rows.find("DE", "licence", date(2026, 5, 1))


@pytest.mark.parametrize("fraction", ["-0.01", "1.0001", "8.875", "NaN", "Infinity"])
def test_a_rate_is_a_fraction(fraction: str) -> None:
    """8.875 typed for 8.875 % would be a tax of 887.5 %."""
    with pytest.raises(Invalid) as refused:
        row(fraction, date(2026, 1, 1))

    assert refused.value.code == "rate_out_of_range"


def test_entering_the_same_row_twice_says_nothing_new() -> None:
    """Repeating a PUT makes no version; the answer is the row as it is kept."""
    known = [row("0.20", date(2026, 1, 1)), row("0.19", date(2026, 1, 1), version=2)]

    assert known[1] == versioned(known, row("0.190", date(2026, 1, 1)))


def test_entering_another_rate_for_the_same_day_is_a_new_version() -> None:
    """Nothing is overwritten, and going back to an older figure is a version, too."""
    known = [row("0.19", date(2026, 1, 1)), row("0.20", date(2026, 1, 1), version=2)]

    assert row("0.19", date(2026, 1, 1), version=3) == versioned(
        known, row("0.19", date(2026, 1, 1))
    )


def test_another_day_begins_its_own_versions() -> None:
    """A later day under the same id is a new row of the same series."""
    known = [row("0.19", date(2026, 1, 1), version=4)]
    entered = row("0.21", date(2027, 1, 1))

    assert entered == versioned(known, entered)


def test_a_rate_id_keeps_its_place() -> None:
    """An id that once meant German licences never means something else."""
    known = [row("0.19", date(2026, 1, 1))]

    with pytest.raises(Conflict) as refused:
        versioned(known, replace(known[0], category="usage"))

    assert refused.value.code == "rate_id_taken"


def test_two_ids_cannot_decide_the_same_day() -> None:
    """Which of them would apply could not be explained; different days are no question."""
    known = [row("0.19", date(2026, 1, 1))]
    later = row("0.20", date(2026, 7, 1), rate_id="other")

    with pytest.raises(Conflict) as refused:
        versioned(known, row("0.20", date(2026, 1, 1), rate_id="other"))

    assert refused.value.code == "rate_overlaps"
    assert later == versioned(known, later)


@given(
    st.dictionaries(st.integers(0, 3000), st.integers(0, 100), min_size=1, max_size=8),
    st.integers(0, 4000),
)
def test_the_row_in_force_is_the_last_that_began(starts: dict[int, int], day: int) -> None:
    """Whatever the rows: none that begins later applies, and none in between was skipped."""
    base = date(2016, 1, 1)
    rows = tuple(
        row(f"{Decimal(percent).scaleb(-2):f}", base + timedelta(days=start))
        for start, percent in starts.items()
    )
    applicable = [start for start in starts if start <= day]
    rates = RateTable("test", rows, frozenset({"licence"}))

    if applicable:
        found = rates.find("DE", "licence", base + timedelta(days=day))

        assert base + timedelta(days=max(applicable)) == found.valid_from
