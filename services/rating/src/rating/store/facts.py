"""Changes, contracts, cycles and purchases: kept as they came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rating.domain import timeline
from rating.domain.timeline import Timeline
from shared.contracts.ingest import ProviderPurchaseRecorded, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged, CycleClosed
from shared.runtime.postgres import Reader, Transaction

ADD_CHANGE = """
INSERT INTO subscription_change (change_id, subscription_id, customer_id, product_key,
                                 effective_at, version, body, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (change_id) DO NOTHING RETURNING true
"""
CHANGES = """
SELECT subscription_id, body FROM subscription_change
WHERE customer_id = $1 AND ($2::text IS NULL OR subscription_id = $2)
ORDER BY subscription_id, version, change_id
"""
CUSTOMER_OF = """
SELECT customer_id FROM subscription_change WHERE subscription_id = $1
ORDER BY version DESC, change_id LIMIT 1
"""
FIND_CHANGES = "SELECT body FROM subscription_change WHERE change_id = ANY($1::text[])"

ADD_CONTRACT = """
INSERT INTO contract_version (contract_id, version, provider_customer_id, body, recorded_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (contract_id, version) DO NOTHING RETURNING true
"""
CONTRACT = """
SELECT body FROM contract_version WHERE contract_id = $1 ORDER BY version DESC LIMIT 1
"""
CONTRACTS_OF = """
SELECT DISTINCT ON (contract_id) contract_id, provider_customer_id, body
FROM contract_version
WHERE contract_id IN (
    SELECT contract_id FROM contract_version WHERE provider_customer_id = ANY($1::text[]))
ORDER BY contract_id, version DESC
"""
CUSTOMERS_OF = """
SELECT DISTINCT provider_customer_id FROM contract_version WHERE contract_id = $1
"""
CUSTOMERS_WITH_CONTRACTS = """
SELECT DISTINCT provider_customer_id FROM contract_version
WHERE provider_customer_id > $1
  AND ($2::text IS NULL OR provider_customer_id = $2) AND ($3::text IS NULL OR contract_id = $3)
ORDER BY provider_customer_id LIMIT $4
"""

ADD_CYCLE = """
INSERT INTO cycle (run_id, contract_id, invoice_date, closed_end, body, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (run_id) DO NOTHING
"""
UNANSWERED = """
SELECT body FROM cycle WHERE contract_id = $1 AND answered_at IS NULL
ORDER BY invoice_date, run_id
"""
ANSWERED = "UPDATE cycle SET answered_at = $2 WHERE run_id = $1"
CLOSED_THROUGH = "SELECT max(closed_end) FROM cycle WHERE contract_id = $1"

ADD_PURCHASE = """
INSERT INTO provider_purchase (purchase_id, version, customer_id, body, recorded_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (purchase_id, version) DO NOTHING RETURNING true
"""
PURCHASES = """
SELECT DISTINCT ON (purchase_id) purchase_id, body
FROM provider_purchase WHERE customer_id = $1
ORDER BY purchase_id, seq DESC
"""
FIND_PURCHASE = """
SELECT body FROM provider_purchase WHERE purchase_id = $1 ORDER BY seq DESC LIMIT 1
"""


async def add_change(tx: Transaction, event: SubscriptionChanged) -> bool:
    """Keep a change. False when it is known already."""
    added = await tx.fetchval(
        ADD_CHANGE, event.change_id, event.subscription_id, event.customer_id,
        event.product.key, event.effective_at, event.version,
        event.model_dump(mode="json"), tx.now,
    )  # fmt: skip
    return added is True


async def timelines(
    reader: Reader, customer_id: str, subscription_id: str | None = None
) -> dict[str, Timeline]:
    """The history of a customer's subscriptions, or of one of them."""
    by_subscription: dict[str, list[SubscriptionChanged]] = {}
    for row in await reader.fetch(CHANGES, customer_id, subscription_id):
        event = SubscriptionChanged.model_validate(row["body"])
        by_subscription.setdefault(row["subscription_id"], []).append(event)
    return {name: timeline.build(changes) for name, changes in by_subscription.items()}


async def customer_of(reader: Reader, subscription_id: str) -> str | None:
    """Whose subscription it is."""
    found = await reader.fetchval(CUSTOMER_OF, subscription_id)
    return str(found) if found is not None else None


async def changes_by_id(reader: Reader, change_ids: Sequence[str]) -> list[SubscriptionChanged]:
    rows = await reader.fetch(FIND_CHANGES, list(change_ids))
    return [SubscriptionChanged.model_validate(row["body"]) for row in rows]


async def add_contract(tx: Transaction, event: ContractChanged) -> bool:
    """Keep a version of a contract. False when it is known already."""
    added = await tx.fetchval(
        ADD_CONTRACT, event.contract_id, event.version, event.provider_customer_id,
        event.model_dump(mode="json"), tx.now,
    )  # fmt: skip
    return added is True


async def contract(reader: Reader, contract_id: str) -> ContractChanged | None:
    """The latest version of a contract."""
    body = await reader.fetchval(CONTRACT, contract_id)
    return ContractChanged.model_validate(body) if body else None


async def contracts_of(
    reader: Reader, customer_ids: Sequence[str]
) -> dict[str, list[ContractChanged]]:
    """The contracts that are for each of these customers now, in their latest versions."""
    found: dict[str, list[ContractChanged]] = {customer: [] for customer in customer_ids}
    for row in await reader.fetch(CONTRACTS_OF, list(customer_ids)):
        if row["provider_customer_id"] in found:
            latest = ContractChanged.model_validate(row["body"])
            found[row["provider_customer_id"]].append(latest)
    return found


async def customers_of(reader: Reader, contract_id: str) -> list[str]:
    """Every customer that some version of a contract was for."""
    rows = await reader.fetch(CUSTOMERS_OF, contract_id)
    return [row["provider_customer_id"] for row in rows]


async def customers_with_contracts(
    reader: Reader, *, customer_id: str | None, contract_id: str | None, after: str, limit: int
) -> list[str]:
    """Customers that some contract was ever for, in order."""
    rows = await reader.fetch(CUSTOMERS_WITH_CONTRACTS, after, customer_id, contract_id, limit)
    return [row["provider_customer_id"] for row in rows]


async def add_cycle(tx: Transaction, event: CycleClosed) -> None:
    """Keep that a run asked; asking again leaves what it asked first."""
    await tx.execute(
        ADD_CYCLE, event.run_id, event.contract_id, event.invoice_date, event.closed.end,
        event.model_dump(mode="json"), tx.now,
    )  # fmt: skip


async def unanswered(reader: Reader, contract_id: str) -> list[CycleClosed]:
    """The runs of a contract that still wait for an answer, oldest first."""
    rows = await reader.fetch(UNANSWERED, contract_id)
    return [CycleClosed.model_validate(row["body"]) for row in rows]


async def mark_answered(tx: Transaction, run_id: str) -> None:
    await tx.execute(ANSWERED, run_id, tx.now)


async def closed_through(reader: Reader, contract_id: str) -> date | None:
    """The latest boundary of a contract that a run closed."""
    found: date | None = await reader.fetchval(CLOSED_THROUGH, contract_id)
    return found


async def add_purchase(tx: Transaction, event: ProviderPurchaseRecorded) -> bool:
    """Keep a purchase as one version of its data set tells it. False when it is known already."""
    added = await tx.fetchval(
        ADD_PURCHASE, event.purchase_id, event.version, event.customer_id,
        event.model_dump(mode="json"), tx.now,
    )  # fmt: skip
    return added is True


async def purchases(reader: Reader, customer_id: str) -> list[ProviderPurchaseRecorded]:
    """The purchases of a customer, each as it was told last."""
    rows = await reader.fetch(PURCHASES, customer_id)
    return [ProviderPurchaseRecorded.model_validate(row["body"]) for row in rows]


async def purchase(reader: Reader, purchase_id: str) -> ProviderPurchaseRecorded | None:
    body = await reader.fetchval(FIND_PURCHASE, purchase_id)
    return ProviderPurchaseRecorded.model_validate(body) if body else None
