"""Exports asked for at the provider: how far each one is, and why it waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ingest.domain.accounts import DEFAULT, scoped
from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 60.0

INSERT_EXPORT = """
INSERT INTO export (id, kind, data_set, invoice_number, currency, period, state, requested_by,
                    requested_at, due_at, account_id)
VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $8, now(), $9)
"""
CLAIM_EXPORT = """
UPDATE export SET state = 'running', lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE id = (
    SELECT id FROM export
    WHERE account_id = $4
      AND (state IN ('pending', 'running') AND due_at <= now()
           OR state = 'waiting' AND waits_until <= $3)
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, account_id, kind, data_set, invoice_number, currency, period, operation_id, file_id,
          attempts, lease, requested_at
"""
RENEW_EXPORT = """
UPDATE export SET leased_until = now() + $3 * interval '1 second'
WHERE id = $1 AND lease = $2 RETURNING true
"""
# While a transaction of the holder has the row, it is not free for anybody else either: waiting for
# it would only block the heartbeat. A lease that nobody holds is not lost: its work has just ended.
BEAT_EXPORT = """
WITH held AS (SELECT id FROM export WHERE id = $1 AND lease = $2 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE export SET leased_until = now() + $3 * interval '1 second'
         FROM held WHERE export.id = held.id)
SELECT lease IS NULL OR lease = $2 FROM export WHERE id = $1
"""
EXPORT_ASKED = """
UPDATE export SET operation_id = $3, reason = NULL, due_at = now() + $4 * interval '1 second',
    lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
LOADS_FILE = "UPDATE export SET file_id = $3 WHERE id = $1 AND lease = $2"
RETRY_EXPORT = """
UPDATE export
SET attempts = attempts + $5, reason = $3, due_at = now() + $4 * interval '1 second',
    operation_id = CASE WHEN $6 THEN NULL ELSE operation_id END,
    file_id = CASE WHEN $6 THEN NULL ELSE file_id END, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
WAIT_FOR_DATA = """
UPDATE export
SET state = 'waiting', reason = $3, waits_until = $4, attempts = 0, operation_id = NULL,
    lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
RESUME_EXPORT = """
UPDATE export
SET state = 'pending', outcome = NULL, reason = NULL, waits_until = NULL, attempts = 0,
    operation_id = NULL, file_id = NULL, finished_at = NULL, requested_at = $3, due_at = now()
WHERE id = $1 AND kind = $2 AND (state IN ('waiting', 'failed') OR outcome = 'no_data')
RETURNING true
"""
FINISH_EXPORT = """
UPDATE export
SET state = $3, outcome = $4, file_id = coalesce($5, file_id), reason = $6, finished_at = $7,
    lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
# What waits for the provider is no work for us before its time.
COUNT_OPEN_EXPORTS = """
SELECT count(*) FROM export
WHERE account_id = $2
  AND (state IN ('pending', 'running') OR state = 'waiting' AND waits_until <= $1)
"""
LIST_EXPORTS = """
SELECT id, account_id, kind, data_set, invoice_number, currency, period, state, outcome, file_id,
       reason, attempts, waits_until, requested_by, requested_at, finished_at
FROM export
WHERE kind = $1 AND ($2::timestamptz IS NULL OR (requested_at, id) < ($2, $3))
ORDER BY requested_at DESC, id DESC LIMIT $4
"""
FIND_EXPORT = """
SELECT id, account_id, kind, data_set, invoice_number, currency, period, state, outcome, file_id,
       reason, attempts, waits_until, requested_by, requested_at, finished_at
FROM export WHERE id = $1 AND kind = $2
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What to export. Billed data has an invoice number, open data a currency and a period."""

    kind: str  # usage, reconciliation
    invoice_number: str | None = None
    currency: str | None = None
    period: str | None = None
    account_id: str = DEFAULT

    @property
    def data_set(self) -> str:
        if self.invoice_number is not None:
            return scoped(self.account_id, f"billed/{self.invoice_number}")
        return scoped(self.account_id, f"unbilled/{self.currency}/{self.period}")


@dataclass(frozen=True, slots=True)
class Export:
    """A claimed export."""

    id: str
    account_id: str
    kind: str
    data_set: str
    invoice_number: str | None
    currency: str | None
    period: str | None
    operation_id: str | None
    file_id: str | None  # the version it began to load
    attempts: int
    lease: str
    requested_at: datetime

    @property
    def estimate(self) -> bool:
        """Open data is a preview, never a bill."""
        return self.invoice_number is None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an export ended."""

    state: str  # done, failed
    outcome: str | None = None  # loaded, unchanged, superseded, no_data
    file_id: str | None = None
    reason: str | None = None


async def add_export(tx: Transaction, export_id: str, order: Order) -> None:
    await tx.execute(
        INSERT_EXPORT,
        export_id,
        order.kind,
        order.data_set,
        order.invoice_number,
        order.currency,
        order.period,
        tx.actor,
        tx.now,
        order.account_id,
    )


async def claim_export(tx: Transaction, lease: str, *, account_id: str) -> Export | None:
    row = await tx.fetchrow(CLAIM_EXPORT, lease, LEASE_S, tx.now, account_id)
    return Export(**dict(row)) if row else None


async def renew_export(tx: Transaction, export: Export) -> bool:
    """Whether the export is still ours, and for how long again."""
    return await tx.fetchval(RENEW_EXPORT, export.id, export.lease, LEASE_S) is True


async def beat_export(tx: Transaction, export: Export) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    return await tx.fetchval(BEAT_EXPORT, export.id, export.lease, LEASE_S) is True


async def export_asked(
    tx: Transaction, export: Export, *, operation_id: str, after_s: float
) -> None:
    await tx.execute(EXPORT_ASKED, export.id, export.lease, operation_id, after_s)


async def loads_file(tx: Transaction, export: Export, file_id: str) -> None:
    """Keep which version is being loaded, for whoever goes on with it."""
    await tx.execute(LOADS_FILE, export.id, export.lease, file_id)


async def retry_export(
    tx: Transaction,
    export: Export,
    *,
    reason: str | None,
    after_s: float,
    counts: bool = True,
    afresh: bool = False,
) -> None:
    """Come back later; `afresh` asks the provider for a new export then."""
    await tx.execute(
        RETRY_EXPORT, export.id, export.lease, reason, after_s, 1 if counts else 0, afresh
    )


async def wait_for_data(tx: Transaction, export: Export, *, reason: str, until: datetime) -> None:
    """Ask the provider again at this business time."""
    await tx.execute(WAIT_FOR_DATA, export.id, export.lease, reason, until)


async def resume_export(tx: Transaction, export_id: str, kind: str) -> bool:
    """Order it once more, as of now; False when it neither waits nor failed."""
    return await tx.fetchval(RESUME_EXPORT, export_id, kind, tx.now) is True


async def finish_export(tx: Transaction, export: Export, outcome: Outcome) -> None:
    await tx.execute(
        FINISH_EXPORT,
        export.id,
        export.lease,
        outcome.state,
        outcome.outcome,
        outcome.file_id,
        outcome.reason,
        tx.now,
    )


async def count_open_exports(reader: Reader, *, account_id: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN_EXPORTS, reader.now, account_id))


async def list_exports(
    reader: Reader, kind: str, *, before: tuple[datetime, str] | None, limit: int
) -> list[Record]:
    at, key = before or (None, None)
    return await reader.fetch(LIST_EXPORTS, kind, at, key, limit)


async def find_export(reader: Reader, export_id: str, kind: str) -> Record | None:
    return await reader.fetchrow(FIND_EXPORT, export_id, kind)
