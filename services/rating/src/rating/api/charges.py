"""Routes that show charges, why they are what they are, and what waits."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from rating.api.paging import (
    Filter,
    Named,
    after_day,
    after_instant,
    after_numbers,
)
from rating.handlers import explaining
from rating.handlers.terms import usage_terms
from rating.handlers.usage_lines import line_json
from rating.store import charges, facts, holds, usage
from rating.store.holds import OpenHold
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Reads, encode_cursor, page

Revision = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


def router(database: Database) -> APIRouter:
    routes = APIRouter()
    _charges(routes, database)
    _holds(routes, database)
    return routes


def _charges(routes: APIRouter, database: Database) -> None:
    @routes.get("/charges", operation_id="charges.list")
    async def list_charges(
        contract_id: Filter, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """The current revision of a contract's charges, by billing date."""
        after = after_day(cursor)
        async with database.read() as reader:
            found = await charges.list_charges(reader, contract_id, after=after, limit=limit)
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last.bill_on, last.charge_id) if last else None
        return page(explaining.charge_list(found), next_cursor=more)

    @routes.get("/charges/{charge_id}", operation_id="charges.get")
    async def get_charge(charge_id: Named, caller: Reads) -> dict[str, Any]:
        """A charge with every revision it ever had."""
        async with database.read() as reader:
            history = await charges.revisions(reader, charge_id)
        if not history:
            raise NotFound("charge_unknown", f"there is no charge {charge_id}")
        told = explaining.charge_list([one.charge for one in history])
        return told[-1] | {"revisions": told}

    @routes.get("/charges/{charge_id}/explain", operation_id="charges.explain")
    async def explain(charge_id: Named, caller: Reads, revision: Revision = None) -> dict[str, Any]:
        """Price, arithmetic, cost, source facts and checks of a charge, as one tree. An invoice
        line names the revision it billed; without one it is the current revision."""
        async with database.read() as reader:
            return await explaining.explain(reader, charge_id, revision)

    @routes.get("/charges/{charge_id}/usage-lines", operation_id="charges.usage-lines")
    async def usage_lines(
        charge_id: Named, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """The provider's lines that a usage charge sums up, in the order they came."""
        batch, row = after_numbers(cursor, start=(0, -1))
        async with database.read() as reader:
            charge = (await charges.by_ids(reader, [charge_id])).get(charge_id)
            contract = await facts.contract(reader, charge.contract_id) if charge else None
            if charge is None or contract is None:
                raise NotFound("charge_unknown", f"there is no charge {charge_id}")
            place = explaining.place_of(explaining.bin_of(charge))
            found = await usage.lines_of(
                reader, charge.contract_id, place, after=(batch, row), limit=limit
            )
            terms = await usage_terms(reader, contract)
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last.batch, last.row) if last else None
        return page([line_json(line, terms) for line in found], next_cursor=more)


def _holds(routes: APIRouter, database: Database) -> None:
    @routes.get("/holds", operation_id="holds.list")
    async def list_holds(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """What waits for a fact, oldest first; released without a request when the fact arrives."""
        after = after_instant(cursor)
        async with database.read() as reader:
            found = await holds.list_holds(reader, after=after, limit=limit)
        last = found[-1] if len(found) == limit else None
        more = encode_cursor(last.since.isoformat(), last.hold_id) if last else None
        return page([_hold(one) for one in found], next_cursor=more)


def _hold(one: OpenHold) -> dict[str, Any]:
    return {
        "id": one.hold_id,
        "reason": one.hold.reason,
        "detail": one.hold.detail,
        "object": one.hold.object,
        "since": one.since.isoformat(),
        "key": one.hold.key,
    }
