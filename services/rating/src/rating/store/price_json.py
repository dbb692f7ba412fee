"""How a price is written in a row and in an API body: its kind, and decimals as text."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating.domain.rules import (
    Base,
    CostPlus,
    Discount,
    Fixed,
    ListPrice,
    Markup,
    Minimum,
    Price,
)
from shared.kernel.errors import Invalid


def price_to_json(price: Price) -> dict[str, str]:
    match price:
        case Fixed(amount, currency):
            return {"kind": "fixed", "amount": f"{amount:f}", "currency": currency}
        case ListPrice():
            return {"kind": "list"}
        case CostPlus(percent):
            return {"kind": "cost_plus", "percent": f"{percent:f}"}
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
        case "discount":
            return Discount(Decimal(body["percent"]))
        case "usage_markup":
            share, base = Fraction(body["pec_share"]), Base(body["base"])
            return Markup(Decimal(body["percent"]), share, base)
        case "minimum":
            return Minimum(Decimal(body["amount"]), body["currency"])
        case kind:
            raise Invalid("price_kind_unknown", f"{kind!r} is no kind of price")
