"""How prices, rules, promotions and rates are written in rows and API bodies: decimals as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pydantic import JsonValue

from rating.domain.price_changes import Item
from rating.domain.promotions import Keeps, Promotion
from rating.domain.rules import (
    Base,
    CostPlus,
    Discount,
    Fixed,
    ListPrice,
    Margin,
    Markup,
    Minimum,
    Price,
    Rule,
    RuleKind,
    Scope,
)
from shared.kernel.errors import Invalid
from shared.kernel.fx import FxRate

Json = dict[str, JsonValue]
SCOPE_PARTS = (
    "contract_id",
    "customer_id",
    "product_key",
    "meter_category",
    "azure_subscription_id",
    "term",
    "billing_plan",
    "segment",
)


def price_to_json(price: Price) -> dict[str, str]:
    match price:
        case Fixed(amount, currency):
            return {"kind": "fixed", "amount": f"{amount:f}", "currency": currency}
        case ListPrice():
            return {"kind": "list"}
        case CostPlus(percent):
            return {"kind": "cost_plus", "percent": f"{percent:f}"}
        case Margin(percent):
            return {"kind": "margin", "percent": f"{percent:f}"}
        case Discount(percent):
            return {"kind": "discount", "percent": f"{percent:f}"}
        case Markup(percent, share, base):
            return {
                "kind": "usage_markup",
                "percent": f"{percent:f}",
                "pec_share": str(share),
                "base": base.value,
            }
        case Minimum(amount, currency):
            return {"kind": "minimum", "amount": f"{amount:f}", "currency": currency}


def price_from_json(body: Mapping[str, Any]) -> Price:
    """The inverse of `price_to_json`.

    Raises:
        Invalid: `price_kind_unknown`.
    """
    match body["kind"]:
        case "fixed":
            return Fixed(Decimal(body["amount"]), body["currency"])
        case "list":
            return ListPrice()
        case "cost_plus":
            return CostPlus(Decimal(body["percent"]))
        case "margin":
            return Margin(Decimal(body["percent"]))
        case "discount":
            return Discount(Decimal(body["percent"]))
        case "usage_markup":
            share, base = Fraction(body["pec_share"]), Base(body["base"])
            return Markup(Decimal(body["percent"]), share, base)
        case "minimum":
            return Minimum(Decimal(body["amount"]), body["currency"])
        case kind:
            raise Invalid("price_kind_unknown", f"{kind!r} is no kind of price")


def scope_to_json(scope: Scope) -> dict[str, str]:
    """The kind, and whatever narrows it."""
    parts = {name: getattr(scope, name) for name in SCOPE_PARTS}
    return {"kind": scope.kind.value} | {k: v for k, v in parts.items() if v is not None}


def rule_to_json(rule: Rule) -> Json:
    return {
        "rule_id": rule.rule_id,
        "version": rule.version,
        "valid_from": rule.valid_from.isoformat(),
        "valid_until": rule.valid_until.isoformat() if rule.valid_until else None,
        "priority": rule.priority,
        "scope": dict(scope_to_json(rule.scope)),
        "price": dict(price_to_json(rule.price)),
    }


def promotion_to_json(promotion: Promotion) -> Json:
    scope = scope_to_json(promotion.scope)
    del scope["kind"]
    return {
        "promotion_id": promotion.promotion_id,
        "version": promotion.version,
        "name": promotion.name,
        "scope": dict(scope),
        "percent": f"{promotion.percent:f}",
        "starts": promotion.starts.isoformat(),
        "ends": promotion.ends.isoformat() if promotion.ends else None,
        "keeps": promotion.keeps.value,
        "seat_cap": promotion.seat_cap,
        "first_purchase": promotion.first_purchase,
        "priority": promotion.priority,
    }


def rate_to_json(rate: FxRate) -> Json:
    return {
        "from": rate.source_currency,
        "to": rate.target_currency,
        "date": rate.on.isoformat(),
        "rate": f"{rate.rate:f}",
        "source": rate.source,
        "version": rate.version,
    }


def item_to_json(item: Item) -> Json:
    match item:
        case Rule():
            return rule_to_json(item)
        case Promotion():
            return promotion_to_json(item)
        case FxRate():
            return rate_to_json(item)


def item_from_json(body: Mapping[str, Any]) -> Item:
    """The inverse of `item_to_json`."""
    if "rule_id" in body:
        return Rule(
            rule_id=body["rule_id"],
            version=body["version"],
            scope=_scope(body["scope"]),
            price=price_from_json(body["price"]),
            valid_from=date.fromisoformat(body["valid_from"]),
            valid_until=_day(body["valid_until"]),
            priority=body["priority"],
        )
    if "promotion_id" in body:
        return Promotion(
            promotion_id=body["promotion_id"],
            version=body["version"],
            name=body["name"],
            scope=_scope({"kind": RuleKind.LICENCE, **body["scope"]}),
            percent=Decimal(body["percent"]),
            starts=date.fromisoformat(body["starts"]),
            ends=_day(body["ends"]),
            keeps=Keeps(body["keeps"]),
            seat_cap=body["seat_cap"],
            first_purchase=body["first_purchase"],
            priority=body["priority"],
        )
    pair = (body["from"], body["to"], date.fromisoformat(body["date"]))
    return FxRate(*pair, body["version"], Decimal(body["rate"]), body["source"])


def _scope(body: Mapping[str, Any]) -> Scope:
    return Scope(RuleKind(body["kind"]), **{name: body.get(name) for name in SCOPE_PARTS})


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
