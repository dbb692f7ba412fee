"""Charges: every revision as received, the current one, and how far it has been billed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from invoicing.domain.catch_up import Billed
from invoicing.domain.collect import ChargeState, ControlTotal
from invoicing.domain.numbering import line_reference
from shared.contracts.invoicing import InvoiceLine
from shared.contracts.rating import ChargeRated
from shared.runtime.postgres import Reader, Record, Transaction

FIND_CONTRACT_OF_CHARGE = "SELECT contract_id FROM charge WHERE charge_id = $1"
KEEP_REVISION = """
INSERT INTO charge_revision (charge_id, revision, payload, event_id, received_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
"""
MOVE_POINTER = """
INSERT INTO charge (charge_id, contract_id, revision, bill_on, amount, corrects)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (charge_id) DO UPDATE
SET (revision, bill_on, amount, corrects)
  = (excluded.revision, excluded.bill_on, excluded.amount, excluded.corrects)
WHERE charge.revision < excluded.revision
RETURNING charge_id
"""
CONTROL_TOTAL = """
SELECT count(*) AS charges, coalesce(sum(amount), 0) AS amount FROM charge
WHERE contract_id = $1 AND bill_on <= $2
"""
OPEN_DIFFERENCES = """
SELECT now.payload, before.payload AS billed_payload, c.billed_amount, c.billed_line,
       other.billed_line AS supplements
FROM charge c
JOIN charge_revision now ON now.charge_id = c.charge_id AND now.revision = c.revision
LEFT JOIN charge_revision before
       ON before.charge_id = c.charge_id AND before.revision = c.billed_revision
LEFT JOIN charge other ON other.charge_id = c.corrects
WHERE c.contract_id = $1 AND c.bill_on <= $2 AND c.amount <> coalesce(c.billed_amount, 0)
"""
CHARGES_BILLED = """
UPDATE charge c
SET billed_revision = line.revision,
    billed_amount = coalesce(c.billed_amount, 0) + line.net,
    billed_line = coalesce(c.billed_line, line.reference)
FROM unnest($1::text[], $2::integer[], $3::numeric[], $4::text[])
     AS line (charge_id, revision, net, reference)
WHERE c.charge_id = line.charge_id
"""
FIND_REVISION = "SELECT payload FROM charge_revision WHERE charge_id = $1 AND revision = $2"


async def contract_of(reader: Reader, charge_id: str) -> str | None:
    """The contract a known charge belongs to."""
    found: str | None = await reader.fetchval(FIND_CONTRACT_OF_CHARGE, charge_id)
    return found


async def keep(tx: Transaction, charge: ChargeRated) -> bool:
    """Keep a revision. Returns whether it is the newest of its charge and was not there before."""
    event_id = tx.cause.id if tx.cause else tx.new_id()
    payload = charge.model_dump(mode="json")
    await tx.execute(KEEP_REVISION, charge.charge_id, charge.revision, payload, event_id, tx.now)
    moved = await tx.fetchval(
        MOVE_POINTER, charge.charge_id, charge.contract_id, charge.revision, charge.bill_on,
        charge.amount, charge.corrects,
    )  # fmt: skip
    return moved is not None


async def control_total(reader: Reader, contract_id: str, invoice_date: date) -> ControlTotal:
    """What we hold of what rating counts: current charges due through the date."""
    row = await reader.fetchrow(CONTROL_TOTAL, contract_id, invoice_date)
    if row is None:
        raise RuntimeError("an aggregate without GROUP BY has one row")
    return ControlTotal(row["charges"], row["amount"])


async def open_differences(
    reader: Reader, contract_id: str, invoice_date: date
) -> list[ChargeState]:
    """Charges whose current amount is not what was billed of them."""
    rows = await reader.fetch(OPEN_DIFFERENCES, contract_id, invoice_date)
    return [_state(row) for row in rows]


async def billed(tx: Transaction, number: str, lines: Sequence[InvoiceLine]) -> None:
    """Note what the lines of a finalised invoice billed of their charges, in the charges' own
    currency."""
    of_charges = [line for line in lines if line.charge_id is not None]
    await tx.execute(
        CHARGES_BILLED,
        [line.charge_id for line in of_charges],
        [line.charge_revision for line in of_charges],
        [line.site.net if line.site else line.net for line in of_charges],
        [line_reference(number, line.number) for line in of_charges],
    )


async def find_revision(reader: Reader, charge_id: str, revision: int) -> ChargeRated | None:
    payload = await reader.fetchval(FIND_REVISION, charge_id, revision)
    return None if payload is None else ChargeRated.model_validate(payload)


def _state(row: Record) -> ChargeState:
    billed_amount: Decimal | None = row["billed_amount"]
    before = (
        None
        if billed_amount is None
        else Billed(
            ChargeRated.model_validate(row["billed_payload"]), billed_amount, row["billed_line"]
        )
    )
    return ChargeState(
        ChargeRated.model_validate(row["payload"]), before, supplements=row["supplements"]
    )
