"""Which customers the renewal desk has to look at in a period."""

from __future__ import annotations

from shared.kernel.periods import Period
from shared.runtime.postgres import Reader

# A term that ends, a batch of seats whose window closes, a sheet row or a licence rule that begins
# or ends. ISO dates compare as text.
CONCERNED = """
SELECT customer_id FROM (
    SELECT customer_id FROM subscription_change
    WHERE body ->> 'term_end' >= $1::text AND body ->> 'term_end' < $2::text
    UNION
    SELECT customer_id FROM subscription_change
    WHERE effective_at >= $1::text::date - 8 AND effective_at < $2::text::date
    UNION
    SELECT customer_id FROM subscription_change WHERE product_key IN (
        SELECT product_key FROM price_row
        WHERE effective_from >= $1::text::date AND effective_from < $2::text::date
           OR effective_until >= $1::text::date AND effective_until < $2::text::date)
    UNION
    SELECT provider_customer_id FROM contract_version c JOIN price_rule_version r
      ON (r.contract_id IS NULL OR r.contract_id = c.contract_id)
     AND (r.customer_id IS NULL OR r.customer_id = c.provider_customer_id)
    WHERE r.kind = 'licence'
      AND (r.valid_from >= $1::text::date AND r.valid_from < $2::text::date
        OR r.valid_until >= $1::text::date AND r.valid_until < $2::text::date)
) AS found
WHERE customer_id > $3 AND ($4::text IS NULL OR customer_id = $4)
  AND ($5::text IS NULL OR customer_id IN (
      SELECT provider_customer_id FROM contract_version WHERE contract_id = $5))
ORDER BY customer_id LIMIT $6
"""


async def concerned(
    reader: Reader,
    within: Period,
    *,
    customer_id: str | None,
    contract_id: str | None,
    after: str,
    limit: int,
) -> list[str]:
    """In order of their ids."""
    rows = await reader.fetch(
        CONCERNED, within.start.isoformat(), within.end.isoformat(), after, customer_id,
        contract_id, limit,
    )  # fmt: skip
    return [row["customer_id"] for row in rows]
