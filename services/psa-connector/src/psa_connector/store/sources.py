"""The facts that ask for deliveries, and how far their planning got."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psa_connector.domain.mapping import Block
from psa_connector.domain.planner import Fact
from shared.contracts.envelope import Envelope
from shared.contracts.invoicing import InvoiceFinalised
from shared.contracts.rating import LicenceChangeRated
from shared.runtime.postgres import Reader, Record, Transaction

INSERT = """
INSERT INTO source (kind, source_id, contract_id, body, cause, state, received_at, state_since)
VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $6)
ON CONFLICT (kind, source_id) DO NOTHING RETURNING *
"""
EARLIER_WAITING = """
SELECT EXISTS (SELECT FROM source WHERE contract_id = $1 AND state = 'waiting' AND seq < $2)
"""
# Plannable: its contract has a mapping now, or a mapping that it missed exists now. Kept as a
# question about the tables, not as a flag set by whoever maps, so no race can leave one behind.
NEXT_PLANNABLE = """
SELECT s.* FROM source s
WHERE (s.state = 'waiting'
       AND EXISTS (SELECT FROM contract_mapping m
                   WHERE m.contract_id = s.contract_id
                     AND (m.connection_id IS NULL
                          OR (m.company_id IS NOT NULL AND m.target_id IS NOT NULL))))
   OR (s.state = 'blocked'
       AND EXISTS (SELECT FROM product_mapping p JOIN contract_mapping m USING (connection_id)
                   WHERE m.contract_id = s.contract_id AND p.product_key = ANY(s.missing)))
ORDER BY s.seq LIMIT 1 FOR UPDATE OF s
"""
COUNT_PLANNABLE = """
SELECT count(*) FROM source s
WHERE s.state = 'waiting'
  AND EXISTS (SELECT FROM contract_mapping m
              WHERE m.contract_id = s.contract_id
                AND (m.connection_id IS NULL
                     OR (m.company_id IS NOT NULL AND m.target_id IS NOT NULL)))
"""
LOCK = "SELECT * FROM source WHERE seq = $1 FOR UPDATE"
SET_STATE = """
UPDATE source SET
    state = $2, reason = $3, detail = $4, missing = $5, checked = false,
    state_since = CASE WHEN state = $2 AND reason IS NOT DISTINCT FROM $3
                       THEN state_since ELSE $6 END
WHERE seq = $1
"""
SET_CHECKED = "UPDATE source SET checked = $2 WHERE seq = $1"
REOPEN_CONTRACT = """
UPDATE source SET state = 'waiting', state_since = $2
WHERE contract_id = $1 AND state = 'blocked'
"""
REOPEN_CONNECTION = """
UPDATE source s SET state = 'waiting', state_since = $2
FROM contract_mapping m
WHERE m.contract_id = s.contract_id AND m.connection_id = $1 AND s.state = 'blocked'
"""
REOPEN_TARGET = """
UPDATE source s SET state = 'waiting', state_since = $3
FROM contract_mapping m
WHERE m.contract_id = s.contract_id AND m.connection_id = $1 AND m.target_id = $2
  AND s.state = 'blocked'
"""
REOPEN_COMPANY = """
UPDATE source s SET state = 'waiting', state_since = $3
FROM contract_mapping m
WHERE m.contract_id = s.contract_id AND m.connection_id = $1 AND m.company_id = $2
  AND s.state = 'blocked'
"""
WAITING = """
SELECT seq, kind, source_id, contract_id, reason, detail, state_since FROM source
WHERE state = 'waiting' AND reason IS NOT NULL ORDER BY seq LIMIT $1
"""

OF_INVOICE = """
SELECT * FROM source
WHERE kind = 'invoice' AND body ->> 'number' IN (
    SELECT $1::text UNION
    SELECT body ->> 'number' FROM source WHERE kind = 'invoice' AND source_id = $1)
ORDER BY seq
"""
OPEN_OF_CONTRACT = """
SELECT s.* FROM source s
WHERE s.contract_id = $1
  AND (s.state IN ('waiting', 'blocked')
       OR s.seq IN (SELECT i.source_seq FROM intent i
                    WHERE i.contract_id = $1 AND i.state NOT IN ('confirmed', 'superseded')))
