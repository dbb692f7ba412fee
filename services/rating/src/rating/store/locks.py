"""What may not be concluded at the same time.

Two transactions that each bring one half of a conclusion (a contract, its usage) must not both miss
the other's half. So whoever concludes about a customer holds that customer; whoever enters prices
holds all prices. Always the contract first, then prices, then customers in order.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.runtime.postgres import Transaction

HOLD_CONTRACT = "SELECT pg_advisory_xact_lock(hashtextextended('rating/contract/' || $1, 0))"
READ_PRICES = "SELECT pg_advisory_xact_lock_shared(hashtextextended('rating/prices', 0))"
CHANGE_PRICES = "SELECT pg_advisory_xact_lock(hashtextextended('rating/prices', 0))"
HOLD_CUSTOMER = "SELECT pg_advisory_xact_lock(hashtextextended('rating/customer/' || $1, 0))"
SHARE_CUSTOMER = """
SELECT pg_advisory_xact_lock_shared(hashtextextended('rating/customer/' || $1, 0))
"""


async def hold_contract(tx: Transaction, contract_id: str) -> None:
    """Be the only one to say or ask anything about this contract until commit."""
    await tx.fetchval(HOLD_CONTRACT, contract_id)


async def hold_customers(tx: Transaction, customer_ids: Iterable[str]) -> None:
    """Be the only one to conclude about these customers until commit; prices stand still."""
    await tx.fetchval(READ_PRICES)
    for customer_id in sorted(set(customer_ids)):
        await tx.fetchval(HOLD_CUSTOMER, customer_id)


async def share_customers(tx: Transaction, customer_ids: Iterable[str]) -> None:
    """Bring usage of these customers while nobody concludes about them; prices stand still."""
    await tx.fetchval(READ_PRICES)
    for customer_id in sorted(set(customer_ids)):
        await tx.fetchval(SHARE_CUSTOMER, customer_id)


async def change_prices(tx: Transaction) -> None:
    """Enter prices while nobody concludes anything from them."""
    await tx.fetchval(CHANGE_PRICES)
