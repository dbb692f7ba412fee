"""The renewal desk: what ends, closes or changes its price, as rows and as a calendar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from rating.api import renewal_rows
from rating.api.paging import OptionalFilter
from rating.domain import icalendar
from rating.handlers.renewal_desk import Desk, desk_of
from rating.store import renewals
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period, add_months, utc_day
from shared.runtime.postgres import Database, Reader
from shared.runtime.web import CursorParam, Limit, Reads, decode_cursor, encode_cursor

MONTHS_AHEAD = 3
YEARS_MAX = 5
CUSTOMERS_AT_ONCE = 100

From = Annotated[date | None, Query(alias="from", description="first day; today if left out")]
To = Annotated[date | None, Query(alias="to", description="exclusive; three months later")]


@dataclass(frozen=True, slots=True)
class Asked:
    since: date | None
    until: date | None
    customer_id: str | None
    contract_id: str | None

    def within(self, today: date) -> Period:
        """Raises Invalid: `period_empty`, `period_too_long`."""
        start = self.since or today
        period = Period(start, self.until or add_months(start, MONTHS_AHEAD))
        if period.days > YEARS_MAX * 366:
            raise Invalid("period_too_long", f"a period of at most {YEARS_MAX} years, please")
        return period


def _asked(
    since: From = None,
    until: To = None,
    customer_id: OptionalFilter = None,
    contract_id: OptionalFilter = None,
) -> Asked:
    return Asked(since, until, customer_id, contract_id)


Filters = Annotated[Asked, Depends(_asked)]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.get("/renewals", operation_id="renewals.list")
    async def list_renewals(
        asked: Filters, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Commitments that end, windows that close, prices that change, and the money at stake.
        `limit` counts customers; go on with `next_cursor`."""
        async with database.read() as reader:
            within = asked.within(utc_day(reader.now))
            found, more = await _desks(reader, asked, within, after=_after(cursor), limit=limit)
        return {
            "from": within.start.isoformat(),
            "to": within.end.isoformat(),
            "data": [row for desk in found for row in renewal_rows.renewals(desk)],
            "windows": [row for desk in found for row in renewal_rows.windows(desk)],
            "price_changes": [row for desk in found for row in renewal_rows.price_changes(desk)],
            "next_cursor": encode_cursor(more) if more else None,
        }

    @routes.get(
        "/renewals.ics",
        operation_id="renewals.calendar",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/calendar": {}}}},
    )
    async def calendar(asked: Filters, caller: Reads) -> StreamingResponse:
        """The same as an iCalendar feed (RFC 5545)."""
        within = asked.within(utc_day(database.clock.now()))
        return StreamingResponse(
            _calendar(database, asked, within), media_type="text/calendar; charset=utf-8"
        )

    return routes


async def _calendar(database: Database, asked: Asked, within: Period) -> AsyncIterator[str]:
    for line in icalendar.head("Licence renewals"):
        yield line
    after: str | None = ""
    while after is not None:
        async with database.read() as reader:
            found, after = await _desks(reader, asked, within, after=after, limit=CUSTOMERS_AT_ONCE)
            stamp = reader.now
        for desk in found:
            for line in icalendar.entries(renewal_rows.events(desk), stamp):
                yield line
    for line in icalendar.tail():
        yield line


async def _desks(
    reader: Reader, asked: Asked, within: Period, *, after: str, limit: int
) -> tuple[list[Desk], str | None]:
    """Some customers, and the last of them if there may be more."""
    names = await renewals.concerned(
        reader,
        within,
        customer_id=asked.customer_id,
        contract_id=asked.contract_id,
        after=after,
        limit=limit,
    )
    found = [await desk_of(reader, name, within, asked.contract_id) for name in names]
    return found, names[-1] if len(names) == limit else None


def _after(cursor: str | None) -> str:
    parts = decode_cursor(cursor) or [""]
    if len(parts) != 1 or not isinstance(parts[0], str) or "\x00" in parts[0]:
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return parts[0]
