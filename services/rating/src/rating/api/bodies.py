"""Price rules and rates as people send them: decimals as text, one kind of price a rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from rating.domain import rules
from rating.domain.price_changes import Item
from rating.domain.promotions import Keeps, Promotion
from rating.domain.rules import Base, Rule, RuleKind, Scope
from rating.store.price_json import (
    price_from_json,
    promotion_to_json,
    rate_to_json,
    rule_to_json,
)
from rating.store.prices import Entered
from shared.contracts.envelope import Currency, Exact
from shared.kernel.fx import FxRate

DIGITS = 20
MANY = 1_000


def _exact(value: object) -> Decimal:
    """Text or a whole number; a JSON number with a fraction has already lost digits."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("send decimals as text")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError("this is no decimal number") from error
    if not number.is_finite() or number.adjusted() >= DIGITS:
        raise ValueError("this is no amount")
    return number


def _share(value: object) -> str:
    """`1/3`, `0.5` or `1`, in lowest terms."""
    try:
        share = Fraction(str(value)) if isinstance(value, str | int) else None
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError("this is no fraction") from error
    if share is None or not 0 <= share <= 1 or share.denominator > 1_000_000:
        raise ValueError("a share is between 0 and 1, sent as text")
    return str(share)


Amount = Annotated[Exact, BeforeValidator(_exact), Field(ge=0)]
Percent = Annotated[Exact, BeforeValidator(_exact), Field(ge=-100, le=10_000)]
Rate = Annotated[Exact, BeforeValidator(_exact), Field(gt=0)]
Share = Annotated[str, BeforeValidator(_share), Field(description="a fraction as text: 1/3")]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00]*$"),
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FixedBody(Body):
    kind: Literal["fixed"]
    amount: Amount
    currency: Currency


class ListBody(Body):
    kind: Literal["list"]


class CostPlusBody(Body):
    kind: Literal["cost_plus"]
    percent: Percent


class MarginBody(Body):
    """A true margin: a share of the price, where `cost_plus` is a share of the cost."""

    kind: Literal["margin"]
    percent: Annotated[Exact, BeforeValidator(_exact), Field(ge=-100, lt=100)]


class DiscountBody(Body):
    kind: Literal["discount"]
    percent: Percent


class MarkupBody(Body):
    kind: Literal["usage_markup"]
    percent: Percent
    pec_share: Share = "0"
    base: Base = Base.UNIT_PRICE


class MinimumBody(Body):
    kind: Literal["minimum"]
    amount: Amount
    currency: Currency


PriceBody = Annotated[
    FixedBody | ListBody | CostPlusBody | MarginBody | DiscountBody | MarkupBody | MinimumBody,
    Field(discriminator="kind"),
]


class ScopeBody(Body):
    """Whom and what a rule is for; what is left out means any."""

    kind: RuleKind
    contract_id: Name | None = None
    customer_id: Name | None = None
    product_key: Name | None = None
    meter_category: Name | None = None
    azure_subscription_id: Name | None = None
    term: Name | None = None
    billing_plan: Name | None = None
    segment: Name | None = None


class RuleBody(Body):
    valid_from: date
    valid_until: date | None = None  # exclusive
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    scope: ScopeBody
    price: PriceBody

    def rule(self, rule_id: str) -> Rule:
        """Version 0 stands for "the next one"."""
        return Rule(
            rule_id=rule_id,
            version=0,
            scope=Scope(**self.scope.model_dump()),
            price=price_from_json(self.price.model_dump(mode="json")),
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            priority=self.priority,
        )


class PromotionScopeBody(Body):
    """Whom and what a promotion is for; what is left out means any."""

    contract_id: Name | None = None
    customer_id: Name | None = None
    product_key: Name | None = None
    term: Name | None = None
    billing_plan: Name | None = None
    segment: Name | None = None


class PromotionBody(Body):
    name: Name
    scope: PromotionScopeBody = PromotionScopeBody()
    percent: Annotated[Exact, BeforeValidator(_exact), Field(gt=0, le=100)]
    starts: date
    ends: date | None = None  # exclusive
    keeps: Keeps = Keeps.TERM
    seat_cap: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    first_purchase: bool = False
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0

    def promotion(self, promotion_id: str) -> Promotion:
        """Version 0 stands for "the next one"."""
        facts = {name: getattr(self, name) for name in PromotionBody.model_fields}
        scope = Scope(RuleKind.LICENCE, **self.scope.model_dump())
        return Promotion(**facts | {"promotion_id": promotion_id, "version": 0, "scope": scope})


class RateBody(Body):
    rate: Rate
    source: Name


class NamedRuleBody(RuleBody):
    rule_id: Name


class NamedPromotionBody(PromotionBody):
    promotion_id: Name


class NamedRateBody(RateBody):
    source_currency: Annotated[Currency, Field(alias="from")]
    target_currency: Annotated[Currency, Field(alias="to")]
    date: date


class PriceBookBody(Body):
    """Rules, promotions and rates as they should be; what is not named stays as it is."""

    rules: Annotated[list[NamedRuleBody], Field(max_length=MANY)] = []
    promotions: Annotated[list[NamedPromotionBody], Field(max_length=MANY)] = []
    fx_rates: Annotated[list[NamedRateBody], Field(max_length=MANY)] = []

    def items(self) -> tuple[Item, ...]:
        """Everything in it, rates first: what is converted depends on them."""
        rates = [
            FxRate(r.source_currency, r.target_currency, r.date, 0, r.rate, r.source)
            for r in self.fx_rates
        ]
        promotions = [p.promotion(p.promotion_id) for p in self.promotions]
        return (*rates, *(r.rule(r.rule_id) for r in self.rules), *promotions)


class ChangeBody(PriceBookBody):
    reason: Name


class DecisionBody(Body):
    reason: Name | None = None


class RejectionBody(Body):
    reason: Name


def rule_json(rule: Rule) -> dict[str, Any]:
    """A version of a rule as it is answered."""
    return rule_to_json(rule) | {"text": rules.text(rule.price)}


def promotion_json(promotion: Promotion) -> dict[str, Any]:
    return promotion_to_json(promotion) | {"text": promotion.text}


def item_json(item: Item) -> dict[str, Any]:
    match item:
        case Rule():
            return rule_json(item)
        case Promotion():
            return promotion_json(item)
        case FxRate():
            return dict(rate_to_json(item))


def entered_json(entered: Entered) -> dict[str, Any]:
    """Who entered a version, when and why."""
    return {
        "entered_at": entered.entered_at.isoformat(),
        "entered_by": entered.entered_by,
        "reason": entered.reason,
        "approved_by": entered.approved_by,
        "change_id": entered.change_id,
    }
