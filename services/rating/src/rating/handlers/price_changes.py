"""Proposes, activates, approves and rejects changes of prices: four eyes above a threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from rating.domain import price_changes
from rating.domain.price_changes import (
    ChangeState,
    Item,
    Monthly,
    Moved,
    Proposed,
    name_of,
    needs_second_person,
    numbered,
    require_current,
)
from rating.handlers.dry_run import Effect, dry_run
from rating.handlers.price_book import concerned, enter, keep, latest_of, make_due
from rating.store import locks
from rating.store import price_changes as store
from rating.store.price_changes import PriceChange
from rating.store.price_json import item_to_json
from rating.store.prices import Note
from shared.kernel.errors import Invalid, NotFound
from shared.kernel.ids import sha256_hex
from shared.runtime.postgres import Database, Transaction

CHARGES_SHOWN = 200

Json = dict[str, Any]
Thresholds = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Asked:
    """Items that somebody wants in the books together, and why."""

    items: tuple[Item, ...]
    reason: str
    author: str


async def news_of(database: Database, items: Sequence[Item]) -> list[Proposed]:
    """The items that are not in the books yet, numbered.

    Raises:
        Invalid: `price_item_repeated`.
    """
    names = [name_of(item) for item in items]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise Invalid("price_item_repeated", f"{', '.join(repeated)} is here more than once")
    async with database.read() as reader:
        found = [numbered(item, await latest_of(reader, item)) for item in items]
    return [one for one in found if one is not None]


async def preview(database: Database, items: Sequence[Item]) -> tuple[list[Proposed], Effect]:
    """What is new in the items, and what it would change. Nothing is written."""
    news = await news_of(database, items)
    return news, await dry_run(database, news)


async def propose(database: Database, asked: Asked, thresholds: Thresholds) -> PriceChange | None:
    """Put the items into the books, or let them wait for a second person where more revenue is at
    stake than one may move. None: they are in the books already. The same proposal waits once."""
    news = await news_of(database, asked.items)
    if not news:
        return None
    fingerprint = _fingerprint(news)
    async with database.read() as reader:
        if waiting := await store.find_waiting(reader, fingerprint):
            return waiting
    effect = await dry_run(database, news)
    waits = needs_second_person(effect.at_stake, thresholds)
    async with database.transaction(actor=asked.author) as tx:
        await locks.change_prices(tx)
        if waiting := await store.find_waiting(tx, fingerprint):
            return waiting
        change = PriceChange(
            change_id=tx.new_id(),
            state=ChangeState.WAITING if waits else ChangeState.ACTIVE,
            items=tuple(news),
            fingerprint=fingerprint,
            reason=asked.reason,
            author=asked.author,
            created_at=tx.now,
            effect=effect_json(effect),
        )
        await store.add_change(tx, change)
        if not waits:
            await _activate(tx, change, approved_by=None)
        await _record(tx, "price_change.proposed", change, asked.reason)
    return change


async def put(database: Database, item: Item, author: str, reason: str | None) -> Item:
    """Enter one item at once, whatever is at stake; for callers who may do that."""
    async with database.transaction(actor=author) as tx:
        return await enter(tx, item, Note(author, reason))


async def approve(database: Database, change_id: str, by: str, reason: str | None) -> PriceChange:
    """The second person: the versions become active now.

    Raises:
        NotFound: `price_change_unknown`.
        Conflict: `approver_is_author`, `price_change_decided`, `price_change_stale`.
    """
    async with database.transaction(actor=by) as tx:
        await locks.change_prices(tx)
        change = await _held(tx, change_id)
        price_changes.decide(change.state, change.author, by)
        await _activate(tx, change, approved_by=by)
        await store.decide(tx, change_id, ChangeState.ACTIVE, reason)
        await _record(tx, "price_change.approved", change, reason)
        return await _held(tx, change_id)


async def reject(database: Database, change_id: str, by: str, reason: str) -> PriceChange:
    """Close a waiting change. Its author may withdraw it, too.

    Raises:
        NotFound: `price_change_unknown`.
        Conflict: `price_change_decided`.
    """
    async with database.transaction(actor=by) as tx:
        change = await _held(tx, change_id)
        price_changes.decide(change.state, author="", by=by)
        await store.decide(tx, change_id, ChangeState.REJECTED, reason)
        await _record(tx, "price_change.rejected", change, reason)
        return await _held(tx, change_id)


async def _held(tx: Transaction, change_id: str) -> PriceChange:
    change = await store.hold_change(tx, change_id)
    if change is None:
        raise NotFound("price_change_unknown", f"there is no price change {change_id}")
    return change


async def _activate(tx: Transaction, change: PriceChange, *, approved_by: str | None) -> None:
    note = Note(change.author, change.reason, approved_by, change.change_id)
    due_to = await concerned(tx, [one.item for one in change.items])
    for one in change.items:
        require_current(one, await latest_of(tx, one.item))
        await keep(tx, one, note)
    await make_due(tx, due_to)


async def _record(tx: Transaction, action: str, change: PriceChange, reason: str | None) -> None:
    await tx.record(
        action,
        f"price-change/{change.change_id}",
        after={
            "author": change.author,
            "items": [item_to_json(one.item) for one in change.items],
            "at_stake": change.effect["at_stake"],
        },
        reason=reason,
    )


def _fingerprint(news: Sequence[Proposed]) -> str:
    items = sorted((store.items_to_json(news)), key=orjson.dumps)
    return sha256_hex(orjson.dumps(items, option=orjson.OPT_SORT_KEYS))


def effect_json(effect: Effect) -> Json:
    """The effect as the API tells it: sums first, then what they are made of."""
    return {
        "customers": effect.customers,
        "at_stake": {name: f"{amount:f}" for name, amount in effect.at_stake.items()},
        "charges_changed": len(effect.charges),
        "totals": _totals([(p.known.currency, p.difference) for p in effect.charges]),
        "billed_totals": _totals([(p.known.currency, p.difference) for p in effect.billed]),
        "monthly_totals": _totals([(m.currency, m.difference) for m in effect.monthly]),
        "monthly": [_monthly(one) for one in effect.monthly],
        "charges": [_charge(pair) for pair in effect.charges[:CHARGES_SHOWN]],
    }


def _totals(rows: Sequence[tuple[str, Decimal]]) -> dict[str, str]:
    sums: dict[str, Decimal] = {}
    for currency, amount in rows:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    return {currency: f"{amount:f}" for currency, amount in sorted(sums.items())}


def _monthly(one: Monthly) -> Json:
    return {
        "contract_id": one.contract_id,
        "subscription_id": one.subscription_id,
        "product": one.product,
        "quantity": one.quantity,
        "currency": one.currency,
        "before": f"{one.before:f}",
        "after": f"{one.after:f}",
        "difference": f"{one.difference:f}",
        "held": one.held,
    }


def _charge(pair: Moved) -> Json:
    charge = pair.known
    return {
        "charge_id": charge.charge_id,
        "contract_id": charge.contract_id,
        "subscription_id": charge.subscription_id,
        "kind": charge.kind.value,
        "description": charge.description,
        "bill_on": charge.bill_on.isoformat(),
        "currency": charge.currency,
        "before": f"{pair.before.amount:f}" if pair.before else None,
        "after": f"{pair.after.amount:f}" if pair.after else None,
        "difference": f"{pair.difference:f}",
    }
