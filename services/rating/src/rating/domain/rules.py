"""Customer price rules: what they say, whom they are for, and which one wins.

Versions of a rule are immutable and effective-dated: from a version's `valid_from` on, it replaces
the earlier versions of the same rule. Among the rules in force the most specific scope wins, then
the higher priority, then the later `valid_from`, then the higher version, then the smaller id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from shared.kernel.errors import Invalid


class RuleKind(StrEnum):
    LICENCE = "licence"
    USAGE = "usage"
    PURCHASE = "purchase"
    MINIMUM = "minimum"


class Base(StrEnum):
    """What a mark-up is added to."""

    UNIT_PRICE = "unit_price"  # the provider's list price, less the shared part of the credit
    COST = "cost"  # what the provider charges us


@dataclass(frozen=True, slots=True)
class Fixed:
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class ListPrice:
    pass


@dataclass(frozen=True, slots=True)
class CostPlus:
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Discount:
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Markup:
    percent: Decimal
    pec_share: Fraction  # how much of the partner earned credit the customer gets
    base: Base = Base.UNIT_PRICE


@dataclass(frozen=True, slots=True)
class Minimum:
    amount: Decimal
    currency: str


Price = Fixed | ListPrice | CostPlus | Discount | Markup | Minimum

ALLOWED: dict[RuleKind, tuple[type[Price], ...]] = {
    RuleKind.LICENCE: (Fixed, ListPrice, CostPlus, Discount),
    RuleKind.USAGE: (Markup, ListPrice, CostPlus, Discount),
    RuleKind.PURCHASE: (Fixed, ListPrice, CostPlus, Discount, Markup),
    RuleKind.MINIMUM: (Minimum,),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom and what a rule is for; None means any."""

    kind: RuleKind
    contract_id: str | None = None
    customer_id: str | None = None
    product_key: str | None = None
    meter_category: str | None = None
    azure_subscription_id: str | None = None

    @property
    def specificity(self) -> tuple[int, int, int]:
        """Who comes first, then where, then what: a customer's own rule beats any general one."""
        who = 2 if self.contract_id else 1 if self.customer_id else 0
        what = int(self.meter_category is not None) + 2 * int(self.product_key is not None)
        return (who, int(self.azure_subscription_id is not None), what)

    def takes(self, subject: Scope) -> bool:
        """Whether a subject (a scope with everything known filled in) is inside this scope."""
        wanted = (
            (self.contract_id, subject.contract_id),
            (self.customer_id, subject.customer_id),
            (self.product_key, subject.product_key),
            (self.meter_category, subject.meter_category),
            (self.azure_subscription_id, subject.azure_subscription_id),
        )
        return self.kind is subject.kind and all(w is None or w == s for w, s in wanted)


@dataclass(frozen=True, slots=True)
class Rule:
    """One version of a rule; `valid_until` is exclusive."""

    rule_id: str
    version: int
    scope: Scope
    price: Price
    valid_from: date
    valid_until: date | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.price, ALLOWED[self.scope.kind]):
            raise Invalid(
                "price_kind_not_allowed",
                f"a {self.scope.kind} rule takes no {type(self.price).__name__} price",
            )
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise Invalid("validity_empty", f"{self.rule_id} ends before it begins")


def in_force(rules: Iterable[Rule], day: date) -> list[Rule]:
    """The version of each rule that counts on `day`; rules that have ended are left out."""
    latest: dict[str, Rule] = {}
    for rule in rules:
        if rule.valid_from > day:
            continue
        known = latest.get(rule.rule_id)
        if known is None or _age(rule) > _age(known):
            latest[rule.rule_id] = rule
    return [r for r in latest.values() if r.valid_until is None or day < r.valid_until]


def select(rules: Iterable[Rule], subject: Scope, day: date) -> Rule | None:
    """The rule that prices `subject` on `day`."""
    matching = [rule for rule in in_force(rules, day) if rule.scope.takes(subject)]
    best = max(map(_rank, matching), default=None)
    return min(
        (rule for rule in matching if _rank(rule) == best), key=lambda r: r.rule_id, default=None
    )


def text(price: Price) -> str:
    """The rule as people read it beside a figure."""
    match price:
        case Fixed(amount, currency):
            return f"fixed {amount:f} {currency}"
        case ListPrice():
            return "list price"
        case CostPlus(percent):
            return f"cost {_signed(percent)}"
        case Discount(percent):
            return f"list price {_signed(-percent)}"
        case Markup(percent, share, Base.UNIT_PRICE):
            credit = f" × (1 − PEC × {share})" if share else ""
            return f"unit price{credit}, {_signed(percent)}"
        case Markup(percent):
            return f"cost, {_signed(percent)}"
        case Minimum(amount, currency):
            return f"at least {amount:f} {currency} a month"


def _signed(percent: Decimal) -> str:
    plain = f"{abs(percent):f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return f"{'−' if percent < 0 else '+'}{plain} %"


def _age(rule: Rule) -> tuple[date, int]:
    return (rule.valid_from, rule.version)


def _rank(rule: Rule) -> tuple[tuple[int, int, int], int, date, int]:
    return (rule.scope.specificity, rule.priority, rule.valid_from, rule.version)
