"""Customer price rules and exchange rates, in all their versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from rating.domain.rules import Rule, RuleKind, Scope
from rating.store.price_json import price_from_json, price_to_json
from shared.kernel.fx import FxRate
from shared.runtime.postgres import Reader, Record, Transaction

LATEST_RULE = """
SELECT * FROM price_rule_version WHERE rule_id = $1 ORDER BY version DESC LIMIT 1
"""
ADD_RULE = """
INSERT INTO price_rule_version (rule_id, version, kind, contract_id, customer_id, product_key,
                                meter_category, azure_subscription_id, term, billing_plan, segment,
                                priority, valid_from, valid_until, price, entered_at, entered_by,
                                reason, approved_by, change_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
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
                     entered_at, entered_by, reason, approved_by, change_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
LIST_RATES = """
SELECT * FROM fx_rate
WHERE (source_currency || '-' || target_currency || '/' || rate_on, version) > ($1, $2)
ORDER BY source_currency || '-' || target_currency || '/' || rate_on, version LIMIT $3
"""
RATES = "SELECT * FROM fx_rate WHERE target_currency = ANY($1::text[])"


@dataclass(frozen=True, slots=True)
class Note:
    """Who enters a version, and why; `approved_by` where a second person had to."""

    author: str
    reason: str | None = None
    approved_by: str | None = None
    change_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """Who entered a version, when and why."""

    entered_at: datetime
    entered_by: str
    reason: str | None
    approved_by: str | None
    change_id: str | None


async def latest_rule(reader: Reader, rule_id: str) -> Rule | None:
    row = await reader.fetchrow(LATEST_RULE, rule_id)
    return _rule(row) if row else None


async def add_rule(tx: Transaction, rule: Rule, note: Note) -> None:
    scope = rule.scope
    await tx.execute(
        ADD_RULE, rule.rule_id, rule.version, scope.kind.value, scope.contract_id,
        scope.customer_id, scope.product_key, scope.meter_category, scope.azure_subscription_id,
        scope.term, scope.billing_plan, scope.segment, rule.priority, rule.valid_from,
        rule.valid_until, price_to_json(rule.price), tx.now, note.author, note.reason,
        note.approved_by, note.change_id,
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


async def list_rules(
    reader: Reader, *, after: tuple[str, int], limit: int
) -> list[tuple[Rule, Entered]]:
    rows = await reader.fetch(ALL_RULES, *after, limit)
    return [(_rule(row), entered(row)) for row in rows]


async def list_rates(
    reader: Reader, *, after: tuple[str, int], limit: int
) -> list[tuple[FxRate, Entered]]:
    """Every version of every entered rate, by pair, day and version."""
    rows = await reader.fetch(LIST_RATES, *after, limit)
    return [(_rate(row), entered(row)) for row in rows]


def entered(row: Record) -> Entered:
    """Who entered the version of a row, when and why."""
    names = Entered.__dataclass_fields__
    return Entered(**{name: row[name] for name in names})


async def add_rate(tx: Transaction, rate: FxRate, note: Note) -> None:
    """Keep a version of the rate of a day; another rate for the day is another version."""
    await tx.execute(
        ADD_RATE, rate.source_currency, rate.target_currency, rate.on, rate.version, rate.rate,
        rate.source, tx.now, note.author, note.reason, note.approved_by, note.change_id,
    )  # fmt: skip


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
        term=row["term"],
        billing_plan=row["billing_plan"],
        segment=row["segment"],
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
