"""The licence price sheet: US dates, odd column names, and what one price pays for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ingest.domain.price_sheets import (
    Basis,
    cycles_in_term,
    read_price_sheet,
    sheet_events,
    sheet_id_of,
)
from shared.contracts.ingest import PriceRow, PriceSheetPublished
from shared.kernel.errors import Invalid

COLUMNS = (
    "ProductTitle", "ProductId", "SkuId", "SkuTitle", "TermDuration", "BillingPlan", "Market",
    "Currency", "UnitPrice", "PricingTierRangeMin", "PricingTierRangeMax", "EffectiveStartDate",
    "EffectiveEndDate", "ERP Price", "Segment",
)  # fmt: skip
ROW = {
    "ProductTitle": "Microsoft 365 Business Premium", "ProductId": "CFQ7TTC0LCHC",
    "SkuId": "0002", "SkuTitle": "Microsoft 365 Business Premium", "TermDuration": "P1Y",
    "BillingPlan": "Monthly", "Market": "US", "Currency": "USD", "UnitPrice": "18.04",
    "EffectiveStartDate": "4/1/2026 12:00:00 AM", "EffectiveEndDate": "12/31/9999 11:59:59 PM",
    "ERP Price": "22.00", "Segment": "Commercial",
}  # fmt: skip


def sheet(*rows: Mapping[str, str], columns: tuple[str, ...] = COLUMNS) -> list[str]:
    lines = [",".join(f'"{c}"' for c in columns)]
    lines += [",".join(f'"{row.get(c, "")}"' for c in columns) for row in rows]
    lines[0] = "\ufeff" + lines[0]
    return lines


def one(row: Mapping[str, str], basis: Basis = Basis.CYCLE) -> PriceRow:
    [found] = read_price_sheet(sheet(row), currency="USD", basis=basis).rows
    return found


def test_a_row_reads_with_its_zeros_and_its_end() -> None:
    """SKU `0002` stays text, the year 9999 is no end, ERP has a blank in its name."""
    row = one(ROW)

    assert row.product.key == "CFQ7TTC0LCHC:0002:P1Y:monthly"
    assert (row.unit_price, row.erp_price) == (Decimal("18.04"), Decimal("22.00"))
    assert (row.effective_from, row.effective_until) == (date(2026, 4, 1), None)
    assert row.product.segment == "commercial"


@pytest.mark.parametrize(
    ("end", "until"),
    [
        ("12/31/2026 11:59:59 PM", date(2027, 1, 1)),
        ("1/1/2027 12:00:00 AM", date(2027, 1, 1)),
        ("2026-12-31T23:59:59Z", date(2027, 1, 1)),
        ("", None),
    ],
)
def test_an_end_is_exclusive_however_it_is_printed(end: str, until: date | None) -> None:
    """The last second of a day and the midnight after it are one end."""
    assert one({**ROW, "EffectiveEndDate": end}).effective_until == until


@pytest.mark.parametrize(
    ("term", "plan", "cycles"),
    [
        ("P1M", "monthly", 1), ("P1Y", "monthly", 12), ("P1Y", "annual", 1),
        ("P3Y", "monthly", 36), ("P3Y", "annual", 3), ("P3Y", "triennial", 1),
    ],
)  # fmt: skip
def test_cycles_of_every_commitment(term: str, plan: str, cycles: int) -> None:
    """The divisor from a price per term to a price per cycle."""
    assert cycles_in_term(term, plan) == cycles


@pytest.mark.parametrize(
    ("term", "plan"), [("P1M", "annual"), ("NoTerm", "onetime"), ("", ""), ("P1Y", "triennial")]
)
def test_what_has_no_cycles_has_no_divisor(term: str, plan: str) -> None:
    """Perpetual software is not priced per cycle."""
    with pytest.raises(Invalid, match="price_term_unknown"):
        cycles_in_term(term, plan)


def test_the_basis_decides_what_a_price_pays_for() -> None:
    """Per cycle as printed; per term divided by twelve, exactly or to eighteen digits."""
    yearly = {**ROW, "UnitPrice": "216.48", "ERP Price": "100"}

    assert one(yearly).unit_price == Decimal("216.48")
    assert one(yearly, Basis.TERM).unit_price == Decimal("18.04")
    assert one(yearly, Basis.TERM).erp_price == Decimal("8.333333333333333333")
    assert one({**yearly, "BillingPlan": "Annual"}, Basis.TERM).unit_price == Decimal("216.48")


def test_other_currencies_and_higher_tiers_are_counted_not_mixed() -> None:
    """A market of the European Union lists several currencies."""
    rows = (ROW, {**ROW, "Currency": "EUR"}, {**ROW, "PricingTierRangeMin": "101"},
            {**ROW, "PricingTierRangeMin": "1"})  # fmt: skip

    found = read_price_sheet(sheet(*rows), currency="USD", basis=Basis.CYCLE)

    assert (len(found.rows), found.other_currencies, found.higher_tiers) == (2, 1, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"UnitPrice": "12,5"}, "number_malformed"),
        ({"UnitPrice": "-1"}, "price_negative"),
        ({"ERP Price": ""}, "price_without_erp"),
        ({"TermDuration": "NoTerm", "BillingPlan": "OneTime"}, "price_term_unknown"),
        ({"EffectiveStartDate": "soon"}, "time_malformed"),
        ({"ProductId": ""}, "price_row_malformed"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_others_stay(
    changes: dict[str, str], code: str
) -> None:
    """One bad row does not cost the sheet."""
    found = read_price_sheet(sheet(ROW, {**ROW, **changes}), currency="USD", basis=Basis.CYCLE)

    assert len(found.rows) == 1
    assert [(r.line_number, r.code) for r in found.refused] == [(3, code)]


def test_a_sheet_without_prices_is_no_sheet() -> None:
    """A changed format is refused as a whole."""
    with pytest.raises(Invalid, match="price_sheet_columns"):
        read_price_sheet(sheet(ROW, columns=COLUMNS[:5]), currency="USD", basis=Basis.CYCLE)


def test_casing_of_columns_and_values_does_not_matter() -> None:
    """`erp_price`, `MONTHLY`, `p1y`."""
    lines = sheet({**ROW, "BillingPlan": "MONTHLY", "TermDuration": "p1y", "Currency": "usd"})
    lines[0] = lines[0].lower().replace("erp price", "ERP_Price")

    [row] = read_price_sheet(lines, currency="USD", basis=Basis.CYCLE).rows

    assert row.product.key == "CFQ7TTC0LCHC:0002:P1Y:monthly"


@pytest.mark.parametrize(
    ("count", "parts"), [(0, [0]), (1, [1]), (500, [500]), (1201, [500, 500, 201])]
)
def test_a_sheet_is_published_in_parts(count: int, parts: list[int]) -> None:
    """At most 500 rows an event; an empty sheet is one event, so that it is seen."""
    head = PriceSheetPublished(
        sheet_id="s", market="US", currency="USD", part=1, parts=1,
        fetched_at=datetime(2026, 4, 1, tzinfo=UTC), rows=(),
    )  # fmt: skip

    events = list(sheet_events([one(ROW)] * count, sheet=head))

    assert [len(e.rows) for e in events] == parts
    assert [(e.part, e.parts) for e in events] == [(n + 1, len(parts)) for n in range(len(parts))]


def test_a_sheet_is_known_by_its_content_and_reading() -> None:
    """The same file read on another basis is another sheet."""
    ids = {sheet_id_of("US", "USD", "v", basis, digest) for basis in Basis for digest in ("a", "b")}

    assert len(ids) == 4
