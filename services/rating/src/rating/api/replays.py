"""The route that computes published charges again and tells every cent that differs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from rating.api.bodies import Body, Name, PriceBookBody
from rating.domain.replay import Difference, Span
from rating.handlers.price_changes import news_of
from rating.handlers.replaying import Replayed, Scope, replay_customer
from rating.store import facts
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period
from shared.runtime.postgres import Database
from shared.runtime.web import Reads, decode_cursor, encode_cursor

CUSTOMERS_AT_ONCE = 20


class ReplayBody(Body):
    """Customers, contracts and service periods; what is left out means all."""

    customer_id: Name | None = None
    contract_id: Name | None = None
    since: Annotated[date | None, Field(alias="from")] = None
    until: Annotated[date | None, Field(alias="to", description="exclusive")] = None
    prices: PriceBookBody | None = None
    cursor: Annotated[str | None, Field(max_length=1000)] = None
    limit: Annotated[int, Field(ge=1, le=500, description="customers")] = CUSTOMERS_AT_ONCE


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.post("/replays", operation_id="replays.create")
    async def replay(body: ReplayBody, caller: Reads) -> dict[str, Any]:
        """Compute every charge again by the code that bills, and compare it with the published
        one; with `prices`, as if these rules, promotions and rates were in the books. Nothing is
        kept. Some customers a request; go on with `next_cursor`."""
        if body.since is not None and body.until is not None:
            Period(body.since, body.until)  # no day in it: period_empty
        items = body.prices.items() if body.prices else ()
        news = await news_of(database, items)
        scope = Scope(Span(body.since, body.until), body.contract_id, tuple(news))
        names = await _customers(database, body)
        found = [await replay_customer(database, name, scope) for name in names]
        more = encode_cursor(names[-1]) if len(names) == body.limit else None
        return _told(found) | {"next_cursor": more}

    return routes


async def _customers(database: Database, body: ReplayBody) -> list[str]:
    parts = decode_cursor(body.cursor) or [""]
    if len(parts) != 1 or not isinstance(parts[0], str) or "\x00" in parts[0]:
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    async with database.read() as reader:
        return await facts.customers_with_contracts(
            reader,
            customer_id=body.customer_id,
            contract_id=body.contract_id,
            after=parts[0],
            limit=body.limit,
        )


def _told(found: list[Replayed]) -> dict[str, Any]:
    return {
        "customers": len(found),
        "contracts": sum(one.contracts for one in found),
        "charges": sum(one.charges for one in found),
        "differences": [_difference(pair) for one in found for pair in one.differences],
        "log_entries_missing": [entry for one in found for entry in one.log_entries],
        "not_computed": [
            {"reason": open.hold.reason, "object": open.hold.object, "detail": open.hold.detail}
            for one in found
            for open in one.holds
        ],
        "waiting": [one.customer_id for one in found if one.waiting],
        "failed": [
            {"customer_id": one.customer_id, "detail": one.failed} for one in found if one.failed
        ],
    }


def _difference(one: Difference) -> dict[str, Any]:
    charge = one.recomputed
    return {
        "charge_id": charge.charge_id,
        "contract_id": charge.contract_id,
        "customer_id": charge.customer_id,
        "kind": charge.kind.value,
        "description": charge.description,
        "service_period": charge.service_period.model_dump(mode="json"),
        "currency": charge.currency,
        "was": f"{one.was:f}",
        "now": f"{one.now:f}",
        "difference": f"{one.now - one.was:f}",
        "why": list(one.why),
    }
