"""Published charges with their history, and the License Change Log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from shared.contracts.rating import ChargeKind, ChargeRated, LicenceChangeRated
from shared.runtime.postgres import Reader, Transaction

PUBLISHED = """
SELECT body FROM charge
WHERE contract_id = $1 AND kind = ANY($2::text[])
  AND ($3::text IS NULL OR subscription_id = $3)
"""
PUBLISHED_BY_ID = "SELECT body FROM charge WHERE charge_id = ANY($1::text[])"
PUT_CHARGE = """
INSERT INTO charge (charge_id, revision, contract_id, kind, subscription_id, bill_on, amount,
                    currency, body, rated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (charge_id) DO UPDATE SET
    revision = excluded.revision, subscription_id = excluded.subscription_id,
    bill_on = excluded.bill_on, amount = excluded.amount, currency = excluded.currency,
    body = excluded.body, rated_at = excluded.rated_at
"""
ADD_REVISION = """
INSERT INTO charge_revision (charge_id, revision, body, rated_at, cause)
VALUES ($1, $2, $3, $4, $5)
"""
CONTROL_TOTAL = """
SELECT count(*) AS charges, coalesce(sum(amount), 0) AS amount FROM charge
WHERE contract_id = $1 AND bill_on <= $2
"""
LIST_CHARGES = """
SELECT bill_on, charge_id, body FROM charge
WHERE contract_id = $1 AND (bill_on, charge_id) > ($2, $3)
ORDER BY bill_on, charge_id LIMIT $4
"""
REVISIONS = """
SELECT revision, body, rated_at, cause FROM charge_revision
WHERE charge_id = $1 ORDER BY revision
"""

LOGGED = """
SELECT entry_id FROM licence_change
WHERE contract_id = $1 AND ($2::text IS NULL OR subscription_id = $2)
"""
ADD_ENTRY = """
INSERT INTO licence_change (entry_id, change_id, contract_id, subscription_id, body, logged_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (entry_id) DO NOTHING RETURNING true
"""
ENTRIES_OF_CHANGES = """
SELECT body FROM licence_change WHERE change_id = ANY($1::text[]) ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Total:
    """How many charges are due through a date, and what they sum to."""

    charges: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Revision:
    """One published state of a charge; `cause` is the message that led to it."""

    charge: ChargeRated
    rated_at: datetime
    cause: str | None


async def published(
    reader: Reader,
    contract_id: str,
    kinds: Sequence[ChargeKind],
    subscription_id: str | None = None,
) -> dict[str, ChargeRated]:
    """The current revision of a contract's charges of some kinds, by id."""
    rows = await reader.fetch(
        PUBLISHED, contract_id, [kind.value for kind in kinds], subscription_id
    )
    return _by_id(row["body"] for row in rows)


async def by_ids(reader: Reader, charge_ids: Sequence[str]) -> dict[str, ChargeRated]:
    rows = await reader.fetch(PUBLISHED_BY_ID, list(charge_ids))
    return _by_id(row["body"] for row in rows)


async def add_revisions(tx: Transaction, charges: Sequence[ChargeRated]) -> None:
    """Keep the news; each replaces the revision before it, which stays in the history."""
    bodies = [(charge, charge.model_dump(mode="json")) for charge in charges]
    await tx.executemany(
        PUT_CHARGE,
        [
            (
                c.charge_id, c.revision, c.contract_id, c.kind.value, c.subscription_id, c.bill_on,
                c.amount, c.currency, body, tx.now,
            )
            for c, body in bodies
        ],
    )  # fmt: skip
    cause = tx.cause.id if tx.cause else None
    await tx.executemany(
        ADD_REVISION, [(c.charge_id, c.revision, body, tx.now, cause) for c, body in bodies]
    )


async def control_total(reader: Reader, contract_id: str, through: date) -> Total:
    """Over all current charges that an invoice of this date may carry."""
    row = await reader.fetchrow(CONTROL_TOTAL, contract_id, through)
    assert row is not None  # an aggregate always has a row
    return Total(row["charges"], row["amount"])


async def list_charges(
    reader: Reader, contract_id: str, *, after: tuple[date, str], limit: int
) -> list[ChargeRated]:
    rows = await reader.fetch(LIST_CHARGES, contract_id, *after, limit)
    return [ChargeRated.model_validate(row["body"]) for row in rows]


async def revisions(reader: Reader, charge_id: str) -> list[Revision]:
    """Every published state of a charge, first to last; empty when there is no such charge."""
    return [
        Revision(ChargeRated.model_validate(row["body"]), row["rated_at"], row["cause"])
        for row in await reader.fetch(REVISIONS, charge_id)
    ]


async def logged(
    reader: Reader, contract_id: str, subscription_id: str | None = None
) -> frozenset[str]:
    """The ids of the log entries a contract already has."""
    rows = await reader.fetch(LOGGED, contract_id, subscription_id)
    return frozenset(row["entry_id"] for row in rows)


async def add_entry(tx: Transaction, entry: LicenceChangeRated) -> bool:
    """Log an entry for ever. False when another contract logged this change before."""
    added = await tx.fetchval(
        ADD_ENTRY, entry.entry_id, entry.change_id, entry.contract_id, entry.subscription_id,
        entry.model_dump(mode="json"), tx.now,
    )  # fmt: skip
    return added is True


async def entries_of_changes(reader: Reader, change_ids: Sequence[str]) -> list[LicenceChangeRated]:
    rows = await reader.fetch(ENTRIES_OF_CHANGES, list(change_ids))
    return [LicenceChangeRated.model_validate(row["body"]) for row in rows]


def _by_id(bodies: Iterable[Any]) -> dict[str, ChargeRated]:
    charges = (ChargeRated.model_validate(body) for body in bodies)
    return {charge.charge_id: charge for charge in charges}
