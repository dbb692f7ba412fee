"""Price sheets, customer price rules and exchange rates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from rating.domain.fx import FxRate
from rating.domain.pricing import SheetRow
from rating.domain.rules import Rule, RuleKind, Scope
from rating.store.price_json import price_from_json, price_to_json
from shared.contracts.ingest import PriceSheetPublished
from shared.runtime.postgres import Reader, Record, Transaction

ADD_ROW = """
INSERT INTO price_row (sheet_id, product_key, segment, effective_from, effective_until, market,
                       currency, product_name, unit_price, erp_price, fetched_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (sheet_id, product_key, segment, effective_from) DO NOTHING
"""
ROWS = "SELECT * FROM price_row WHERE product_key = ANY($1::text[])"

LATEST_RULE = """
SELECT * FROM price_rule_version WHERE rule_id = $1 ORDER BY version DESC LIMIT 1
"""
ADD_RULE = """
INSERT INTO price_rule_version (rule_id, version, kind, contract_id, customer_id, product_key,
                                meter_category, azure_subscription_id, priority, valid_from,
                                valid_until, price, entered_at, entered_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
"""
# All versions of every rule that has, in some version, to do with one of these contracts: whether
# an old version still counts depends on the newer ones.
RULES = """
SELECT * FROM price_rule_version WHERE rule_id IN (
    SELECT rule_id FROM price_rule_version
    WHERE kind = ANY($1::text[])
      AND (contract_id IS NULL OR contract_id = ANY($2::text[]))
      AND (customer_id IS NULL OR customer_id = ANY($3::text[])))
"""
ALL_RULES = """
SELECT * FROM price_rule_version
WHERE (rule_id, version) > ($1, $2) ORDER BY rule_id, version LIMIT $3
"""

LATEST_RATE = """
SELECT * FROM fx_rate
WHERE source_currency = $1 AND target_currency = $2 AND rate_on = $3
ORDER BY version DESC LIMIT 1
"""
ADD_RATE = """
INSERT INTO fx_rate (source_currency, target_currency, rate_on, version, rate, source,
                     entered_at, entered_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
RATES = "SELECT * FROM fx_rate WHERE target_currency = ANY($1::text[])"


async def add_sheet(tx: Transaction, event: PriceSheetPublished) -> None:
    """Keep the rows of one part of a sheet; rows that are known stay as they are."""
    await tx.executemany(
        ADD_ROW,
        [
            (
                event.sheet_id, row.product.key, row.product.segment, row.effective_from,
                row.effective_until, event.market, event.currency, row.product_name,
                row.unit_price, row.erp_price, event.fetched_at,
            )
            for row in event.rows
        ],
    )  # fmt: skip


async def sheet_rows(reader: Reader, product_keys: Iterable[str]) -> list[SheetRow]:
    rows = await reader.fetch(ROWS, sorted(set(product_keys)))
    names = SheetRow.__dataclass_fields__
    return [SheetRow(**{name: row[name] for name in names}) for row in rows]


async def latest_rule(reader: Reader, rule_id: str) -> Rule | None:
    row = await reader.fetchrow(LATEST_RULE, rule_id)
    return _rule(row) if row else None


async def add_rule(tx: Transaction, rule: Rule) -> None:
    scope = rule.scope
    await tx.execute(
        ADD_RULE, rule.rule_id, rule.version, scope.kind.value, scope.contract_id,
        scope.customer_id, scope.product_key, scope.meter_category, scope.azure_subscription_id,
        rule.priority, rule.valid_from, rule.valid_until, price_to_json(rule.price), tx.now,
        tx.actor,
    )  # fmt: skip


async def rules(
    reader: Reader,
    kinds: Sequence[RuleKind],
    *,
    contract_ids: Sequence[str],
    customer_ids: Sequence[str],
) -> list[Rule]:
    """Every version that may matter to some contracts and customers."""
    rows = await reader.fetch(
        RULES, [kind.value for kind in kinds], list(contract_ids), list(customer_ids)
    )
    return [_rule(row) for row in rows]


async def list_rules(reader: Reader, *, after: tuple[str, int], limit: int) -> list[Rule]:
    return [_rule(row) for row in await reader.fetch(ALL_RULES, *after, limit)]


async def add_rate(tx: Transaction, rate: FxRate) -> FxRate:
    """Keep a rate as the next version of its day; a repeat of the latest is that one."""
    row = await tx.fetchrow(LATEST_RATE, rate.source_currency, rate.target_currency, rate.on)
    latest = _rate(row) if row else None
    kept = replace(rate, version=latest.version if latest else 1)
    if latest == kept:
        return kept
    if latest:
        kept = replace(rate, version=latest.version + 1)
    await tx.execute(
        ADD_RATE, kept.source_currency, kept.target_currency, kept.on, kept.version, kept.rate,
        kept.source, tx.now, tx.actor,
    )  # fmt: skip
    return kept


async def rates(reader: Reader, currencies: Iterable[str]) -> list[FxRate]:
    """Every entered rate into one of these currencies."""
    return [_rate(row) for row in await reader.fetch(RATES, sorted(set(currencies)))]


async def rate_of_day(
    reader: Reader, source_currency: str, target_currency: str, on: date
) -> FxRate | None:
    row = await reader.fetchrow(LATEST_RATE, source_currency, target_currency, on)
    return _rate(row) if row else None


def _rule(row: Record) -> Rule:
    scope = Scope(
        RuleKind(row["kind"]),
        contract_id=row["contract_id"],
        customer_id=row["customer_id"],
        product_key=row["product_key"],
        meter_category=row["meter_category"],
        azure_subscription_id=row["azure_subscription_id"],
    )
    return Rule(
        rule_id=row["rule_id"],
        version=row["version"],
        scope=scope,
        price=price_from_json(row["price"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        priority=row["priority"],
    )


def _rate(row: Record) -> FxRate:
    return FxRate(
        source_currency=row["source_currency"],
        target_currency=row["target_currency"],
        on=row["rate_on"],
        version=row["version"],
        rate=row["rate"],
        source=row["source"],
    )
