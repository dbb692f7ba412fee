"""Allocations: kept as they came, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rating.domain.allocations import Allocation, AllocationKind, SiteSeats
from shared.runtime.postgres import Reader, Record, Transaction

ADD_ALLOCATION = """
INSERT INTO allocation (allocation_id, subscription_id, kind, effective_on, body, recorded_at,
                        recorded_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (allocation_id) DO NOTHING RETURNING true
"""
ALLOCATIONS = """
SELECT * FROM allocation WHERE subscription_id = ANY($1::text[])
ORDER BY subscription_id, effective_on, allocation_id
"""
FIND_ALLOCATIONS = "SELECT * FROM allocation WHERE allocation_id = ANY($1::text[])"
CUSTOMERS_CONCERNED = """
SELECT customer_id FROM subscription_change WHERE subscription_id = $1
UNION
SELECT provider_customer_id FROM contract_version WHERE contract_id = ANY($2::text[])
"""


async def add(tx: Transaction, fact: Allocation) -> bool:
    """Keep an allocation. False when its id is there already."""
    body = {
        "sites": {site.contract_id: site.seats for site in fact.sites},
        "cause": fact.cause,
        "change_id": fact.change_id,
        "order_id": fact.order_id,
    }
    added = await tx.fetchval(
        ADD_ALLOCATION, fact.allocation_id, fact.subscription_id, fact.kind.value,
        fact.effective_on, body, fact.recorded_at, tx.actor,
    )  # fmt: skip
    return added is True


async def of_subscriptions(
    reader: Reader, subscription_ids: Sequence[str]
) -> dict[str, list[Allocation]]:
    """The allocations of each of these subscriptions, by effective day."""
    found: dict[str, list[Allocation]] = {name: [] for name in subscription_ids}
    for row in await reader.fetch(ALLOCATIONS, list(subscription_ids)):
        found[row["subscription_id"]].append(_allocation(row))
    return found


async def by_ids(reader: Reader, allocation_ids: Sequence[str]) -> list[Allocation]:
    rows = await reader.fetch(FIND_ALLOCATIONS, list(allocation_ids))
    return [_allocation(row) for row in rows]


async def customers_concerned(
    reader: Reader, subscription_id: str, contract_ids: Sequence[str]
) -> list[str]:
    """Whose subscription it is, and whom the named contracts are for."""
    rows = await reader.fetch(CUSTOMERS_CONCERNED, subscription_id, list(contract_ids))
    return [row["customer_id"] for row in rows]


def _allocation(row: Record) -> Allocation:
    body: dict[str, Any] = row["body"]
    return Allocation(
        allocation_id=row["allocation_id"],
        subscription_id=row["subscription_id"],
        kind=AllocationKind(row["kind"]),
        effective_on=row["effective_on"],
        sites=tuple(SiteSeats(name, int(seats)) for name, seats in body["sites"].items()),
        cause=body["cause"],
        recorded_at=row["recorded_at"],
        change_id=body["change_id"],
        order_id=body["order_id"],
    )
