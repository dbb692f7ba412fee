"""Routes that show the provider's price sheets and the history of a product's price."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from rating.api.paging import Filter, Named, OptionalFilter, after_instant
from rating.domain.pricing import row_on
from rating.store import price_sheets
from shared.kernel.errors import Invalid
from shared.runtime.postgres import Database, Record
from shared.runtime.web import CursorParam, Limit, Reads, decode_cursor, encode_cursor, page

Day = Annotated[date | None, Query(alias="on", description="only the price in force on this day")]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.get("/price-sheets", operation_id="price-sheets.list")
    async def list_sheets(
        caller: Reads,
        market: OptionalFilter = None,
        currency: OptionalFilter = None,
        view: OptionalFilter = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Every sheet that was read, oldest first; `replaced_by` names the newer one of its month
        that counts instead."""
        after = after_instant(cursor)
        async with database.read() as reader:
            found = await price_sheets.list_sheets(
                reader, market=market, currency=currency, view=view, after=after, limit=limit
            )
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last["fetched_at"], last["sheet_id"]) if last else None
        return page([_sheet(row) for row in found], next_cursor=more)

    @routes.get("/price-sheets/{sheet_id}/rows", operation_id="price-sheets.rows")
    async def list_rows(
        sheet_id: Named, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """The rows of one sheet by product."""
        after = _position(cursor)
        async with database.read() as reader:
            found = await price_sheets.list_rows(reader, sheet_id, after=after, limit=limit)
        more = encode_cursor(price_sheets.row_position(found[-1])) if len(found) == limit else None
        return page([_row(row) for row in found], next_cursor=more)

    @routes.get("/product-prices", operation_id="product-prices.list")
    async def product_prices(
        caller: Reads,
        product_key: Filter,
        market: OptionalFilter = None,
        currency: OptionalFilter = None,
        segment: OptionalFilter = None,
        on: Day = None,
    ) -> dict[str, Any]:
        """Every price a product ever had, in every market, currency, segment and view. A product
        with its SKU (`CFQ7TTC0LDPB:0001`) has those of all its terms and plans, each on its own.
        With `on`, the one row of each that is in force on that day."""
        async with database.read() as reader:
            found = await price_sheets.history(
                reader, product_key, market=market, currency=currency, segment=segment
            )
        shown = found if on is None else _in_force(found, on)
        return page([_row(row) | _place(row) for row in shown])

    return routes


def _in_force(found: list[Record], on: date) -> list[Record]:
    """The row that prices a day, of each product, segment, market, currency and view."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for row in found:
        if row["replaced_by"] is None:
            names = ("product_key", "segment", "market", "currency", "view")
            groups.setdefault(tuple(row[name] for name in names), []).append(row)
    chosen = []
    for rows in groups.values():
        priced = {price_sheets.sheet_row(row): row for row in rows}
        best = row_on(priced, on)
        if best is not None:
            chosen.append(priced[best])
    return chosen


def _position(cursor: str | None) -> str:
    parts = decode_cursor(cursor, parts=1)
    if parts is None:
        return ""
    if not isinstance(parts[0], str) or "\x00" in parts[0]:
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return parts[0]


def _sheet(row: Record) -> dict[str, Any]:
    return {
        "sheet_id": row["sheet_id"],
        "market": row["market"],
        "currency": row["currency"],
        "view": row["view"],
        "month": f"{row['month']:%Y-%m}",
        "fetched_at": row["fetched_at"].isoformat(),
        "rows": row["rows"],
        "complete": row["here"] == row["parts"],
        "replaced_by": row["replaced_by"],
    }


def _row(row: Record) -> dict[str, Any]:
    until = row["effective_until"]
    return {
        "product_key": row["product_key"],
        "product_name": row["product_name"],
        "segment": row["segment"],
        "market": row["market"],
        "currency": row["currency"],
        "unit_price": f"{row['unit_price']:f}",
        "erp_price": f"{row['erp_price']:f}",
        "effective_from": row["effective_from"].isoformat(),
        "effective_until": until.isoformat() if until else None,
        "sheet_id": row["sheet_id"],
        "fetched_at": row["fetched_at"].isoformat(),
    }


def _place(row: Record) -> dict[str, Any]:
    return {"view": row["view"], "replaced_by": row["replaced_by"]}
