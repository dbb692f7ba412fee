"""What the provider said it will do when terms end: every saying kept, the latest one counts."""

from __future__ import annotations

from shared.contracts.ingest import RenewalScheduled
from shared.runtime.postgres import Reader, Transaction

ADD_SCHEDULE = """
INSERT INTO renewal_schedule (subscription_id, snapshot, customer_id, body, recorded_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (subscription_id, snapshot) DO NOTHING
"""
SCHEDULES_OF = """
SELECT DISTINCT ON (subscription_id) subscription_id, body FROM renewal_schedule
WHERE customer_id = $1 ORDER BY subscription_id, snapshot DESC
"""


async def add_schedule(tx: Transaction, event: RenewalScheduled) -> None:
    body = event.model_dump(mode="json")
    await tx.execute(
        ADD_SCHEDULE, event.subscription_id, event.snapshot, event.customer_id, body, tx.now
    )


async def of_customer(reader: Reader, customer_id: str) -> dict[str, RenewalScheduled]:
    """The latest of each subscription."""
    rows = await reader.fetch(SCHEDULES_OF, customer_id)
    return {row["subscription_id"]: RenewalScheduled.model_validate(row["body"]) for row in rows}
