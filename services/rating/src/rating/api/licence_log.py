"""Routes of the License Change Log: what changed, when, by whom, and what it was worth."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable
from datetime import date
from io import StringIO
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from rating.api.paging import Named, OptionalFilter, after_numbers
from rating.store import licence_log
from rating.store.licence_log import Logged, Wanted
from shared.kernel.errors import NotFound
from shared.kernel.periods import Period
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Reads, encode_cursor, page

From = Annotated[date | None, Query(alias="from", description="first effective day")]
Until = Annotated[date | None, Query(description="first effective day that is left out")]
COLUMNS = (
    "entry_id", "effective_on", "effective_at", "recorded_at", "logged_at", "kind", "customer_id",
    "contract_id", "subscription_id", "product_key", "product_name", "quantity_before",
    "quantity_after", "unit_price_before", "unit_price", "currency", "unit_cost_before",
    "unit_cost", "cost_currency", "prorated_amount", "charge_id", "change_id", "channel", "actor",
    "audit_record_id", "webhook_id", "estimated_time", "supersedes", "superseded_by", "reverses",
    "reversed_by",
)  # fmt: skip


def _wanted(
    subscription_id: OptionalFilter = None,
    contract_id: OptionalFilter = None,
    customer_id: OptionalFilter = None,
    effective_from: From = None,
    until: Until = None,
) -> Wanted:
    if effective_from is not None and until is not None:
        Period(effective_from, until)  # no day in it: period_empty
    return Wanted(subscription_id, contract_id, customer_id, effective_from, until)


Filters = Annotated[Wanted, Depends(_wanted)]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.get("/licence-changes", operation_id="licence-changes.list")
    async def list_changes(
        wanted: Filters, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """The License Change Log in the order it was written. Whether a PSA has an entry, tells
        psa-connector: `GET /v1/intents?source_id=<entry_id>`."""
        (after,) = after_numbers(cursor, start=(0,))
        async with database.read() as reader:
            found = await licence_log.listing(reader, wanted, after=after, limit=limit)
        more = encode_cursor(found[-1].seq) if len(found) == limit else None
        return page([_shown(one) for one in found], next_cursor=more)

    @routes.get(
        "/licence-changes.csv",
        operation_id="licence-changes.csv",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def download(wanted: Filters, caller: Reads) -> StreamingResponse:
        """The same rows as a file."""
        name = 'attachment; filename="licence-changes.csv"'
        return StreamingResponse(
            _csv(database, wanted), media_type="text/csv", headers={"Content-Disposition": name}
        )

    @routes.get("/licence-changes/{entry_id}", operation_id="licence-changes.get")
    async def get_change(entry_id: Named, caller: Reads) -> dict[str, Any]:
        """One entry."""
        async with database.read() as reader:
            found = await licence_log.find(reader, entry_id)
        if found is None:
            raise NotFound("licence_change_unknown", f"there is no entry {entry_id}")
        return _shown(found)

    return routes


def _shown(one: Logged) -> dict[str, Any]:
    return one.entry.model_dump(mode="json") | {
        "effective_at": one.effective_at.isoformat() if one.effective_at else None,
        "logged_at": one.logged_at.isoformat(),
        "source": one.source.model_dump(mode="json") if one.source else None,
        "superseded_by": list(one.superseded_by),
        "reversed_by": one.reversed_by,
    }


async def _csv(database: Database, wanted: Wanted) -> AsyncIterator[str]:
    yield _line(COLUMNS)
    async for one in licence_log.every(database, wanted):
        shown = _shown(one)
        product, source = shown["product"], shown["source"] or {}
        flat = shown | {"product_key": product["key"], "product_name": product["name"]} | source
        yield _line([_cell(flat.get(name)) for name in COLUMNS])


def _cell(value: object) -> str:
    """Text of a cell. What a spreadsheet would take for a formula is marked as text."""
    told = " ".join(map(str, value)) if isinstance(value, list) else value
    text = "" if told is None else str(told)
    numeric = text.replace(".", "", 1).removeprefix("-").isdigit()
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} and not numeric else text


def _line(cells: Iterable[str]) -> str:
    buffer = StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
