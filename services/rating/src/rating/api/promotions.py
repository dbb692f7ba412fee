"""Routes that enter promotions one by one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Response

from rating.api.bodies import (
    PromotionBody,
    entered_json,
    promotion_json,
)
from rating.api.entering import Books
from rating.api.paging import Named, after_version
from rating.store import promotions
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Prices, Reads, encode_cursor, page


def router(database: Database, thresholds: Mapping[str, Decimal]) -> APIRouter:
    routes = APIRouter()
    books = Books(database, thresholds)

    @routes.put("/promotions/{promotion_id}", operation_id="promotions.put")
    async def put_promotion(
        promotion_id: Named, body: PromotionBody, caller: Prices, answer: Response
    ) -> dict[str, Any]:
        """Enter a promotion: a new immutable version, as with rules."""
        return await books.enter(body.promotion(promotion_id), caller, answer)

    @routes.get("/promotions", operation_id="promotions.list")
    async def list_promotions(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Every version of every promotion, by id and version, with its author and reason."""
        after = after_version(cursor)
        async with database.read() as reader:
            found = await promotions.list_promotions(reader, after=after, limit=limit)
        last = found[-1][0] if len(found) == limit else None
        more = encode_cursor(last.promotion_id, last.version) if last else None
        return page([promotion_json(p) | entered_json(e) for p, e in found], next_cursor=more)

    return routes
