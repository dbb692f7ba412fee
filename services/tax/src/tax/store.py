"""Every SQL statement of tax, next to the rows it reads and writes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal

from shared.contracts.envelope import Envelope
from shared.contracts.invoicing import TaxMode
from shared.kernel.errors import Held
from shared.runtime.postgres import Reader, Record, Transaction
from tax.domain.determination import Determination, Document, Line
from tax.domain.rates import Entered, Rate

# One statement, so that the version names exactly the rows that come with it.
ENTERED_RATES = """
SELECT t.version AS table_now, (SELECT array_agg(DISTINCT category) FROM rate) AS categories, r.*
FROM rate_table t LEFT JOIN rate r ON r.jurisdiction = $1
"""
LOCK_TABLE = "SELECT version FROM rate_table FOR UPDATE"
# The rows an entry can conflict with: those of its id, and those of its place.
RATES_NEAR = """
SELECT * FROM rate WHERE rate_id = $1 OR (jurisdiction = $2 AND category = $3)
"""
BUMP_TABLE = "UPDATE rate_table SET version = version + 1 RETURNING version"
INSERT_RATE = """
INSERT INTO rate (rate_id, valid_from, version, jurisdiction, category, name, rate,
                  table_version, entered_at, entered_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
LIST_RATES = """
SELECT * FROM rate
WHERE ($1::text IS NULL OR jurisdiction = $1) AND ($2::text IS NULL OR category = $2)
ORDER BY rate_id, valid_from, version
"""

LATEST_DRAFT = """
SELECT * FROM draft WHERE invoice_id = $1 ORDER BY revision DESC LIMIT 1 FOR UPDATE
"""
SUPERSEDE = """
UPDATE draft SET state = 'superseded'
WHERE invoice_id = $1 AND revision < $2 AND state IN ('requested', 'held')
"""
INSERT_DRAFT = """
INSERT INTO draft (invoice_id, revision, account_id, jurisdiction, mode, currency, tax_date, net,
                   lines, cause, received_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'requested')
"""
REQUEST_STALE_HOLDS = """
UPDATE draft SET state = 'requested', tries = 0
WHERE state = 'held' AND engine_version <> $1
"""
# The least tried first: a draft that breaks the engine cannot keep others from their answer.
CLAIM = """
UPDATE draft SET tries = tries + 1
WHERE (invoice_id, revision) = (
    SELECT invoice_id, revision FROM draft WHERE state = 'requested'
    ORDER BY tries, received_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""
COUNT_OPEN = """
SELECT count(*) FROM draft
WHERE state = 'requested' OR (state = 'held' AND engine_version <> $1)
"""
LOCK_DRAFT = "SELECT * FROM draft WHERE invoice_id = $1 AND revision = $2 FOR UPDATE"
HOLD = """
UPDATE draft SET state = 'held', engine_version = $3, reason = $4, detail = $5,
                 held_since = coalesce(held_since, $6), holds = holds + $7
WHERE invoice_id = $1 AND revision = $2
"""
CLOSE_DRAFT = """
UPDATE draft SET state = 'determined', reason = NULL, detail = NULL, held_since = NULL
WHERE invoice_id = $1 AND revision = $2
"""
INSERT_DETERMINATION = """
INSERT INTO determination (determination_id, invoice_id, revision, engine, engine_version, lines,
                           totals, tax, determined_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
FIND_ANSWER = """
SELECT d.*, a.determination_id, a.engine, a.engine_version AS decided_with, a.lines AS taxed_lines,
       a.totals, a.tax, a.determined_at
FROM draft d LEFT JOIN determination a USING (invoice_id, revision)
WHERE d.invoice_id = $1 AND ($2::integer IS NULL OR d.revision = $2)
ORDER BY d.revision DESC LIMIT 1
"""
LIST_HOLDS = """
SELECT invoice_id, revision, jurisdiction, reason, detail, held_since FROM draft
WHERE state = 'held' AND ($1::timestamptz IS NULL
                           OR (held_since, invoice_id) > ($1::timestamptz, $2::text))
ORDER BY held_since, invoice_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """A stored draft and what became of it so far."""

    document: Document
    state: str
    reason: str | None
    detail: str | None
    holds: int
    cause: Envelope


async def entered_rates(reader: Reader, jurisdiction: str) -> Entered:
    """What operators entered for a jurisdiction, and which version of the table that is."""
    rows = await reader.fetch(ENTERED_RATES, jurisdiction)
    return Entered(
        version=rows[0]["table_now"],
        rows=tuple(_rate(row) for row in rows if row["rate_id"] is not None),
        categories=frozenset(rows[0]["categories"] or ()),
    )


async def lock_rates_near(tx: Transaction, rate: Rate) -> list[Rate]:
    """The rows an entry must fit to; no other entry comes in before this transaction ends."""
    await tx.fetchval(LOCK_TABLE)
    rows = await tx.fetch(RATES_NEAR, rate.rate_id, rate.jurisdiction, rate.category)
    return [_rate(row) for row in rows]


async def add_rate(tx: Transaction, rate: Rate) -> int:
    """Keep an entered row. Returns the new version of the table."""
    table_version = int(await tx.fetchval(BUMP_TABLE))
    await tx.execute(
        INSERT_RATE, rate.rate_id, rate.valid_from, rate.version, rate.jurisdiction, rate.category,
        rate.name, rate.rate, table_version, tx.now, tx.actor,
    )  # fmt: skip
    return table_version


async def list_rates(
    reader: Reader, *, jurisdiction: str | None, category: str | None
) -> list[Rate]:
    return [_rate(row) for row in await reader.fetch(LIST_RATES, jurisdiction, category)]


async def latest_draft(tx: Transaction, invoice_id: str) -> Draft | None:
    """The highest revision we know, locked."""
    row = await tx.fetchrow(LATEST_DRAFT, invoice_id)
    return None if row is None else _draft(row)


async def add_draft(tx: Transaction, document: Document, cause: Envelope) -> None:
    """Keep a draft that waits for its tax; older revisions need no answer any more."""
    await tx.execute(SUPERSEDE, document.invoice_id, document.revision)
    await tx.execute(
        INSERT_DRAFT, document.invoice_id, document.revision, document.account_id,
        document.jurisdiction, document.mode.value, document.currency, document.tax_date,
        document.net, _lines(document),
        [[name, value.decode()] for name, value in cause.headers()], tx.now,
    )  # fmt: skip


async def request_stale_holds(tx: Transaction, engine_version: str) -> None:
    """Ask again about everything that was held with other data than the engine has now."""
    await tx.execute(REQUEST_STALE_HOLDS, engine_version)


async def claim_draft(tx: Transaction) -> Draft | None:
    """The next draft that waits for the engine."""
    row = await tx.fetchrow(CLAIM)
    return None if row is None else _draft(row)


async def count_open_drafts(reader: Reader, engine_version: str) -> int:
    """Drafts that wait for the engine, those included that a new rate will bring back."""
    return int(await reader.fetchval(COUNT_OPEN, engine_version))


async def lock_draft(tx: Transaction, document: Document) -> Draft:
    row = await tx.fetchrow(LOCK_DRAFT, document.invoice_id, document.revision)
    if row is None:
        raise RuntimeError(f"draft {document.invoice_id}/{document.revision} is gone")
    return _draft(row)


async def hold_draft(
    tx: Transaction, document: Document, *, held: Held, engine_version: str, announced: bool
) -> None:
    await tx.execute(
        HOLD, document.invoice_id, document.revision, engine_version, held.code, held.detail,
        tx.now, int(announced),
    )  # fmt: skip


async def add_determination(
    tx: Transaction, document: Document, *, determination_id: str, result: Determination
) -> None:
    """Keep the answer with every row that decided it, and close the draft."""
    await tx.execute(
        INSERT_DETERMINATION, determination_id, document.invoice_id, document.revision,
        result.engine, result.engine_version, [asdict(line) for line in result.lines],
        [asdict(total) for total in result.totals], result.tax, tx.now,
    )  # fmt: skip
    await tx.execute(CLOSE_DRAFT, document.invoice_id, document.revision)


async def find_answer(reader: Reader, invoice_id: str, revision: int | None) -> Record | None:
    """A draft with its determination, if it has one; the latest revision unless one is named."""
    return await reader.fetchrow(FIND_ANSWER, invoice_id, revision)


async def list_holds(
    reader: Reader, *, since: datetime | None, after: str, limit: int
) -> list[Record]:
    """Held drafts after a position, oldest first; `since` None begins with the oldest."""
    return await reader.fetch(LIST_HOLDS, since, after, limit)


def _lines(document: Document) -> list[list[object]]:
    return [
        [line.number, line.category, line.net, *([line.jurisdiction] if line.jurisdiction else [])]
        for line in document.lines
    ]


def _rate(row: Record) -> Rate:
    return Rate(
        rate_id=row["rate_id"],
        jurisdiction=row["jurisdiction"],
        category=row["category"],
        name=row["name"],
        rate=row["rate"],
        valid_from=row["valid_from"],
        version=row["version"],
    )


def _draft(row: Record) -> Draft:
    tax_date: date = row["tax_date"]
    document = Document(
        invoice_id=row["invoice_id"],
        revision=row["revision"],
        account_id=row["account_id"],
        jurisdiction=row["jurisdiction"],
        mode=TaxMode(row["mode"]),
        currency=row["currency"],
        tax_date=tax_date,
        lines=tuple(
            Line(number, category, Decimal(net), *place)
            for number, category, net, *place in row["lines"]
        ),
        net=row["net"],
    )
    cause = Envelope.from_headers((name, text.encode()) for name, text in row["cause"])
    return Draft(document, row["state"], row["reason"], row["detail"], row["holds"], cause)
