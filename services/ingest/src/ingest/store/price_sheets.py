"""Price sheet imports and the sheets that were published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.ingest import PriceSheetPublished
from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 120.0

INSERT_IMPORT = """
INSERT INTO price_sheet_import (id, market, currency, view, state, requested_by, requested_at,
                                due_at, account_id)
VALUES ($1, $2, $3, $4, 'pending', $5, $6, now(), $7)
"""
CLAIM_IMPORT = """
UPDATE price_sheet_import
SET state = 'running', lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE id = (
    SELECT id FROM price_sheet_import
    WHERE account_id = $3 AND state IN ('pending', 'running') AND due_at <= now()
      AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, market, currency, view, attempts, lease, requested_at
"""
HOLD_IMPORT = """
SELECT true FROM price_sheet_import WHERE id = $1 AND lease = $2 FOR UPDATE
"""
# Never waits for the work's own transaction; a lease that nobody holds is not lost (see exports).
BEAT_IMPORT = """
WITH held AS (
         SELECT id FROM price_sheet_import WHERE id = $1 AND lease = $2 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE price_sheet_import i SET leased_until = now() + $3 * interval '1 second'
         FROM held WHERE i.id = held.id)
SELECT lease IS NULL OR lease = $2 FROM price_sheet_import WHERE id = $1
"""
RETRY_IMPORT = """
UPDATE price_sheet_import
SET attempts = attempts + 1, reason = $3, due_at = now() + $4 * interval '1 second',
    state = CASE WHEN $5 THEN 'failed' ELSE state END,
    finished_at = CASE WHEN $5 THEN $6::timestamptz END, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2
"""
FINISH_IMPORT = """
UPDATE price_sheet_import
SET state = 'done', outcome = $3, sheet_id = $4, finished_at = $5, reason = NULL, lease = NULL,
    leased_until = NULL
WHERE id = $1 AND lease = $2
"""
KEEP_SHEET = """
INSERT INTO price_sheet (sheet_id, market, currency, view, basis, sha256, rows, refused, fetched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
HOLD_SHEETS = "SELECT pg_advisory_xact_lock(hashtextextended('ingest/price-sheet/' || $1, 0))"
LATEST_SHEET = """
SELECT sheet_id, sha256, basis, fetched_at FROM price_sheet
WHERE market = $1 AND currency = $2 AND view = $3 ORDER BY number DESC LIMIT 1
"""
TIMES_PUBLISHED = """
SELECT count(*) FROM price_sheet
WHERE market = $1 AND currency = $2 AND view = $3 AND basis = $4 AND sha256 = $5
"""
COUNT_OPEN_IMPORTS = """
SELECT count(*) FROM price_sheet_import
WHERE account_id = $1 AND state IN ('pending', 'running')
"""
LIST_IMPORTS = """
SELECT i.id, i.account_id, i.market, i.currency, i.view, i.state, i.outcome, i.sheet_id, i.reason,
       i.attempts, i.requested_by, i.requested_at, i.finished_at, s.rows, s.refused, s.basis
FROM price_sheet_import i LEFT JOIN price_sheet s USING (sheet_id)
WHERE ($1::text IS NULL OR i.id = $1)
  AND ($2::timestamptz IS NULL OR (i.requested_at, i.id) < ($2, $3))
ORDER BY i.requested_at DESC, i.id DESC LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Import:
    """A claimed import."""

    id: str
    market: str
    currency: str
    view: str
    attempts: int
    lease: str
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class SheetFile:
    """What a published sheet was read from."""

    sha256: str
    view: str
    basis: str
    rows: int
    refused: int


@dataclass(frozen=True, slots=True)
class Wish:
    """Which sheet to import, and through which account."""

    account_id: str
    market: str
    currency: str
    view: str


async def add_import(tx: Transaction, import_id: str, wish: Wish) -> None:
    await tx.execute(
        INSERT_IMPORT, import_id, wish.market, wish.currency, wish.view, tx.actor, tx.now,
        wish.account_id,
    )  # fmt: skip


async def claim_import(tx: Transaction, lease: str, *, account_id: str) -> Import | None:
    row = await tx.fetchrow(CLAIM_IMPORT, lease, LEASE_S, account_id)
    return Import(**dict(row)) if row else None


async def hold_import(tx: Transaction, claimed: Import) -> bool:
    return await tx.fetchval(HOLD_IMPORT, claimed.id, claimed.lease) is True


async def beat_import(tx: Transaction, claimed: Import) -> bool:
    """Renew the lease beside the work; False when somebody else holds it."""
    return await tx.fetchval(BEAT_IMPORT, claimed.id, claimed.lease, LEASE_S) is True


async def retry_import(
    tx: Transaction, claimed: Import, *, reason: str, after_s: float, give_up: bool
) -> None:
    await tx.execute(RETRY_IMPORT, claimed.id, claimed.lease, reason, after_s, give_up, tx.now)


async def finish_import(tx: Transaction, claimed: Import, *, outcome: str, sheet_id: str) -> None:
    await tx.execute(FINISH_IMPORT, claimed.id, claimed.lease, outcome, sheet_id, tx.now)


async def latest_sheet(tx: Transaction, claimed: Import) -> Record | None:
    """The sheet of this kind that was published last; nobody else publishes one before commit."""
    place = (claimed.market, claimed.currency, claimed.view)
    await tx.fetchval(HOLD_SHEETS, "/".join(place))
    return await tx.fetchrow(LATEST_SHEET, *place)


async def times_published(tx: Transaction, claimed: Import, *, basis: str, sha256: str) -> int:
    """How often this file, read in this way, was the latest sheet."""
    place = (claimed.market, claimed.currency, claimed.view)
    return int(await tx.fetchval(TIMES_PUBLISHED, *place, basis, sha256))


async def keep_sheet(tx: Transaction, sheet: PriceSheetPublished, file: SheetFile) -> None:
    await tx.execute(
        KEEP_SHEET,
        sheet.sheet_id,
        sheet.market,
        sheet.currency,
        file.view,
        file.basis,
        file.sha256,
        file.rows,
        file.refused,
        sheet.fetched_at,
    )


async def count_open_imports(reader: Reader, *, account_id: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN_IMPORTS, account_id))


async def list_imports(
    reader: Reader,
    *,
    import_id: str | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 1,
) -> list[Record]:
    at, key = before or (None, None)
    return await reader.fetch(LIST_IMPORTS, import_id, at, key, limit)
