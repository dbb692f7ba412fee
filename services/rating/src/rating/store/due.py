"""Customers to conclude about again, because a fact arrived that many of them depend on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.runtime.postgres import Reader, Transaction

# A row that is there is locked and asked anew. Were it left alone, the job could delete it and
# conclude before the new fact is committed, and nothing would wake it for that fact.
PUT_DUE = """
INSERT INTO due (kind, customer_id, since)
SELECT $1, customer_id, $3 FROM unnest($2::text[]) AS customer_id
ON CONFLICT (kind, customer_id) DO UPDATE SET asked = DEFAULT
"""
# The least tried first: one that cannot be concluded does not keep the others waiting.
CLAIM_DUE = """
UPDATE due SET tries = tries + 1 WHERE (kind, customer_id) = (
    SELECT kind, customer_id FROM due ORDER BY tries, since, kind, customer_id
    LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING kind, customer_id, asked
"""
TAKE_DUE = "DELETE FROM due WHERE kind = $1 AND customer_id = $2 RETURNING true"
DROP_CLAIMED = """
DELETE FROM due WHERE kind = $1 AND customer_id = $2 AND asked = $3 RETURNING true
"""
COUNT_DUE = "SELECT count(*) FROM due"

CUSTOMERS_WITH_PRODUCTS = """
SELECT DISTINCT customer_id FROM subscription_change
WHERE product_key = ANY($1::text[]) ORDER BY customer_id
"""
CUSTOMERS_WITH_CONTRACTS = """
SELECT DISTINCT provider_customer_id AS customer_id FROM contract_version
WHERE ($1::text IS NULL OR contract_id = $1) AND ($2::text IS NULL OR provider_customer_id = $2)
ORDER BY customer_id
"""
# Whose usage or purchases are converted with an entered rate of this pair.
CUSTOMERS_CONVERTED = """
SELECT d.customer_id FROM usage_delta d JOIN contract_version c USING (contract_id)
WHERE d.pricing_currency = $1 AND d.billing_currency <> $2 AND c.body ->> 'currency' = $2
UNION
SELECT customer_id FROM provider_purchase
WHERE body ->> 'pricing_currency' = $1 AND body ->> 'billing_currency' <> $2
ORDER BY customer_id
"""


class DueKind(StrEnum):
    RERATE = "rerate"  # decide every usage line again, then settle
    SETTLE = "settle"  # compare the charges with the facts


@dataclass(frozen=True, slots=True)
class Due:
    kind: DueKind
    customer_id: str
    asked: int  # no two requests have the same


async def make_due(tx: Transaction, kind: DueKind, customer_ids: Iterable[str]) -> None:
    """Let the job conclude about these customers again.

    Locks their rows, in order: call it once per kind, and wait for no customer afterwards.
    """
    if names := sorted(set(customer_ids)):
        await tx.execute(PUT_DUE, kind.value, names, tx.now)


async def claim_due(tx: Transaction) -> Due | None:
    """What to conclude next. Commit before concluding: who holds a customer takes its due rows, so
    nobody may wait for a customer while holding one."""
    row = await tx.fetchrow(CLAIM_DUE)
    return Due(DueKind(row["kind"]), row["customer_id"], row["asked"]) if row else None


async def take_due(tx: Transaction, kind: DueKind, customer_id: str) -> bool:
    """Whether this was due; it no longer is once this transaction commits."""
    return await tx.fetchval(TAKE_DUE, kind.value, customer_id) is True


async def drop_claimed(tx: Transaction, claimed: Due) -> bool:
    """Give up what was claimed. False, and nothing is dropped, when it was asked anew since then
    or is done already."""
    found = await tx.fetchval(DROP_CLAIMED, claimed.kind.value, claimed.customer_id, claimed.asked)
    return found is True


async def count_due(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_DUE))


async def with_products(reader: Reader, product_keys: Iterable[str]) -> list[str]:
    """Customers that have, or had, one of these products."""
    rows = await reader.fetch(CUSTOMERS_WITH_PRODUCTS, sorted(set(product_keys)))
    return [row["customer_id"] for row in rows]


async def with_contracts(
    reader: Reader, *, contract_id: str | None, customer_id: str | None
) -> list[str]:
    """Customers of a contract, this customer, or everybody with a contract."""
    rows = await reader.fetch(CUSTOMERS_WITH_CONTRACTS, contract_id, customer_id)
    return [row["customer_id"] for row in rows]


async def converted(reader: Reader, source_currency: str, target_currency: str) -> list[str]:
    """Customers whose usage or purchases an entered rate of this pair may convert."""
    rows = await reader.fetch(CUSTOMERS_CONVERTED, source_currency, target_currency)
    return [row["customer_id"] for row in rows]
