"""Activity records of the provider: kept whole, found by the subscriptions they touch."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.domain.audit_records import AuditRecord, read_audit_record
from shared.runtime.postgres import Reader, Record, Transaction

MOST_RECORDS = 500  # of one subscription, the newest

# A record may be seen in progress first; its final form replaces that.
KEEP_RECORDS = """
INSERT INTO audit_record (account_id, record_id, customer_id, operation, resource_type, status,
                          operation_at, actor, document, first_seen_at)
SELECT $10, r.*, $9 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                                $6::timestamptz[], $7::text[], $8::jsonb[]) AS r
ON CONFLICT (account_id, record_id) DO UPDATE
SET status = EXCLUDED.status, document = EXCLUDED.document
WHERE audit_record.status <> EXCLUDED.status
RETURNING record_id
"""
LINK_RECORDS = """
INSERT INTO audit_record_subscription (account_id, subscription_id, record_id, operation_at)
SELECT $4, r.* FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS r
ON CONFLICT DO NOTHING
"""
RECORDS_OF = """
SELECT r.document
FROM audit_record_subscription s JOIN audit_record r USING (account_id, record_id)
WHERE s.account_id = $1 AND s.subscription_id = $2 ORDER BY s.operation_at DESC LIMIT $3
"""
FIND_RECORD = "SELECT * FROM audit_record WHERE account_id = $1 AND record_id = $2"


async def keep_records(
    tx: Transaction, records: Sequence[AuditRecord], *, account_id: str
) -> list[AuditRecord]:
    """Store records an account was told. Returns those that are new, or new in their final form."""
    # In one order everywhere, so that two transactions with common records never wait in a circle.
    unique = sorted({r.key: r for r in records}.values(), key=lambda r: r.key)
    if not unique:
        return []
    kept = await tx.fetch(
        KEEP_RECORDS,
        [r.key for r in unique],
        [r.customer_id for r in unique],
        [r.operation for r in unique],
        [r.resource_type for r in unique],
        [r.status for r in unique],
        [r.at for r in unique],
        [r.actor for r in unique],
        [dict(r.document) for r in unique],
        tx.now,
        account_id,
    )
    links = sorted((t.subscription_id, r.key, r.at) for r in unique for t in r.touches)
    if links:
        columns = (list(column) for column in zip(*links, strict=True))
        await tx.execute(LINK_RECORDS, *columns, account_id)
    fresh = {row["record_id"] for row in kept}
    return [r for r in unique if r.key in fresh]


async def records_of(reader: Reader, account_id: str, subscription_id: str) -> list[AuditRecord]:
    """The newest records of an account that touch a subscription."""
    rows = await reader.fetch(RECORDS_OF, account_id, subscription_id, MOST_RECORDS)
    return [read_audit_record(row["document"]) for row in rows]


async def find_record(reader: Reader, account_id: str, record_id: str) -> Record | None:
    return await reader.fetchrow(FIND_RECORD, account_id, record_id)