ORDER BY s.seq LIMIT $2
"""

_FACTS: dict[str, type[InvoiceFinalised | LicenceChangeRated]] = {
    "invoice": InvoiceFinalised,
    "licence_change": LicenceChangeRated,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A fact on its way to a PSA."""

    seq: int
    kind: str
    source_id: str
    contract_id: str
    fact: Fact
    cause: Envelope
    state: str
    reason: str | None
    since: datetime

    @property
    def shown_id(self) -> str:
        """What people call it: an invoice by its number."""
        fact = self.fact
        return fact.number if isinstance(fact, InvoiceFinalised) else self.source_id


async def add(tx: Transaction, fact: Fact, cause: Envelope) -> Source | None:
    """Keep a fact; None when it is known already."""
    kind, source_id = _identity(fact)
    row = await tx.fetchrow(
        INSERT,
        kind,
        source_id,
        fact.contract_id,
        fact.model_dump(mode="json"),
        [[name, value.decode()] for name, value in cause.headers()],
        tx.now,
    )
    return None if row is None else source_of(row)


async def has_earlier_waiting(tx: Transaction, source: Source) -> bool:
    """Whether an older fact of the contract must be planned before this one."""
    return bool(await tx.fetchval(EARLIER_WAITING, source.contract_id, source.seq))


async def next_plannable(tx: Transaction) -> Source | None:
    row = await tx.fetchrow(NEXT_PLANNABLE)
    return None if row is None else source_of(row)


async def count_plannable(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_PLANNABLE))


async def lock(tx: Transaction, seq: int) -> Source:
    row = await tx.fetchrow(LOCK, seq)
    if row is None:
        raise RuntimeError(f"source {seq} is gone; sources are never deleted")
    return source_of(row)


async def set_state(
    tx: Transaction,
    source: Source,
    state: str,
    *,
    block: Block | None = None,
    missing: Iterable[str] = (),
) -> None:
    reason = block.reason.value if block else None
    detail = block.detail if block else None
    await tx.execute(SET_STATE, source.seq, state, reason, detail, sorted(missing), tx.now)


async def set_checked(tx: Transaction, seq: int, *, passed: bool) -> None:
    """Remember that preflight passed for the run of this source."""
    await tx.execute(SET_CHECKED, seq, passed)


async def reopen_contract(tx: Transaction, contract_id: str) -> None:
    """Plan again what a mapping of the contract may unblock."""
    await tx.execute(REOPEN_CONTRACT, contract_id, tx.now)


async def reopen_connection(tx: Transaction, connection_id: str) -> None:
    """Plan again what a change of the connection may unblock."""
    await tx.execute(REOPEN_CONNECTION, connection_id, tx.now)


async def reopen_target(tx: Transaction, connection_id: str, target_id: str) -> None:
    """Plan again what a change of an agreement or contract may unblock."""
    await tx.execute(REOPEN_TARGET, connection_id, target_id, tx.now)


async def reopen_company(tx: Transaction, connection_id: str, company_id: str) -> None:
    """Plan again what a change of a company may unblock."""
    await tx.execute(REOPEN_COMPANY, connection_id, company_id, tx.now)


async def waiting(reader: Reader, *, limit: int) -> list[Record]:
    return await reader.fetch(WAITING, limit)


async def of_invoice(reader: Reader, number_or_id: str) -> list[Source]:
    """An invoice by number or id; a consolidated one has a part per contract."""
    return [source_of(row) for row in await reader.fetch(OF_INVOICE, number_or_id)]


async def open_of_contract(reader: Reader, contract_id: str, *, limit: int) -> list[Source]:
    """Facts of a contract that are not delivered completely, in the order they came."""
    rows = await reader.fetch(OPEN_OF_CONTRACT, contract_id, limit)
    return [source_of(row) for row in rows]


def _identity(fact: Fact) -> tuple[str, str]:
    match fact:
        case InvoiceFinalised():
            return "invoice", fact.invoice_id
        case LicenceChangeRated():
            return "licence_change", fact.entry_id


def source_of(row: Record) -> Source:
    return Source(
        seq=row["seq"],
        kind=row["kind"],
        source_id=row["source_id"],
        contract_id=row["contract_id"],
        fact=_FACTS[row["kind"]].model_validate(row["body"]),
        cause=Envelope.from_headers((name, text.encode()) for name, text in row["cause"]),
        state=row["state"],
        reason=row["reason"],
        since=row["state_since"],
    )
