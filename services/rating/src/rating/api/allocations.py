"""Routes that allocate seats of a shared subscription to contracts, and show who has how many."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from rating.api.bodies import Body, Name
from rating.api.paging import Filter, Named
from rating.domain.allocations import Allocation, AllocationKind, SiteSeats, sharing
from rating.domain.sites import share_out, stretches
from rating.handlers.licences import enter_allocation
from rating.store import allocations, facts
from shared.kernel.errors import Invalid, NotFound
from shared.kernel.periods import Period
from shared.runtime.postgres import Database
from shared.runtime.web import Operates, Reads, page

SEATS_MAX = 10_000_000
DAYS_MAX = 3_700


class SiteBody(Body):
    contract_id: Name
    seats: Annotated[int, Field(ge=-SEATS_MAX, le=SEATS_MAX)] = 0


class AllocationBody(Body):
    """`opening`: what each site has before any change of the day. `move`: between sites, sums to
    nothing. `change`: whose the provider's change is, by `change_id`, by `order_id`, or that of the
    day. `default`: the one site that takes changes nobody claims."""

    subscription_id: Name
    kind: AllocationKind
    effective_on: date
    sites: Annotated[list[SiteBody], Field(min_length=1, max_length=1_000)]
    cause: Name
    change_id: Name | None = None
    order_id: Name | None = None


def router(database: Database) -> APIRouter:
    routes = APIRouter()
    _allocations(routes, database)
    _sites(routes, database)
    return routes


def _allocations(routes: APIRouter, database: Database) -> None:
    @routes.put("/allocations/{allocation_id}", operation_id="allocations.put")
    async def put_allocation(
        allocation_id: Named, body: AllocationBody, caller: Operates
    ) -> dict[str, Any]:
        """Enter an allocation, once and for ever: the same body again is no news, another one is
        refused. A mistake is corrected by another allocation."""
        async with database.transaction(actor=caller.subject) as tx:
            wanted = Allocation(
                allocation_id=allocation_id,
                recorded_at=tx.now,
                sites=tuple(SiteSeats(site.contract_id, site.seats) for site in body.sites),
                **body.model_dump(exclude={"sites"}),
            )
            return _told(await enter_allocation(tx, wanted))

    @routes.get("/allocations", operation_id="allocations.list")
    async def list_allocations(subscription_id: Filter, caller: Reads) -> dict[str, Any]:
        """Every allocation of a subscription, by the day it takes effect."""
        async with database.read() as reader:
            found = await allocations.of_subscriptions(reader, [subscription_id])
        return page([_told(fact) for fact in found[subscription_id]])

    @routes.get("/allocations/{allocation_id}", operation_id="allocations.get")
    async def get_allocation(allocation_id: Named, caller: Reads) -> dict[str, Any]:
        """One allocation."""
        async with database.read() as reader:
            found = await allocations.by_ids(reader, [allocation_id])
        if not found:
            raise NotFound("allocation_unknown", f"there is no allocation {allocation_id}")
        return _told(found[0])


def _sites(routes: APIRouter, database: Database) -> None:
    @routes.get("/sites/{subscription_id}", operation_id="sites.get")
    async def get_sites(
        subscription_id: Named,
        caller: Reads,
        start: Annotated[date, Query(description="first day")],
        end: Annotated[date, Query(description="the day after the last")],
    ) -> dict[str, Any]:
        """Who has how many seats on which days, the seat-days of each site, and whether the sites
        sum to what the provider has on every day."""
        within = Period(start, end)
        if within.days > DAYS_MAX:
            raise Invalid("period_too_long", f"ask for {DAYS_MAX} days at most")
        async with database.read() as reader:
            customers = await allocations.customers_concerned(reader, subscription_id, [])
            if not customers:
                raise NotFound("subscription_unknown", f"nothing of {subscription_id} came here")
            line = (await facts.timelines(reader, customers[0], subscription_id))[subscription_id]
            contracts = (await facts.contracts_of(reader, customers))[customers[0]]
            known = await allocations.of_subscriptions(reader, [subscription_id])
        cut = stretches(line, share_out(line, known[subscription_id]), within)
        seat_days: dict[str, int] = {}
        for stretch in cut:
            for site, seats in stretch.sites.items():
                seat_days[site] = seat_days.get(site, 0) + seats * stretch.period.days
        return {
            "subscription_id": subscription_id,
            "contracts": [c.contract_id for c in sharing(contracts, subscription_id)],
            "days": [
                {
                    "start": stretch.period.start.isoformat(),
                    "end": stretch.period.end.isoformat(),
                    "provider": stretch.provider,
                    "sites": stretch.sites,
                    "sums": sum(stretch.sites.values()) == stretch.provider,
                }
                for stretch in cut
            ],
            "seat_days": seat_days,
            "provider_seat_days": sum(s.provider * s.period.days for s in cut),
        }


def _told(fact: Allocation) -> dict[str, Any]:
    return {
        "allocation_id": fact.allocation_id,
        "subscription_id": fact.subscription_id,
        "kind": fact.kind.value,
        "effective_on": fact.effective_on.isoformat(),
        "sites": [{"contract_id": s.contract_id, "seats": s.seats} for s in fact.sites],
        "cause": fact.cause,
        "change_id": fact.change_id,
        "order_id": fact.order_id,
        "recorded_at": fact.recorded_at.isoformat(),
    }
