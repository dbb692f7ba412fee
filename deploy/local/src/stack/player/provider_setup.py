"""Gives the simulated Partner Center what a story says exists at the provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from shared.kernel.periods import utc_day
from stack.player.names import Names
from stack.player.services import Services
from stack.story.format import Event, Product

LONG_AGO = "2020-01-01"

PriceKey = tuple[str, ...]


async def add_provider_books(services: Services, plays: Sequence[Names]) -> None:
    """Customers, subscriptions as of the start of each story, and the price sheet."""
    body = {
        "customers": [c for names in plays for c in _customers(names)],
        "subscriptions": [s for names in plays for s in _subscriptions(names)],
        "price_sheet": [row for names in plays for row in price_rows(names).values()],
    }
    await services.simulator("POST", "/partner-center/_control/additions", body)


def markets(plays: Sequence[Names]) -> list[tuple[str, str]]:
    """The price sheets a story needs, as (market, currency)."""
    found = {
        (row["market"], row["currency"]) for names in plays for row in price_rows(names).values()
    }
    return sorted(found)


def _customers(names: Names) -> list[dict[str, Any]]:
    return [
        {
            "id": names.customer(name),
            "name": customer.name,
            "domain": f"{name}.example",
            "country": customer.country,
        }
        for name, customer in names.story.customers.items()
        if customer.tenant is None
    ]


def _subscriptions(names: Names) -> list[dict[str, Any]]:
    story = names.story
    rows = []
    for customer_name, customer in story.customers.items():
        for name, subscription in customer.subscriptions.items():
            product = story.products[subscription.product]
            product_id, sku_id = _sku(product)
            rows.append(
                {
                    "id": names.subscription(f"{customer_name}/{name}"),
                    "customer_id": names.customer(customer_name),
                    "product_id": product_id,
                    "sku_id": sku_id,
                    "name": product.name,
                    "term": product.term,
                    "billing_plan": product.plan,
                    "quantity": subscription.seats,
                    "term_start": subscription.term_starts.isoformat(),
                    "unit_price": str(product.cost[0]) if product.cost else "0",
                    "currency": product.cost[1] if product.cost else customer.currency,
                }
            )
    return rows


def price_rows(names: Names) -> dict[str, dict[str, Any]]:
    """The rows of the provider's price sheet that a story needs, by product."""
    rows = {}
    for name, product in names.story.products.items():
        if product.cost is None or product.list is None or not product.on_price_sheet:
            continue
        product_id, sku_id = _sku(product)
        rows[name] = {
            "product_id": product_id,
            "sku_id": sku_id,
            "product_title": product.name,
            "term": product.term,
            "billing_plan": product.plan,
            "unit_price": str(product.cost[0]),
            "erp_price": str(product.list[0]),
            "effective_from": LONG_AGO,
            "market": "US" if product.cost[1] == "USD" else product.cost[1][:2],
            "currency": product.cost[1],
        }
    return rows


def later_row(names: Names, event: Event) -> dict[str, Any]:
    """The row with which the provider changes a price from the day of the event on."""
    assert event.new_price is not None
    assert event.cost is not None
    assert event.list is not None
    return price_rows(names)[event.new_price] | {
        "unit_price": str(event.cost[0]),
        "erp_price": str(event.list[0]),
        "effective_from": utc_day(event.at).isoformat(),
    }


def price_key(row: Mapping[str, Any]) -> PriceKey:
    """What has one price: in a price sheet a product is a row per term and plan."""
    names = ("market", "currency", "product_id", "sku_id", "term", "billing_plan")
    return tuple(str(row[name]) for name in names)


def _sku(product: Product) -> tuple[str, str]:
    assert product.sku is not None  # licences have one; the format sees to it
    product_id, _, sku_id = product.sku.partition(":")
    return product_id, sku_id


def first_day(month: str) -> date:
    return date.fromisoformat(f"{month}-01")


def last_day(month: str) -> date:
    following = (first_day(month) + timedelta(days=32)).replace(day=1)
    return following - timedelta(days=1)
