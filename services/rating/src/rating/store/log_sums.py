"""What the License Change Log sums to, beside what the changes of a subscription say."""

from __future__ import annotations

from dataclasses import dataclass

from shared.runtime.postgres import Reader, Record

CUSTOMERS = """
SELECT DISTINCT customer_id FROM subscription_change
WHERE customer_id > $1 ORDER BY customer_id LIMIT $2
"""
# As `timeline.build` counts: what the first known version found, and every change since but guesses
# of which the truth is known.
SUMS = """
SELECT c.subscription_id, c.customer_id, c.origin, c.changed, c.provider,
    (SELECT coalesce(sum((e.body ->> 'quantity_after')::bigint
                       - (e.body ->> 'quantity_before')::bigint), 0)::bigint
     FROM licence_change e WHERE e.subscription_id = c.subscription_id) AS logged,
    EXISTS (SELECT FROM hold h WHERE h.released_at IS NULL
            AND h.scope = 'log/' || c.subscription_id) AS known,
    EXISTS (SELECT FROM hold h WHERE h.released_at IS NULL AND h.customer_id = c.customer_id
            AND (h.object = 'subscription/' || c.subscription_id
              OR h.object = 'customer/' || c.customer_id)
            AND h.scope <> 'log/' || c.subscription_id)
    OR EXISTS (SELECT FROM due d WHERE d.customer_id = c.customer_id) AS waits
FROM (
    SELECT subscription_id, min(customer_id) AS customer_id,
        (array_agg((body ->> 'quantity_before')::bigint ORDER BY version, change_id))[1] AS origin,
        coalesce(
            sum((body ->> 'quantity_after')::bigint - (body ->> 'quantity_before')::bigint)
            FILTER (WHERE NOT EXISTS (
                SELECT FROM subscription_change truth
                WHERE truth.subscription_id = s.subscription_id
                  AND truth.body ->> 'supersedes' = s.change_id)), 0)::bigint AS changed,
        (array_agg((body ->> 'quantity_after')::bigint
                   ORDER BY body ->> 'supersedes' IS NULL DESC, version DESC, change_id DESC))[1]
            AS provider
    FROM subscription_change s
    WHERE customer_id = ANY($1::text[]) AND ($2::text IS NULL OR subscription_id = $2)
    GROUP BY subscription_id
) AS c
"""
COUNT_OPEN = "SELECT count(*) FROM hold WHERE released_at IS NULL AND reason = $1"


@dataclass(frozen=True, slots=True)
class Sums:
    """`origin`: seats before the first known change. `known`: it is held for this already. `waits`:
    something else of it is held, or due."""

    subscription_id: str
    customer_id: str
    origin: int
    changed: int
    provider: int
    logged: int
    known: bool
    waits: bool

    @property
    def agree(self) -> bool:
        return self.origin + self.changed == self.provider and self.changed == self.logged


async def customers(reader: Reader, *, after: str, limit: int) -> list[str]:
    rows = await reader.fetch(CUSTOMERS, after, limit)
    return [row["customer_id"] for row in rows]


async def of_customers(reader: Reader, customer_ids: list[str]) -> list[Sums]:
    """Of every subscription of these customers."""
    return [_sums(row) for row in await reader.fetch(SUMS, customer_ids, None)]


async def of_subscription(reader: Reader, customer_id: str, subscription_id: str) -> Sums:
    row = await reader.fetchrow(SUMS, [customer_id], subscription_id)
    assert row is not None  # changes are never removed
    return _sums(row)


async def count_open(reader: Reader, reason: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN, reason))


def _sums(row: Record) -> Sums:
    return Sums(
        row["subscription_id"],
        row["customer_id"],
        row["origin"],
        row["changed"],
        row["provider"],
        row["logged"],
        row["known"],
        row["waits"],
    )
