"""New sheets, rules and rates: kept, and everybody they may concern becomes due."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from pydantic import JsonValue

from rating.domain.fx import FxRate
from rating.domain.rules import Rule, RuleKind
from rating.handlers.rating_usage import CONCLUDE
from rating.store import due, locks, prices, usage
from rating.store.due import DueKind
from rating.store.price_json import price_to_json
from shared.contracts.ingest import PriceSheetPublished
from shared.contracts.rating import FxRateEntered
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


async def on_price_sheet_published(event: PriceSheetPublished, tx: Transaction) -> None:
    """Keep the rows; customers of these products are concluded about again."""
    await locks.change_prices(tx)
    await prices.add_sheet(tx, event)
    products = {row.product.key for row in event.rows}
    await _make_due(tx, DueKind.SETTLE, await due.with_products(tx, products))


async def enter_rule(tx: Transaction, rule: Rule) -> Rule:
    """Keep a rule as the next version of its id. A repeat of the latest version is that version."""
    await locks.change_prices(tx)
    latest = await prices.latest_rule(tx, rule.rule_id)
    if latest is not None and replace(rule, version=latest.version) == latest:
        return latest
    kept = replace(rule, version=latest.version + 1 if latest else 1)
    await prices.add_rule(tx, kept)
    await _concern(tx, kept, latest)
    await tx.record(
        "price_rule.entered",
        f"price-rule/{kept.rule_id}",
        before=_told(latest) if latest else None,
        after=_told(kept),
    )
    return kept


async def enter_rate(tx: Transaction, rate: FxRate) -> FxRate:
    """Keep an exchange rate as the next version of its day."""
    await locks.change_prices(tx)
    before = await prices.rate_of_day(tx, rate.source_currency, rate.target_currency, rate.on)
    kept = await prices.add_rate(tx, rate)
    if kept == before:
        return kept
    pair = (kept.source_currency, kept.target_currency)
    await _make_due(tx, DueKind.RERATE, await due.converted(tx, *pair))
    told = FxRateEntered(
        source_currency=pair[0],
        target_currency=pair[1],
        on=kept.on,
        version=kept.version,
        rate=kept.rate,
        source=kept.source,
    )
    await tx.publish(told, id=derived_id("fx-rate-entered", *pair, kept.on, kept.version))
    await tx.record(
        "fx_rate.entered",
        f"fx-rate/{pair[0]}-{pair[1]}/{kept.on}",
        before={"rate": f"{before.rate:f}", "version": before.version} if before else None,
        after={"rate": f"{kept.rate:f}", "version": kept.version, "source": kept.source},
    )
    return kept


async def _concern(tx: Transaction, kept: Rule, latest: Rule | None) -> None:
    """Whoever the rule prices now or priced before, in one request per kind: two would lock their
    rows out of order."""
    concerned: dict[DueKind, set[str]] = {DueKind.RERATE: set(), DueKind.SETTLE: set()}
    for version in (latest, kept):
        if version is not None:
            since = min(kept.valid_from, version.valid_from)
            kind = DueKind.RERATE if version.scope.kind is RuleKind.USAGE else DueKind.SETTLE
            concerned[kind] |= set(await _priced_by(tx, version, since))
    for kind, customers in concerned.items():
        await _make_due(tx, kind, sorted(customers))


async def _priced_by(tx: Transaction, rule: Rule, since: date) -> list[str]:
    """Whoever the rule may price differently from `since` on."""
    scope = rule.scope
    if scope.kind is RuleKind.USAGE:
        return await usage.customers_since(
            tx,
            since.replace(day=1),
            customer_id=scope.customer_id,
            contract_id=scope.contract_id,
            azure_subscription_id=scope.azure_subscription_id,
        )
    return await due.with_contracts(
        tx, contract_id=scope.contract_id, customer_id=scope.customer_id
    )


async def _make_due(tx: Transaction, kind: DueKind, customer_ids: list[str]) -> None:
    if customer_ids:
        await due.make_due(tx, kind, customer_ids)
        tx.wake(CONCLUDE)


def _told(rule: Rule) -> dict[str, JsonValue]:
    scope = rule.scope
    parts = {
        "contract_id": scope.contract_id,
        "customer_id": scope.customer_id,
        "product_key": scope.product_key,
        "meter_category": scope.meter_category,
        "azure_subscription_id": scope.azure_subscription_id,
        "valid_until": rule.valid_until.isoformat() if rule.valid_until else None,
    }
    return {
        "version": str(rule.version),
        "kind": scope.kind.value,
        "valid_from": rule.valid_from.isoformat(),
        "priority": str(rule.priority),
        **{f"price.{name}": value for name, value in price_to_json(rule.price).items()},
        **{name: value for name, value in parts.items() if value is not None},
    }
