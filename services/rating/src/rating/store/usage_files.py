"""The state of usage files: what came, what was announced, and which version counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from shared.contracts.ingest import UsageFileClosed
from shared.contracts.usage_frame import FrameHeader
from shared.runtime.postgres import Reader, Record, Transaction

ADD_FILE = """
INSERT INTO usage_file (file_id, data_set, invoice_number, billing_month, estimate)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (file_id) DO NOTHING
"""
COUNT_IN = """
UPDATE usage_file SET batches = batches + 1, lines = lines + $2, quantity = quantity + $3,
                      billing_pretax = billing_pretax + $4
WHERE file_id = $1 RETURNING *
"""
ANNOUNCE = """
UPDATE usage_file SET control = coalesce(control, $2), closed_at = coalesce(closed_at, $3)
WHERE file_id = $1 RETURNING *
"""
SET_STATE = "UPDATE usage_file SET state = $2, completed_at = $3 WHERE file_id = $1"
LOCK_DATA_SET = "SELECT pg_advisory_xact_lock(hashtextextended('rating/data-set/' || $1, 0))"
CURRENT_OF = "SELECT * FROM usage_file WHERE data_set = $1 AND state = 'current'"
FIND_FILE = "SELECT * FROM usage_file WHERE file_id = $1"
OUTCOMES = """
SELECT d.outcome, sum(d.lines)::bigint AS lines, sum(d.quantity) AS quantity,
       sum(d.billing_pretax) AS billing_pretax
FROM usage_delta d JOIN usage_batch b ON b.id = d.batch
WHERE b.file_id = $1 GROUP BY d.outcome ORDER BY d.outcome
"""
COUNT_LINES = """
SELECT count(*) FROM rated_usage_line l JOIN usage_batch b ON b.id = l.batch WHERE b.file_id = $1
"""
# Months in which a billed file counts and none is announced whose first version is not all here.
KNOWN_MONTHS = """
SELECT billing_month FROM usage_file f WHERE NOT estimate
GROUP BY billing_month
HAVING bool_or(state = 'current') AND NOT bool_or(
    state IN ('receiving', 'incomplete', 'mismatch') AND NOT EXISTS (
        SELECT 1 FROM usage_file c WHERE c.data_set = f.data_set AND c.state = 'current'))
"""
# For every file: lines that came, minus lines that have an outcome, minus lines that are stored.
UNACCOUNTED = """
SELECT f.file_id, f.lines AS received, coalesce(d.lines, 0)::bigint AS concluded,
       coalesce(l.lines, 0)::bigint AS stored
FROM usage_file f
LEFT JOIN (SELECT b.file_id, sum(x.lines) AS lines FROM usage_delta x
           JOIN usage_batch b ON b.id = x.batch GROUP BY b.file_id) d USING (file_id)
LEFT JOIN (SELECT b.file_id, count(*) AS lines FROM rated_usage_line x
           JOIN usage_batch b ON b.id = x.batch GROUP BY b.file_id) l USING (file_id)
WHERE f.lines <> coalesce(d.lines, 0) OR f.lines <> coalesce(l.lines, 0)
"""


@dataclass(frozen=True, slots=True)
class UsageFile:
    """One version of a data set; `control` is what it announced, None before it did."""

    file_id: str
    data_set: str
    invoice_number: str | None
    billing_month: date
    estimate: bool
    state: str
    batches: int
    lines: int
    quantity: Decimal
    billing_pretax: Decimal
    control: UsageFileClosed | None
    closed_at: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class OutcomeTotal:
    outcome: str
    lines: int
    quantity: Decimal
    billing_pretax: Decimal


async def add_file(tx: Transaction, header: FrameHeader) -> None:
    """Make sure that the file of a batch has a row."""
    month = date.fromisoformat(f"{header.billing_month}-01")
    await tx.execute(
        ADD_FILE, header.file_id, header.data_set, header.invoice_number, month, header.estimate
    )


async def count_in(
    tx: Transaction, file_id: str, *, lines: int, quantity: Decimal, billing_pretax: Decimal
) -> UsageFile:
    """Count one batch more. The file's row is held from here to the commit: do this last."""
    row = await tx.fetchrow(COUNT_IN, file_id, lines, quantity, billing_pretax)
    assert row is not None  # the batch made sure
    return _file(row)


async def announce(tx: Transaction, event: UsageFileClosed, closed_at: datetime) -> UsageFile:
    """Keep what the file says it holds."""
    await tx.execute(
        ADD_FILE, event.file_id, event.data_set, event.invoice_number,
        event.billing_period.start, event.estimate,
    )  # fmt: skip
    row = await tx.fetchrow(ANNOUNCE, event.file_id, event.model_dump(mode="json"), closed_at)
    assert row is not None
    return _file(row)


async def set_state(tx: Transaction, file_id: str, state: str) -> None:
    await tx.execute(SET_STATE, file_id, state, tx.now)


async def current_of(tx: Transaction, data_set: str) -> UsageFile | None:
    """The version that counts; nobody else replaces it before this transaction ends."""
    await tx.fetchval(LOCK_DATA_SET, data_set)
    row = await tx.fetchrow(CURRENT_OF, data_set)
    return _file(row) if row else None


async def find_file(reader: Reader, file_id: str) -> UsageFile | None:
    row = await reader.fetchrow(FIND_FILE, file_id)
    return _file(row) if row else None


async def outcome_totals(reader: Reader, file_id: str) -> list[OutcomeTotal]:
    """What became of the lines of a file."""
    return [OutcomeTotal(*row.values()) for row in await reader.fetch(OUTCOMES, file_id)]


async def stored_lines(reader: Reader, file_id: str) -> int:
    return int(await reader.fetchval(COUNT_LINES, file_id))


async def known_months(reader: Reader) -> frozenset[date]:
    """First days of the billing months whose billed usage is complete."""
    return frozenset(row["billing_month"] for row in await reader.fetch(KNOWN_MONTHS))


async def unaccounted(reader: Reader) -> list[dict[str, Any]]:
    """Files where lines in ≠ lines with an outcome, or ≠ lines stored. Must be empty, always."""
    return [dict(row) for row in await reader.fetch(UNACCOUNTED)]


def _file(row: Record) -> UsageFile:
    control = row["control"]
    return UsageFile(
        file_id=row["file_id"],
        data_set=row["data_set"],
        invoice_number=row["invoice_number"],
        billing_month=row["billing_month"],
        estimate=row["estimate"],
        state=row["state"],
        batches=row["batches"],
        lines=row["lines"],
        quantity=row["quantity"],
        billing_pretax=row["billing_pretax"],
        control=UsageFileClosed.model_validate(control) if control else None,
        closed_at=row["closed_at"],
        completed_at=row["completed_at"],
    )
