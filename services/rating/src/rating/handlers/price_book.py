"""New sheets, rules, promotions and rates: kept, and everybody they may concern becomes due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from rating.domain.price_changes import Item, Proposed, name_of, numbered
from rating.domain.promotions import Promotion
from rating.domain.rules import Rule, RuleKind
from rating.handlers.rating_usage import CONCLUDE
from rating.store import due, locks, price_sheets, prices, promotions, usage
from rating.store.due import DueKind
from rating.store.price_json import item_to_json
from rating.store.prices import Note
from shared.contracts.ingest import PriceSheetPublished
from shared.contracts.rating import FxRateEntered
from shared.kernel.fx import FxRate
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Transaction


async def on_price_sheet_published(event: PriceSheetPublished, tx: Transaction) -> None:
    """Keep the rows; customers of these products are concluded about again."""
    await locks.change_prices(tx)
    products = await price_sheets.add_sheet(tx, event)
    await _make_due(tx, DueKind.SETTLE, await due.with_products(tx, products))


async def enter(tx: Transaction, item: Item, note: Note) -> Item:
    """Keep an item as the next version of its name. A repeat of the latest version is that version;
    charges that the news changes are corrected by the job."""
    await locks.change_prices(tx)
    latest = await latest_of(tx, item)
    proposed = numbered(item, latest)
    if proposed is None:
        assert latest is not None  # the item is the latest
        return latest
    due_to = await concerned(tx, [proposed.item])
    await keep(tx, proposed, note)
    await make_due(tx, due_to)
    await tx.record(
        _ACTIONS[type(item)],
        name_of(item),
        before=item_to_json(latest) if latest else None,
        after=item_to_json(proposed.item),
        reason=note.reason,
    )
    return proposed.item


_ACTIONS: dict[type[Item], str] = {
    Rule: "price_rule.entered",
    Promotion: "promotion.entered",
    FxRate: "fx_rate.entered",
}


async def latest_of(reader: Reader, item: Item) -> Item | None:
    """The latest version that is in the books."""
    match item:
        case Rule():
            return await prices.latest_rule(reader, item.rule_id)
        case Promotion():
            return await promotions.latest_promotion(reader, item.promotion_id)
        case FxRate():
            pair = (item.source_currency, item.target_currency)
            return await prices.rate_of_day(reader, *pair, item.on)


async def keep(tx: Transaction, proposed: Proposed, note: Note) -> None:
    """Write the version and tell who depends on it; nobody becomes due yet."""
    match proposed.item:
        case Rule() as rule:
            await prices.add_rule(tx, rule, note)
        case Promotion() as promotion:
            await promotions.add_promotion(tx, promotion, note)
        case FxRate() as rate:
            await prices.add_rate(tx, rate, note)
            await _tell(tx, rate)


async def _tell(tx: Transaction, rate: FxRate) -> None:
    told = FxRateEntered(
        source_currency=rate.source_currency,
        target_currency=rate.target_currency,
        on=rate.on,
        version=rate.version,
        rate=rate.rate,
        source=rate.source,
    )
    pair = (rate.source_currency, rate.target_currency)
    await tx.publish(told, id=derived_id("fx-rate-entered", *pair, rate.on, rate.version))


async def make_due(tx: Transaction, customers: Mapping[DueKind, set[str]]) -> None:
    """Let the job conclude about these customers, in one request per kind: two would lock their
    rows out of order."""
    for kind in DueKind:
        await _make_due(tx, kind, sorted(customers.get(kind, ())))


async def concerned(reader: Reader, items: Iterable[Item]) -> dict[DueKind, set[str]]:
    """Whoever these items would price, or are priced by the version before. To be asked before the
    items are kept."""
    found: dict[DueKind, set[str]] = {DueKind.RERATE: set(), DueKind.SETTLE: set()}
    for item in items:
        latest = await latest_of(reader, item)
        for version in {latest, item} - {None}:
            assert version is not None
            kind, customers = await _concerned_by(reader, version, _since(item, latest))
            found[kind] |= customers
    return found


def _since(item: Item, latest: Item | None) -> date:
    days = [one.valid_from for one in (item, latest) if isinstance(one, Rule)]
    return min(days, default=date.min)


async def _concerned_by(reader: Reader, item: Item, since: date) -> tuple[DueKind, set[str]]:
    match item:
        case FxRate():
            pair = (item.source_currency, item.target_currency)
            return DueKind.RERATE, set(await due.converted(reader, *pair))
        case Rule():
            kind = DueKind.RERATE if item.scope.kind is RuleKind.USAGE else DueKind.SETTLE
            return kind, set(await _priced_by(reader, item, since))
        case Promotion():
            scope = item.scope
            found = await due.with_contracts(
                reader, contract_id=scope.contract_id, customer_id=scope.customer_id
            )
            return DueKind.SETTLE, set(found)


async def _priced_by(reader: Reader, rule: Rule, since: date) -> list[str]:
    """Whoever the rule may price differently from `since` on."""
    scope = rule.scope
    if scope.kind is RuleKind.USAGE:
        return await usage.customers_since(
            reader,
            since.replace(day=1),
            customer_id=scope.customer_id,
            contract_id=scope.contract_id,
            azure_subscription_id=scope.azure_subscription_id,
        )
    return await due.with_contracts(
        reader, contract_id=scope.contract_id, customer_id=scope.customer_id
    )


async def _make_due(tx: Transaction, kind: DueKind, customer_ids: list[str]) -> None:
    if customer_ids:
        await due.make_due(tx, kind, customer_ids)
        tx.wake(CONCLUDE)
