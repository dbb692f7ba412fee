"""Promotions in all their versions."""

from __future__ import annotations

from rating.domain.promotions import Keeps, Promotion
from rating.domain.rules import RuleKind, Scope
from rating.store.prices import Entered, Note, entered
from shared.contracts.invoicing import ContractChanged
from shared.runtime.postgres import Reader, Record, Transaction

LATEST_PROMOTION = """
SELECT * FROM promotion_version WHERE promotion_id = $1 ORDER BY version DESC LIMIT 1
"""
ADD_PROMOTION = """
INSERT INTO promotion_version (promotion_id, version, name, contract_id, customer_id, product_key,
                               term, billing_plan, segment, percent, starts, ends, keeps, seat_cap,
                               first_purchase, priority, entered_at, entered_by, reason,
                               approved_by, change_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
        $21)
"""
# All versions of what has, in some version, to do with the contract.
PROMOTIONS = """
SELECT * FROM promotion_version WHERE promotion_id IN (
    SELECT promotion_id FROM promotion_version
    WHERE (contract_id IS NULL OR contract_id = $1) AND (customer_id IS NULL OR customer_id = $2))
"""
ALL_PROMOTIONS = """
SELECT * FROM promotion_version
WHERE (promotion_id, version) > ($1, $2) ORDER BY promotion_id, version LIMIT $3
"""


async def latest_promotion(reader: Reader, promotion_id: str) -> Promotion | None:
    row = await reader.fetchrow(LATEST_PROMOTION, promotion_id)
    return _promotion(row) if row else None


async def add_promotion(tx: Transaction, promotion: Promotion, note: Note) -> None:
    scope = promotion.scope
    await tx.execute(
        ADD_PROMOTION, promotion.promotion_id, promotion.version, promotion.name,
        scope.contract_id, scope.customer_id, scope.product_key, scope.term, scope.billing_plan,
        scope.segment, promotion.percent, promotion.starts, promotion.ends, promotion.keeps.value,
        promotion.seat_cap, promotion.first_purchase, promotion.priority, tx.now, note.author,
        note.reason, note.approved_by, note.change_id,
    )  # fmt: skip


async def for_contract(reader: Reader, contract: ContractChanged) -> list[Promotion]:
    """Every version of every promotion that may reduce something of a contract."""
    rows = await reader.fetch(PROMOTIONS, contract.contract_id, contract.provider_customer_id)
    return [_promotion(row) for row in rows]


async def list_promotions(
    reader: Reader, *, after: tuple[str, int], limit: int
) -> list[tuple[Promotion, Entered]]:
    rows = await reader.fetch(ALL_PROMOTIONS, *after, limit)
    return [(_promotion(row), entered(row)) for row in rows]


def _promotion(row: Record) -> Promotion:
    scope = Scope(
        RuleKind.LICENCE,
        contract_id=row["contract_id"],
        customer_id=row["customer_id"],
        product_key=row["product_key"],
        term=row["term"],
        billing_plan=row["billing_plan"],
        segment=row["segment"],
    )
    return Promotion(
        promotion_id=row["promotion_id"],
        version=row["version"],
        name=row["name"],
        scope=scope,
        percent=row["percent"],
        starts=row["starts"],
        ends=row["ends"],
        keeps=Keeps(row["keeps"]),
        seat_cap=row["seat_cap"],
        first_purchase=row["first_purchase"],
        priority=row["priority"],
    )
