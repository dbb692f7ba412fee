"""The provider's licence price sheet: a CSV of many thousand rows, as the rows rating reads.

**What UnitPrice means.** The sheet prints one price per product, term and billing plan. Published
samples suggest that a P1Y row carries the price of the whole term, invoices carry the price of a
charge cycle, and nobody could verify a live sheet. So the choice is a setting: `cycle` (default:
the figure is per unit and charge cycle and is taken as it stands, as in our stories and in the
sheets of the simulated provider) or `term` (it is divided by `cycles_in_term`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from ingest.domain.documents import exact, instant_of, plain_name
from shared.contracts.ingest import LicenceProduct, PriceRow, PriceSheetPublished
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id
from shared.kernel.money import to_decimal

ROWS_PER_EVENT = 500
FAR_FUTURE_YEAR = 9_000  # the sheet prints 9999-12-31 where there is no end
_TERM_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36, "P5Y": 60}
_CYCLE_MONTHS = {"monthly": 1, "annual": 12, "triennial": 36}
_REQUIRED = ("productid", "skuid", "unitprice", "effectivestartdate")


class Basis(StrEnum):
    """What one UnitPrice of the sheet pays for."""

    CYCLE = "cycle"
    TERM = "term"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    line_number: int  # in the file, the header is 1
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was read of a file for one currency."""

    rows: tuple[PriceRow, ...]
    refused: tuple[RefusedRow, ...]
    other_currencies: int
    higher_tiers: int  # rows of quantity tiers above the first, which licences do not have


def cycles_in_term(term: str, billing_plan: str) -> int:
    """Charge cycles in a term: the divisor from a price per term to a price per cycle.

    P1Y billed monthly has 12, P1Y billed annually 1, P3Y billed annually 3.

    Raises:
        Invalid: `price_term_unknown` for terms or plans without a length, or when the plan is
            longer than the term.
    """
    months, cycle = _TERM_MONTHS.get(term), _CYCLE_MONTHS.get(billing_plan)
    if months is None or cycle is None or months % cycle:
        raise Invalid("price_term_unknown", f"{term} billed {billing_plan} has no cycles")
    return months // cycle


def read_price_sheet(lines: Iterable[str], *, currency: str, basis: Basis) -> Sheet:
    """The rows of one currency; rows that cannot be used are reported with their line.

    Raises:
        Invalid: `price_sheet_columns` when a column that carries the meaning is missing.
    """
    reader = csv.reader(lines)
    header = [plain_name(name.lstrip("\ufeff")) for name in next(reader, [])]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise Invalid("price_sheet_columns", f"the sheet has no column {', '.join(missing)}")
    rows: list[PriceRow] = []
    refused: list[RefusedRow] = []
    others = tiers = 0
    for values in reader:
        row = dict(zip(header, (v.strip() for v in values), strict=False))
        if row.get("currency", currency).upper() != currency:
            others += 1
        elif _is_higher_tier(row):
            tiers += 1
        else:
            try:
                rows.append(_price_row(row, basis))
            except (Invalid, ValueError) as error:
                code = error.code if isinstance(error, Invalid) else "price_row_malformed"
                refused.append(RefusedRow(reader.line_num, code, str(error)))
    return Sheet(tuple(rows), tuple(refused), others, tiers)


def sheet_events(
    rows: Sequence[PriceRow], *, sheet: PriceSheetPublished
) -> Iterator[PriceSheetPublished]:
    """The sheet in parts of at most 500 rows; `sheet` carries what all parts share."""
    parts = max(1, -(-len(rows) // ROWS_PER_EVENT))
    for part in range(parts):
        chunk = tuple(rows[part * ROWS_PER_EVENT : (part + 1) * ROWS_PER_EVENT])
        yield sheet.model_copy(update={"part": part + 1, "parts": parts, "rows": chunk})


def sheet_id_of(market: str, currency: str, view: str, basis: Basis, sha256: str) -> str:
    """The same for the same file read in the same way."""
    return derived_id("price-sheet", market, currency, view, basis.value, sha256)


def sheet_id_again(first: str, times: int) -> str:
    """Of a file that came back after another one: it replaces that one, under an id of its own."""
    return first if times == 1 else derived_id("price-sheet", first, times)


def _price_row(row: dict[str, str], basis: Basis) -> PriceRow:
    term = row.get("termduration", "").upper()
    plan = row.get("billingplan", "").casefold().replace("_", "").replace("-", "")
    plan = {"onetime": "one_time", "yearly": "annual", "annually": "annual"}.get(plan, plan)
    divisor = cycles_in_term(term, plan) if basis is Basis.TERM else 1
    if basis is Basis.CYCLE:
        cycles_in_term(term, plan)  # the same rows are refused under both readings
    return PriceRow(
        product=LicenceProduct(
            product_id=row["productid"],
            sku_id=row["skuid"],
            term=term,
            billing_plan=plan,
            segment=row.get("segment", "").casefold() or "commercial",
        ),
        product_name=row.get("skutitle") or row.get("producttitle") or row["productid"],
        unit_price=_per_cycle(row["unitprice"], divisor),
        erp_price=_per_cycle(_suggested(row), divisor),
        effective_from=instant_of(row["effectivestartdate"]).date(),
        effective_until=_until(row.get("effectiveenddate", "")),
    )


def _per_cycle(text: str, divisor: int) -> Decimal:
    price = exact(text)
    if price < 0:
        raise Invalid("price_negative", f"a price of {price}")
    return price if divisor == 1 else to_decimal(Fraction(price) / divisor)


def _suggested(row: dict[str, str]) -> str:
    """`ERP Price`. A row without one would silently be sold at cost, so it is refused."""
    text = row.get("erpprice", "")
    if not text:
        raise Invalid("price_without_erp", "the row has no ERP Price")
    return text


def _until(text: str) -> date | None:
    """The exclusive end. `12/31/2026 11:59:59 PM` and `1/1/2027 12:00:00 AM` are the same end."""
    if not text:
        return None
    end = instant_of(text)
    if end.year >= FAR_FUTURE_YEAR:
        return None
    is_midnight = (end.hour, end.minute, end.second) == (0, 0, 0)
    return end.date() if is_midnight else end.date() + timedelta(days=1)


def _is_higher_tier(row: dict[str, str]) -> bool:
    text = row.get("pricingtierrangemin", "")
    try:
        return bool(text) and exact(text) > 1
    except Invalid:
        return False
