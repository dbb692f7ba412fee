"""Price rules and rates as people send them: decimals as text, one kind of price a rule."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from rating.domain import rules
from rating.domain.rules import Base, Rule, RuleKind, Scope
from rating.store.price_json import price_from_json, price_to_json
from shared.contracts.envelope import Currency, Exact

DIGITS = 20


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
    FixedBody | ListBody | CostPlusBody | DiscountBody | MarkupBody | MinimumBody,
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


class RateBody(Body):
    rate: Rate
    source: Name


def rule_json(rule: Rule) -> dict[str, Any]:
    """A version of a rule as it is answered."""
    scope = rule.scope
    parts = {
        "contract_id": scope.contract_id,
        "customer_id": scope.customer_id,
        "product_key": scope.product_key,
        "meter_category": scope.meter_category,
        "azure_subscription_id": scope.azure_subscription_id,
    }
    return {
        "rule_id": rule.rule_id,
        "version": rule.version,
        "valid_from": rule.valid_from.isoformat(),
        "valid_until": rule.valid_until.isoformat() if rule.valid_until else None,
        "priority": rule.priority,
        "scope": {"kind": scope.kind.value} | {k: v for k, v in parts.items() if v is not None},
        "price": price_to_json(rule.price),
        "text": rules.text(rule.price),
    }
