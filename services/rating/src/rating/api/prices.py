"""Routes that enter prices: customer rules and exchange rates."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path

from rating.api.bodies import RateBody, RuleBody, rule_json
from rating.api.paging import Named, after_version
from rating.domain.fx import FxRate
from rating.handlers import price_book
from rating.store import prices
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Prices, Reads, encode_cursor, page

Pair = Annotated[str, Path(pattern=r"^[A-Z]{3}-[A-Z]{3}$", examples=["USD-EUR"])]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.put("/price-rules/{rule_id}", operation_id="price-rules.put")
    async def put_rule(rule_id: Named, body: RuleBody, caller: Prices) -> dict[str, Any]:
        """Enter a rule: a new immutable version, in force from its `valid_from` on. Repeating the
        latest version makes none. Charges it changes are corrected."""
        async with database.transaction(actor=caller.subject) as tx:
            return rule_json(await price_book.enter_rule(tx, body.rule(rule_id)))

    @routes.get("/price-rules", operation_id="price-rules.list")
    async def list_rules(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Every version of every rule, by id and version."""
        after = after_version(cursor)
        async with database.read() as reader:
            found = await prices.list_rules(reader, after=after, limit=limit)
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last.rule_id, last.version) if last else None
        return page([rule_json(rule) for rule in found], next_cursor=more)

    @routes.put("/fx-rates/{pair}/{on}", operation_id="fx-rates.put")
    async def put_rate(pair: Pair, on: date, body: RateBody, caller: Prices) -> dict[str, Any]:
        """Enter what one unit of the first currency is worth in the second on a day. It serves
        until a later day has a rate. Another rate for the same day is a new version."""
        source, target = pair.split("-")
        rate = FxRate(source, target, on, 0, body.rate, body.source)
        async with database.transaction(actor=caller.subject) as tx:
            kept = await price_book.enter_rate(tx, rate)
        return {
            "from": kept.source_currency,
            "to": kept.target_currency,
            "date": kept.on.isoformat(),
            "rate": f"{kept.rate:f}",
            "source": kept.source,
            "version": kept.version,
        }

    return routes
