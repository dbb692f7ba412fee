"""The format of a price file, as docs/prices.md describes it, and what rating is told of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stack.story.scalars import Currency, Percent, Priced, Share, Written

Kind = Literal["licence", "usage", "purchase", "minimum"]
Id = Annotated[str, Field(min_length=1, max_length=200)]
PLANS = ("monthly", "annual", "triennial", "one_time", "none")
TERM = re.compile(r"P[1-9][0-9]*[DMY]|none")
KEY_PARTS = 4  # product:sku:term:plan


def _term(text: str) -> str:
    if not TERM.fullmatch(text):
        raise ValueError(f"{text!r} is no term such as P1M, P1Y, P3Y")
    return text


def _plan(text: str) -> str:
    if text not in PLANS:
        raise ValueError(f"{text!r} is no billing plan; there are {', '.join(PLANS)}")
    return text


def _product(text: str) -> str:
    """A whole key names a term and a plan, too."""
    parts = text.split(":")
    if len(parts) == KEY_PARTS:
        _term(parts[2]), _plan(parts[3])
    return text


Product = Annotated[Id, AfterValidator(_product)]
Term = Annotated[str, AfterValidator(_term)]
Plan = Annotated[str, AfterValidator(_plan)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]

# What each kind of rule may charge, as rating has it.
ALLOWED: dict[str, tuple[str, ...]] = {
    "licence": ("list", "fixed", "cost_plus", "margin", "discount"),
    "usage": ("list", "cost_plus", "margin", "discount", "usage_markup"),
    "purchase": ("list", "fixed", "cost_plus", "margin", "discount", "usage_markup"),
    "minimum": ("minimum",),
}


class PriceText(Written):
    """One way to say a price; `list` may be written as a word."""

    list_: Annotated[Literal[True] | None, Field(alias="list")] = None
    fixed: Priced | None = None
    cost_plus: Percent | None = None
    margin: Percent | None = None
    discount: Percent | None = None
    usage_markup: Percent | None = None
    minimum: Priced | None = None
    pec_share: Share | None = None
    base: Literal["unit_price", "cost"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: Any) -> Any:
        return {"list": True} if value == "list" else value

    @model_validator(mode="after")
    def _one(self) -> PriceText:
        if len(list(self._said())) != 1:
            raise ValueError(f"write list, or one of {', '.join(ALLOWED['purchase'][1:])}, minimum")
        if self.usage_markup is None and (self.pec_share is not None or self.base is not None):
            raise ValueError("pec_share and base belong to usage_markup")
        if self.margin is not None and self.margin >= 1:
            raise ValueError("a margin is less than 100 % of the price; for more, write cost_plus")
        return self

    def _said(self) -> Iterator[str]:
        for name in ("list_", "fixed", "cost_plus", "margin", "discount", "usage_markup"):
            if getattr(self, name) is not None:
                yield name.rstrip("_")
        if self.minimum is not None:
            yield "minimum"

    @property
    def kind(self) -> str:
        return next(self._said())

    def body(self) -> dict[str, str]:
        """As rating's API has it."""
        kind = self.kind
        if kind == "list":
            return {"kind": kind}
        value: Any = getattr(self, kind)
        if kind in ("fixed", "minimum"):
            amount, currency = value
            return {"kind": kind, "amount": f"{amount:f}", "currency": currency}
        body = {"kind": kind, "percent": _percent(value)}
        if kind == "usage_markup":
            body |= {"pec_share": str(self.pec_share or 0), "base": self.base or "unit_price"}
        return body


class LicenceScope(Written):
    """Whom and what; what is left out means any."""

    contract: Id | None = None
    customer: Id | None = None
    product: Product | None = None
    term: Term | None = None
    plan: Plan | None = None
    segment: Id | None = None

    def body(self) -> dict[str, str]:
        names = {"contract": "contract_id", "customer": "customer_id", "product": "product_key"}
        names |= {"plan": "billing_plan", "azure": "azure_subscription_id"}
        given = self.model_dump(exclude_none=True)
        return {names.get(name, name): value for name, value in given.items()}


