"""Routes for changes of prices: dry run, proposal, and the second person's decision."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from rating.api.bodies import ChangeBody, DecisionBody, PriceBookBody, RejectionBody, item_json
from rating.api.paging import Named, after_instant
from rating.domain.price_changes import Proposed, needs_second_person
from rating.handlers import price_changes
from rating.handlers.price_changes import Asked, effect_json
from rating.store import price_changes as store
from rating.store.price_changes import PriceChange
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Prices, Reads, encode_cursor, page

State = Annotated[Literal["waiting", "active", "rejected"] | None, Query()]
UNCHANGED = "unchanged"


def router(database: Database, thresholds: Mapping[str, Decimal]) -> APIRouter:
    routes = APIRouter()

    @routes.post("/price-rules:dry-run", operation_id="price-rules.dry-run")
    async def dry_run(body: PriceBookBody, caller: Prices) -> dict[str, Any]:
        """What these rules, promotions and rates would change: charges before and after, what a
        month brings, and whether a second person would have to approve. Nothing is written."""
        news, effect = await price_changes.preview(database, body.items())
        return {
            "items": [_item(one) for one in news],
            "effect": effect_json(effect),
            "needs_approval": needs_second_person(effect.at_stake, thresholds),
        }

    @routes.post("/price-changes", operation_id="price-changes.propose")
    async def propose(body: ChangeBody, caller: Prices, answer: Response) -> dict[str, Any]:
        """Put items into the books together: 201 active, 202 waiting, 200 where nothing is new."""
        asked = Asked(body.items(), body.reason, caller.subject)
        change = await price_changes.propose(database, asked, thresholds)
        if change is None:
            return {"change_id": None, "state": UNCHANGED, "items": []}
        answer.status_code = 201 if change.state == "active" else 202
        return change_json(change)

    @routes.get("/price-changes", operation_id="price-changes.list")
    async def list_changes(
        caller: Reads, state: State = None, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Everything that was proposed, oldest first."""
        after = after_instant(cursor)
        async with database.read() as reader:
            found = await store.list_changes(reader, state=state, after=after, limit=limit)
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last.created_at, last.change_id) if last else None
        return page([change_json(change) for change in found], next_cursor=more)

    @routes.get("/price-changes/{change_id}", operation_id="price-changes.get")
    async def get_change(change_id: Named, caller: Reads) -> dict[str, Any]:
        """One change with the effect it was proposed with."""
        async with database.read() as reader:
            found = await store.find_change(reader, change_id)
        if found is None:
            raise NotFound("price_change_unknown", f"there is no price change {change_id}")
        return change_json(found)

    @routes.post("/price-changes/{change_id}:approve", operation_id="price-changes.approve")
    async def approve(change_id: Named, body: DecisionBody, caller: Prices) -> dict[str, Any]:
        """Let a waiting change become active. Its author may not (409 `approver_is_author`)."""
        return change_json(
            await price_changes.approve(database, change_id, caller.subject, body.reason)
        )

    @routes.post("/price-changes/{change_id}:reject", operation_id="price-changes.reject")
    async def reject(change_id: Named, body: RejectionBody, caller: Prices) -> dict[str, Any]:
        """Close a waiting change for good."""
        return change_json(
            await price_changes.reject(database, change_id, caller.subject, body.reason)
        )

    return routes


def change_json(change: PriceChange) -> dict[str, Any]:
    """A change as it is answered."""
    return {
        "change_id": change.change_id,
        "state": change.state.value,
        "reason": change.reason,
        "author": change.author,
        "created_at": change.created_at.isoformat(),
        "items": [_item(one) for one in change.items],
        "effect": change.effect,
        "decided_by": change.decided_by,
        "decided_at": change.decided_at.isoformat() if change.decided_at else None,
        "decision": change.decision,
    }


def _item(proposed: Proposed) -> dict[str, Any]:
    return {"object": proposed.name, "base": proposed.base, **item_json(proposed.item)}
