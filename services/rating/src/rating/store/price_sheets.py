"""Price sheets of the provider: every row that was ever read, and which sheets still count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from rating.domain.pricing import SheetRow
from shared.contracts.ingest import LICENCE_VIEW, PriceSheetPublished
from shared.kernel.periods import month_of, utc_day
from shared.runtime.postgres import Reader, Record, Transaction

PUT_SHEET = """
INSERT INTO price_sheet (sheet_id, market, currency, view, month, fetched_at, parts, parts_here,
                         rows)
VALUES ($1, $2, $3, $4, $5, $6, $7, ARRAY[$8::integer], $9)
ON CONFLICT (sheet_id) DO UPDATE SET
    parts_here = price_sheet.parts_here || excluded.parts_here,
    rows = price_sheet.rows + excluded.rows
WHERE NOT price_sheet.parts_here @> excluded.parts_here
"""
IS_COMPLETE = "SELECT cardinality(parts_here) = parts FROM price_sheet WHERE sheet_id = $1"
# Whichever of two sheets of a month becomes complete last: the one fetched later counts.
REPLACE = """
UPDATE price_sheet older SET replaced_by = newer.sheet_id
FROM (
    SELECT DISTINCT ON (market, currency, view, month) *
    FROM price_sheet
    WHERE (market, currency, view, month) = ($1, $2, $3, $4) AND cardinality(parts_here) = parts
    ORDER BY market, currency, view, month, fetched_at DESC, sheet_id DESC
) newer
WHERE (older.market, older.currency, older.view, older.month)
    = (newer.market, newer.currency, newer.view, newer.month)
  AND older.sheet_id <> newer.sheet_id AND older.fetched_at < newer.fetched_at
  AND older.replaced_by IS DISTINCT FROM newer.sheet_id
RETURNING older.sheet_id
"""
PRODUCTS_OF = "SELECT DISTINCT product_key FROM price_row WHERE sheet_id = ANY($1::text[])"
ADD_ROW = """
INSERT INTO price_row (sheet_id, product_key, segment, effective_from, effective_until, market,
                       currency, product_name, unit_price, erp_price, fetched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (sheet_id, product_key, segment, effective_from) DO NOTHING
"""
ROWS = """
SELECT r.* FROM price_row r JOIN price_sheet s USING (sheet_id)
WHERE r.product_key = ANY($1::text[]) AND s.view = $2 AND s.replaced_by IS NULL
"""
LIST_SHEETS = """
SELECT sheet_id, market, currency, view, month, fetched_at, parts, cardinality(parts_here) AS here,
       rows, replaced_by
FROM price_sheet
WHERE ($1::text IS NULL OR market = $1) AND ($2::text IS NULL OR currency = $2)
  AND ($3::text IS NULL OR view = $3) AND (fetched_at, sheet_id) > ($4, $5)
ORDER BY fetched_at, sheet_id LIMIT $6
"""
LIST_ROWS = """
SELECT * FROM price_row
WHERE sheet_id = $1 AND (product_key || '/' || segment || '/' || effective_from) > $2
ORDER BY product_key || '/' || segment || '/' || effective_from LIMIT $3
"""
HISTORY = """
SELECT r.*, s.view, s.replaced_by FROM price_row r JOIN price_sheet s USING (sheet_id)
WHERE (r.product_key = $1 OR starts_with(r.product_key, $1 || ':'))
  AND ($2::text IS NULL OR r.market = $2) AND ($3::text IS NULL OR r.currency = $3)
  AND ($4::text IS NULL OR r.segment = $4)
ORDER BY r.product_key, r.segment, r.market, r.currency, r.effective_from, r.fetched_at, r.sheet_id
"""


async def add_sheet(tx: Transaction, event: PriceSheetPublished) -> set[str]:
    """Keep the rows of one part of a sheet; rows that are known stay as they are. Answers every
    product whose price may be another now, those of replaced sheets included."""
    month = month_of(utc_day(event.fetched_at)).start
    place = (event.market, event.currency, event.view, month)
    await tx.execute(
        PUT_SHEET, event.sheet_id, *place, event.fetched_at, event.parts, event.part,
        len(event.rows),
    )  # fmt: skip
    await tx.executemany(
        ADD_ROW,
        [
            (
                event.sheet_id, row.product.key, row.product.segment, row.effective_from,
                row.effective_until, event.market, event.currency, row.product_name,
                row.unit_price, row.erp_price, event.fetched_at,
            )
            for row in event.rows
        ],
    )  # fmt: skip
    products = {row.product.key for row in event.rows}
    if await tx.fetchval(IS_COMPLETE, event.sheet_id):
        replaced = [row["sheet_id"] for row in await tx.fetch(REPLACE, *place)]
        products |= {row["product_key"] for row in await tx.fetch(PRODUCTS_OF, replaced)}
    return products


async def sheet_rows(
    reader: Reader, product_keys: Iterable[str], view: str = LICENCE_VIEW
) -> list[SheetRow]:
    """The rows of sheets that count, for some products."""
    return [sheet_row(row) for row in await reader.fetch(ROWS, sorted(set(product_keys)), view)]


async def list_sheets(
    reader: Reader,
    *,
    market: str | None,
    currency: str | None,
    view: str | None,
    after: tuple[datetime, str],
    limit: int,
) -> list[Record]:
    return await reader.fetch(LIST_SHEETS, market, currency, view, *after, limit)


async def list_rows(reader: Reader, sheet_id: str, *, after: str, limit: int) -> list[Record]:
    return await reader.fetch(LIST_ROWS, sheet_id, after, limit)


async def history(
    reader: Reader,
    product_key: str,
    *,
    market: str | None = None,
    currency: str | None = None,
    segment: str | None = None,
) -> list[Record]:
    """Every price a product ever had; a product with its SKU alone has those of all its terms."""
    return await reader.fetch(HISTORY, product_key, market, currency, segment)


def row_position(row: Record) -> str:
    """Where a row stands in a list of its sheet."""
    day: date = row["effective_from"]
    return f"{row['product_key']}/{row['segment']}/{day.isoformat()}"


def sheet_row(row: Record) -> SheetRow:
    names = SheetRow.__dataclass_fields__
    return SheetRow(**{name: row[name] for name in names})
