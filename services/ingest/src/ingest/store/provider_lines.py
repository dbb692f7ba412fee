"""The lines of provider files: all of them as downloaded, those of invoices also as read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from ingest.domain.reconciliation import InvoiceLine
from ingest.store.provider_files import ProviderFile
from shared.kernel.periods import Period
from shared.runtime.postgres import Reader, Record, Transaction

CODEC: Final = "zstd"

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
WHERE l.line_id = $1 ORDER BY f.number DESC, l.line_number LIMIT 1
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


async def find_line(reader: Reader, line_id: str) -> Record | None:
    """Where an invoice line stands, by the id derived from its identity."""
    return await reader.fetchrow(FIND_LINE, line_id)


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
