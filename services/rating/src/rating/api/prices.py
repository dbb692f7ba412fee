"""Routes that enter customer price rules and exchange rates one by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from rating.api.bodies import (
    RateBody,
    RuleBody,
    entered_json,
    rule_json,
)
from rating.api.entering import Books
from rating.api.paging import Named, after_version
from rating.store import prices
from rating.store.price_json import rate_to_json
from shared.kernel.fx import FxRate
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Prices, Reads, encode_cursor, page

Pair = Annotated[str, Path(pattern=r"^[A-Z]{3}-[A-Z]{3}$", examples=["USD-EUR"])]


def router(database: Database, thresholds: Mapping[str, Decimal]) -> APIRouter:
    routes = APIRouter()

    books = Books(database, thresholds)

    @routes.put("/price-rules/{rule_id}", operation_id="price-rules.put")
    async def put_rule(
        rule_id: Named, body: RuleBody, caller: Prices, answer: Response
    ) -> dict[str, Any]:
        """Enter a rule: a new immutable version, in force from its `valid_from` on. Repeating the
        latest version makes none. Charges it changes are corrected."""
        return await books.enter(body.rule(rule_id), caller, answer)

    @routes.get("/price-rules", operation_id="price-rules.list")
    async def list_rules(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Every version of every rule, by id and version, with its author and reason."""
        after = after_version(cursor)
        async with database.read() as reader:
            found = await prices.list_rules(reader, after=after, limit=limit)
        last = found[-1][0] if len(found) == limit else None
        more = encode_cursor(last.rule_id, last.version) if last else None
        return page([rule_json(r) | entered_json(e) for r, e in found], next_cursor=more)

    @routes.put("/fx-rates/{pair}/{on}", operation_id="fx-rates.put")
    async def put_rate(
        pair: Pair, on: date, body: RateBody, caller: Prices, answer: Response
    ) -> dict[str, Any]:
        """Enter what one unit of the first currency is worth in the second on a day. It serves
        until a later day has a rate. Another rate for the same day is a new version."""
        source, target = pair.split("-")
        rate = FxRate(source, target, on, 0, body.rate, body.source)
        return await books.enter(rate, caller, answer)

    @routes.get("/fx-rates", operation_id="fx-rates.list")
    async def list_rates(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Every version of every entered rate, by pair, day and version, with its author."""
        after = after_version(cursor)
        async with database.read() as reader:
            found = await prices.list_rates(reader, after=after, limit=limit)
        last = found[-1][0] if len(found) == limit else None
        name = f"{last.source_currency}-{last.target_currency}/{last.on}" if last else ""
        more = encode_cursor(name, last.version) if last else None
        return page([dict(rate_to_json(r)) | entered_json(e) for r, e in found], next_cursor=more)

    return routes
