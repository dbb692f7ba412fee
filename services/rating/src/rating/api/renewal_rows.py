"""Rows of the renewal desk as JSON, and as events of a calendar."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from rating.domain.icalendar import Event
from rating.domain.pricing import UnitPrice
from rating.domain.renewals import PriceChange, Renewal, Stake, Unknown
from rating.domain.timeline import State
from rating.handlers.renewal_desk import Desk, Owner
from shared.kernel.ids import derived_id

DOMAIN = "tieout"


def renewals(desk: Desk) -> Iterator[dict[str, Any]]:
    """Commitments that end."""
    for owner, one in desk.renewals:
        yield _head(desk, owner, one.subscription_id, one.state) | {
            "on": one.on.isoformat(),
            "seats": one.state.quantity,
            "auto_renew": "unknown" if one.auto_renew is None else one.auto_renew,
            "currency": owner.currency if owner else None,
            "now": _stake(one.now),
            "next": _stake(one.next),
            "scheduled": one.is_scheduled,
            "next_seats": one.following.quantity,
            "next_product_key": one.following.product.key,
            "next_term": one.following.product.term,
            "next_billing_plan": one.following.product.billing_plan,
            "at_term_end": one.at_term_end,
            "price_change": _text(one.price_change),
            "change_per_cycle": _text(one.change_per_cycle),
            "window_closes": one.window_closes.isoformat(),
        }


def windows(desk: Desk) -> Iterator[dict[str, Any]]:
    """Seats that may still be given back."""
    for owner, one in desk.windows:
        yield _head(desk, owner, one.subscription_id, one.state) | {
            "kind": one.kind.value,
            "seats": one.seats,
            "opened": one.opened.isoformat(),
            "closes": one.closes.isoformat(),
        }


def price_changes(desk: Desk) -> Iterator[dict[str, Any]]:
    """Products in use that cost something else in terms that begin later."""
    for owner, one in desk.price_changes:
        yield {
            "customer_id": desk.customer_id,
            "contract_id": owner.contract_id,
            "product_key": one.product.key,
            "product_name": one.product_name,
            "on": one.on.isoformat(),
            "seats": one.seats,
            "currency": owner.currency,
            "before": _price(one.before),
            "after": _price(one.after),
        }


def events(desk: Desk) -> Iterator[Event]:
    """All of it in a calendar; an id stays while its subscription, product and day do."""
    for owner, one in desk.renewals:
        name = _named(owner, one.subscription_id)
        yield Event(
            _uid("renewal", desk, *name, one.on.isoformat()),
            one.on,
            f"Renewal: {one.state.quantity} × {one.state.product_name} ({name[0]})",
            _told_renewal(owner, one),
            "Renewal",
        )
    for owner, batch in desk.windows:
        name = _named(owner, batch.subscription_id)
        yield Event(
            _uid("window", desk, *name, batch.opened.isoformat()),
            batch.closes,
            f"Window closes: {batch.seats} × {batch.state.product_name} ({name[0]})",
            f"Subscription {name[1]}: may be given back until {batch.closes:%Y-%m-%d %H:%M} UTC",
            "Window",
        )
    for contract, change in desk.price_changes:
        key = change.product.key
        yield Event(
            _uid("price", desk, contract.contract_id, key, change.on.isoformat()),
            change.on,
            f"New price: {change.product_name} ({contract.contract_id})",
            _told_price(contract.currency, change),
            "Price",
        )


def _told_renewal(owner: Owner, one: Renewal) -> str:
    currency = owner.currency if owner else ""
    renews = {None: "unknown", True: "yes", False: "no"}[one.auto_renew]
    lines = [
        f"Subscription {one.subscription_id}, {one.state.product.term}"
        f" {one.state.product.billing_plan}, renews by itself: {renews}",
        f"Now: {_told(one.now, currency)}",
        f"Next term: {_told(one.next, currency)}",
    ]
    if one.is_scheduled:
        after = one.following
        lines.insert(2, f"Scheduled: {after.quantity} seats of {after.product.key}")
    return "\n".join(lines)


def _told(stake: Stake | Unknown, currency: str) -> str:
    if isinstance(stake, Unknown):
        return f"unknown: {stake.detail}"
    price = stake.price
    told = (
        f"{price.price:f} {currency} a seat, {stake.per_cycle:f} a charge cycle"
        f" (cost {stake.cost_per_cycle:f} {price.cost_currency})"
    )
    if stake.per_term is None or stake.cost_per_term is None:
        return told
    cost = f"cost {stake.cost_per_term:f} {price.cost_currency}"
    return f"{told}, {stake.per_term:f} a term ({cost})"


def _told_price(currency: str, one: PriceChange) -> str:
    def told(price: UnitPrice | Unknown) -> str:
        if isinstance(price, Unknown):
            return f"unknown: {price.detail}"
        return f"{price.price:f} {currency} (cost {price.cost:f} {price.cost_currency})"

    return (
        f"{one.product.key}, {one.seats} seats in use\nBefore: {told(one.before)}\n"
        f"From then on, for terms that begin: {told(one.after)}"
    )


def _head(desk: Desk, owner: Owner, subscription_id: str, state: State) -> dict[str, Any]:
    return {
        "customer_id": desk.customer_id,
        "contract_id": owner.contract_id if owner else None,
        "subscription_id": subscription_id,
        "product_key": state.product.key,
        "product_name": state.product_name,
        "term": state.product.term,
        "billing_plan": state.product.billing_plan,
    }


def _stake(stake: Stake | Unknown) -> dict[str, Any]:
    told = _price(stake.price if isinstance(stake, Stake) else stake)
    if isinstance(stake, Unknown):
        return told
    return told | {
        "per_cycle": f"{stake.per_cycle:f}",
        "per_term": _text(stake.per_term),
        "cost_per_cycle": f"{stake.cost_per_cycle:f}",
        "cost_per_term": _text(stake.cost_per_term),
    }


def _price(price: UnitPrice | Unknown) -> dict[str, Any]:
    if isinstance(price, Unknown):
        return {"unit_price": None, "reason": price.reason, "detail": price.detail}
    return {
        "unit_price": f"{price.price:f}",
        "unit_cost": f"{price.cost:f}",
        "cost_currency": price.cost_currency,
        "rule": price.basis.rule_text,
    }


def _named(owner: Owner, subscription_id: str) -> tuple[str, str]:
    return (owner.contract_id if owner else "no contract", subscription_id)


def _uid(kind: str, desk: Desk, *parts: str) -> str:
    return f"{derived_id('calendar', kind, desk.customer_id, *parts)}@{DOMAIN}"


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"
