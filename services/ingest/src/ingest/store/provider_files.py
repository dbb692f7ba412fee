"""Versions of data sets: their progress, their lines as downloaded, their control totals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import pyarrow as pa

from ingest.domain.reconciliation import InvoiceLine
from ingest.domain.usage_lines import Totals
from shared.kernel.periods import Period
from shared.runtime.postgres import Reader, Record, Transaction

CODEC: Final = "zstd"

OPEN_FILE = """
INSERT INTO provider_file (file_id, kind, data_set, version, invoice_number, estimate, state,
                           blobs, opened_at)
VALUES ($1, $2, $3, $4, $5, $6, 'loading', $7, $8)
ON CONFLICT (file_id) DO NOTHING
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
KEEP_CHUNK = """
INSERT INTO raw_chunk (file_id, first_line, lines, raw_bytes, content) VALUES ($1, $2, $3, $4, $5)
"""
CHUNK_OF_LINE = """
SELECT first_line, lines, raw_bytes, content FROM raw_chunk
WHERE file_id = $1 AND first_line <= $2 ORDER BY first_line DESC LIMIT 1
"""
KEEP_LINE = """
INSERT INTO provider_line (file_id, line_number, line_id, kind, charge_type, customer_id,
    subscription_id, charge_start, charge_end, quantity, subtotal, currency, published)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
# The newest version of its data set that has the line.
FIND_LINE = """
SELECT l.*, f.data_set, f.version, f.invoice_number
FROM provider_line l JOIN provider_file f USING (file_id)
WHERE l.line_id = $1 ORDER BY f.opened_at DESC, l.line_number LIMIT 1
"""
# Two versions that close together must not both miss the lines of the other one.
HOLD_DATA_SET = """
SELECT pg_advisory_xact_lock(hashtextextended('ingest/data-set/' || $1 || '/' || $2, 0))
"""
MISSING_LINES = """
SELECT DISTINCT ON (l.line_id) l.line_id, l.file_id, l.line_number,
       f.billing_period_start, f.billing_period_end
FROM provider_line l JOIN provider_file f USING (file_id)
WHERE f.kind = $1 AND f.data_set = $2 AND f.state = 'closed' AND f.file_id <> $3 AND l.published
  AND NOT EXISTS (SELECT FROM provider_line n
                  WHERE n.file_id = $3 AND n.line_id = l.line_id AND n.published)
ORDER BY l.line_id, l.file_id, l.line_number
"""


@dataclass(frozen=True, slots=True)
class ProviderFile:
    """One version of a data set and how much of it is committed."""

    file_id: str
    kind: str
    data_set: str
    version: str
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


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line of an invoice with its derived id."""

    line: InvoiceLine
    line_id: str
    published: bool


@dataclass(frozen=True, slots=True)
class MissingLine:
    """A published line of an earlier version that a newer one does not have."""

    line_id: str
    number: int
    billing: Period
    raw: bytes


async def open_file(tx: Transaction, file: ProviderFile, *, blobs: int) -> None:
    """Make the row of a version; a version that has one keeps its progress."""
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
    )
    if file.billing_period is not None:
        await set_billing_period(tx, file.file_id, file.billing_period)


async def find_file(reader: Reader, file_id: str, *, lock: bool = False) -> ProviderFile | None:
    row = await reader.fetchrow(LOCK_FILE if lock else FIND_FILE, file_id)
    return _file(row) if row else None


async def show_file(reader: Reader, file_id: str) -> Record | None:
    return await reader.fetchrow(FIND_FILE, file_id)


async def find_line(reader: Reader, line_id: str) -> Record | None:
    """Where an invoice line stands, by the id derived from its identity."""
    return await reader.fetchrow(FIND_LINE, line_id)


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


def compress(raw: bytes) -> bytes:
    """The form in which raw lines are kept; releases the interpreter while it works."""
    return pa.compress(raw, codec=CODEC, asbytes=True)


async def keep_chunk(
    tx: Transaction, file_id: str, *, first_line: int, lines: int, raw_bytes: int, content: bytes
) -> None:
    await tx.execute(KEEP_CHUNK, file_id, first_line, lines, raw_bytes, content)


async def raw_line(reader: Reader, file_id: str, line_number: int) -> bytes | None:
    """A line exactly as the provider sent it."""
    row = await reader.fetchrow(CHUNK_OF_LINE, file_id, line_number)
    if row is None or line_number >= row["first_line"] + row["lines"]:
        return None
    index: int = line_number - row["first_line"]
    return _lines_of(row)[index]


async def hold_data_set(tx: Transaction, file: ProviderFile) -> None:
    """Be the only one to close a version of this data set until commit."""
    await tx.fetchval(HOLD_DATA_SET, file.kind, file.data_set)


async def missing_lines(tx: Transaction, file: ProviderFile) -> list[MissingLine]:
    """What earlier versions of the data set published and this one, kept already, lacks."""
    rows = await tx.fetch(MISSING_LINES, file.kind, file.data_set, file.file_id)
    found: list[MissingLine] = []
    chunk: tuple[str, int, list[bytes]] = ("", 0, [])  # of a file, its first line, its lines
    for row in sorted(rows, key=lambda row: (row["file_id"], row["line_number"])):
        file_id, number = row["file_id"], row["line_number"]
        if chunk[0] != file_id or number >= chunk[1] + len(chunk[2]):
            kept = await tx.fetchrow(CHUNK_OF_LINE, file_id, number)
            if kept is None:
                raise RuntimeError(f"line {number} of file {file_id} is not kept")
            chunk = (file_id, kept["first_line"], _lines_of(kept))
        billing = Period(row["billing_period_start"], row["billing_period_end"])
        raw = chunk[2][number - chunk[1]]
        found.append(MissingLine(row["line_id"], number, billing, raw))
    return found


def _lines_of(chunk: Record) -> list[bytes]:
    raw: bytes = pa.decompress(chunk["content"], chunk["raw_bytes"], codec=CODEC, asbytes=True)
    return raw.split(b"\n")


async def keep_lines(tx: Transaction, file_id: str, lines: Iterable[StoredLine]) -> None:
    rows: list[tuple[object, ...]] = [
        (
            file_id,
            stored.line.number,
            stored.line_id,
            stored.line.kind.value,
            stored.line.charge_type,
            stored.line.customer_id,
            stored.line.subscription_id,
            stored.line.charge.start,
            stored.line.charge.end,
            stored.line.quantity,
            stored.line.subtotal,
            stored.line.currency,
            stored.published,
        )
        for stored in lines
    ]
    await tx.executemany(KEEP_LINE, rows)


def _file(row: Record) -> ProviderFile:
    start: date | None = row["billing_period_start"]
    return ProviderFile(
        file_id=row["file_id"],
        kind=row["kind"],
        data_set=row["data_set"],
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