class RuleScope(LicenceScope):
    meter_category: Id | None = None
    azure: Id | None = None


class RuleText(Written):
    kind: Kind = "licence"
    for_: Annotated[RuleScope, Field(alias="for")] = RuleScope()
    price: PriceText
    from_: Annotated[date, Field(alias="from")]
    until: date | None = None  # exclusive
    priority: Priority = 0

    @model_validator(mode="after")
    def _fits(self) -> RuleText:
        if self.until is not None and self.until <= self.from_:
            raise ValueError("until is a day after from; it is the first day without the rule")
        if self.price.kind not in ALLOWED[self.kind]:
            raise ValueError(f"a {self.kind} rule has one of {', '.join(ALLOWED[self.kind])}")
        return self

    def body(self, rule_id: str) -> dict[str, Any]:
        return {
            "rule_id": rule_id,
            "valid_from": self.from_.isoformat(),
            "valid_until": self.until.isoformat() if self.until else None,
            "priority": self.priority,
            "scope": {"kind": self.kind, **self.for_.body()},
            "price": self.price.body(),
        }


def _yes_or_no(value: object) -> object:
    known = {"true": True, "false": False}
    return known.get(str(value).lower(), value)


class PromotionText(Written):
    name: Id | None = None
    for_: Annotated[LicenceScope, Field(alias="for")] = LicenceScope()
    percent_off: Percent
    from_: Annotated[date, Field(alias="from")]
    until: date | None = None  # exclusive
    keeps: Literal["term", "cycle"] = "term"
    first_seats: Annotated[int, Field(ge=1)] | None = None
    first_purchase: Annotated[bool, BeforeValidator(_yes_or_no)] = False
    priority: Priority = 0

    @model_validator(mode="after")
    def _fits(self) -> PromotionText:
        if self.until is not None and self.until <= self.from_:
            raise ValueError("until is a day after from; it is the first day without the promotion")
        if not 0 < self.percent_off <= 1:
            raise ValueError("percent_off is more than 0 % and at most 100 %")
        return self

    def body(self, promotion_id: str) -> dict[str, Any]:
        return {
            "promotion_id": promotion_id,
            "name": self.name or promotion_id,
            "scope": self.for_.body(),
            "percent": _percent(self.percent_off),
            "starts": self.from_.isoformat(),
            "ends": self.until.isoformat() if self.until else None,
            "keeps": self.keeps,
            "seat_cap": self.first_seats,
            "first_purchase": self.first_purchase,
            "priority": self.priority,
        }


class RateText(Written):
    from_: Annotated[Currency, Field(alias="from")]
    to: Currency
    on: date
    rate: Annotated[Decimal, Field(gt=0)]
    source: Id

    def body(self) -> dict[str, Any]:
        return {
            "from": self.from_,
            "to": self.to,
            "date": self.on.isoformat(),
            "rate": f"{self.rate:f}",
            "source": self.source,
        }


class PriceFile(Written):
    """Rules, promotions and rates as they should be; what is not named stays as it is."""

    reason: Id | None = None
    rules: Annotated[dict[Id, RuleText], Field(default_factory=dict)]
    promotions: Annotated[dict[Id, PromotionText], Field(default_factory=dict)]
    fx_rates: Annotated[list[RateText], Field(default_factory=list)]

    def contracts(self) -> set[str]:
        """Contracts that something in the file is for."""
        scopes: list[LicenceScope] = [one.for_ for one in self.rules.values()]
        scopes += [one.for_ for one in self.promotions.values()]
        return {scope.contract for scope in scopes if scope.contract is not None}

    def body(self) -> dict[str, Any]:
        """What `POST /v1/price-rules:dry-run` takes."""
        return {
            "rules": [rule.body(name) for name, rule in self.rules.items()],
            "promotions": [one.body(name) for name, one in self.promotions.items()],
            "fx_rates": [rate.body() for rate in self.fx_rates],
        }


def _percent(share: Decimal) -> str:
    """0.08875 → `8.875`."""
    text = f"{share * 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
