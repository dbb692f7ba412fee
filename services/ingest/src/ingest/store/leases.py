"""Leases of all kinds of work: freed together when a process starts where another one ended."""

from __future__ import annotations

from shared.runtime.postgres import Transaction

FREE_CHECKS = """
UPDATE subscription_check SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""
FREE_SYNCS = """
UPDATE sync SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""
FREE_SYNC_CUSTOMERS = """
UPDATE sync_customer SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""
FREE_EXPORTS = """
UPDATE export SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""
FREE_IMPORTS = """
UPDATE price_sheet_import SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""
FREE_ORDERS = """
UPDATE subscription_order SET lease = NULL, leased_until = NULL
WHERE starts_with(lease, $1) AND NOT starts_with(lease, $2)
"""


async def free(tx: Transaction, *, place: str, ours: str) -> int:
    """End every lease whose name begins with `place`, but those that begin with `ours`."""
    statuses = (
        await tx.execute(FREE_CHECKS, place, ours),
        await tx.execute(FREE_ORDERS, place, ours),
        await tx.execute(FREE_SYNCS, place, ours),
        await tx.execute(FREE_SYNC_CUSTOMERS, place, ours),
        await tx.execute(FREE_EXPORTS, place, ours),
        await tx.execute(FREE_IMPORTS, place, ours),
    )
    return sum(int(status.rpartition(" ")[2]) for status in statuses)
