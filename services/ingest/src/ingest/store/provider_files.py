"""Versions of data sets: which one is the latest, their progress, their control totals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ingest.domain.usage_lines import Totals
from shared.kernel.periods import Period
from shared.runtime.postgres import Reader, Record, Transaction

OPEN_FILE = """
INSERT INTO provider_file (file_id, kind, data_set, version, invoice_number, estimate, state,
                           blobs, opened_at, etag, account_id)
VALUES ($1, $2, $3, $4, $5, $6, 'loading', $7, $8, $9, $10)
"""
LATEST_OF_SET = """
SELECT * FROM provider_file WHERE kind = $1 AND data_set = $2 ORDER BY number DESC LIMIT 1
"""
TIMES_SEEN = """
SELECT count(*) FROM provider_file WHERE kind = $1 AND data_set = $2 AND etag = $3
"""
NEWER_CLOSED = """
SELECT newer.version FROM provider_file f JOIN provider_file newer USING (kind, data_set)
WHERE f.file_id = $1 AND newer.number > f.number AND newer.state = 'closed'
ORDER BY newer.number DESC LIMIT 1
"""
FIND_FILE = "SELECT * FROM provider_file WHERE file_id = $1"
LOCK_FILE = "SELECT * FROM provider_file WHERE file_id = $1 FOR UPDATE"
SET_PERIOD = """
UPDATE provider_file SET billing_period_start = $2, billing_period_end = $3
WHERE file_id = $1 AND billing_period_start IS NULL
"""
ADVANCE_FILE = """
UPDATE provider_file
SET lines_read = $2, batches = $3, lines = $4, quantity = $5, billing_pretax = $6, quarantined = $7
WHERE file_id = $1
"""
CLOSE_FILE = "UPDATE provider_file SET state = 'closed', closed_at = $2 WHERE file_id = $1"
# Two versions that open or close together: each must see what the other one did.
HOLD_DATA_SET = """
SELECT pg_advisory_xact_lock(hashtextextended('ingest/data-set/' || $1 || '/' || $2, 0))
"""


@dataclass(frozen=True, slots=True)
class ProviderFile:
    """One version of a data set and how much of it is committed."""

    file_id: str
    account_id: str
    kind: str
    data_set: str
    etag: str
    version: str  # the eTag; of one that came back, with the number of its times
    invoice_number: str | None
    billing_period: Period | None
    estimate: bool
    closed: bool
    lines_read: int
    batches: int
    totals: Totals
    quarantined: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a file stands after a chunk."""

    lines_read: int
    batches: int
    totals: Totals
    quarantined: int


async def open_file(tx: Transaction, file: ProviderFile, *, blobs: int) -> None:
    """Make the row of a version that has none."""
    await tx.execute(
        OPEN_FILE,
        file.file_id,
        file.kind,
        file.data_set,
        file.version,
        file.invoice_number,
        file.estimate,
        blobs,
        tx.now,
        file.etag,
        file.account_id,
    )
    if file.billing_period is not None:
        await set_billing_period(tx, file.file_id, file.billing_period)


async def find_file(reader: Reader, file_id: str, *, lock: bool = False) -> ProviderFile | None:
    row = await reader.fetchrow(LOCK_FILE if lock else FIND_FILE, file_id)
    return _file(row) if row else None


async def show_file(reader: Reader, file_id: str) -> Record | None:
    return await reader.fetchrow(FIND_FILE, file_id)


async def set_billing_period(tx: Transaction, file_id: str, period: Period) -> None:
    await tx.execute(SET_PERIOD, file_id, period.start, period.end)


async def advance(tx: Transaction, file_id: str, progress: Progress) -> None:
    await tx.execute(
        ADVANCE_FILE,
        file_id,
        progress.lines_read,
        progress.batches,
        progress.totals.lines,
        progress.totals.quantity,
        progress.totals.billing_pretax,
        progress.quarantined,
    )


async def close_file(tx: Transaction, file_id: str) -> None:
    await tx.execute(CLOSE_FILE, file_id, tx.now)


async def hold_data_set(tx: Transaction, kind: str, data_set: str) -> None:
    """Be the only one to open or close a version of this data set until commit."""
    await tx.fetchval(HOLD_DATA_SET, kind, data_set)


async def latest_of(tx: Transaction, kind: str, data_set: str) -> ProviderFile | None:
    """The version that was opened last."""
    row = await tx.fetchrow(LATEST_OF_SET, kind, data_set)
    return _file(row) if row else None


async def times_seen(tx: Transaction, kind: str, data_set: str, etag: str) -> int:
    """How often this version was the latest one."""
    return int(await tx.fetchval(TIMES_SEEN, kind, data_set, etag))


async def newer_version(tx: Transaction, file: ProviderFile) -> str | None:
    """The version of the data set that was opened later and is closed already, if one is."""
    found: str | None = await tx.fetchval(NEWER_CLOSED, file.file_id)
    return found


def _file(row: Record) -> ProviderFile:
    start: date | None = row["billing_period_start"]
    return ProviderFile(
        file_id=row["file_id"],
        account_id=row["account_id"],
        kind=row["kind"],
        data_set=row["data_set"],
        etag=row["etag"],
        version=row["version"],
        invoice_number=row["invoice_number"],
        billing_period=Period(start, row["billing_period_end"]) if start else None,
        estimate=row["estimate"],
        closed=row["state"] == "closed",
        lines_read=row["lines_read"],
        batches=row["batches"],
        totals=Totals(row["lines"], Decimal(row["quantity"]), Decimal(row["billing_pretax"])),
        quarantined=row["quarantined"],
    )
